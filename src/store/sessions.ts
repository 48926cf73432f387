// Sessions: one record a signed-in device, found by user and session id, gone at once when it ends. A refresh token
// works once: its rotation and its place on the blacklist are one commit, so that one of many callers wins it.

import type { Deps } from "../deps.ts";
import { newId } from "../id.ts";
import {
  createRefreshToken,
  createSuccessorNonce,
  deriveSuccessor,
  hashRefreshToken,
  parseRefreshToken,
  type RefreshTokenParts,
} from "../refresh_token.ts";
import { isSameHash } from "../secrets.ts";
import { type CredentialRecord, keys, type SessionRecord, type UserRecord } from "./keys.ts";
import { type Change, type Entry, isPresent, type Kv, LOST, type Present, untilCommitted } from "./kv.ts";
import { addMail } from "./mails.ts";
import { type Client, occasion } from "./client.ts";

/** A session and the one plain refresh token of it that works. */
export interface SessionGrant {
  readonly user: UserRecord;
  readonly session: SessionRecord;
  readonly plainRefreshToken: string;
  readonly refreshExpiresAtMs: number;
}

/** What became of a presented refresh token. */
export type Rotation =
  | { readonly outcome: "rotated"; readonly grant: SessionGrant }
  | { readonly outcome: "invalid" }
  | { readonly outcome: "disabled" }
  /** Used before, and not just now: its session has ended with this call, unless it had already. */
  | { readonly outcome: "reused" };

type StoreDeps = Pick<Deps, "kv" | "config" | "secrets" | "nowMs" | "wakeOutbox">;

/** Sessions an account may have; the oldest ends when one more begins. */
export const SESSIONS_MAX = 50;
const KNOWN_NETWORK_TTL_MS = 30 * 24 * 60 * 60 * 1000;
const LAST_USED_INTERVAL_MS = 60_000;

/** The user and the session of an access token, in one snapshot. */
export async function findSession(
  kv: Kv,
  { userId, sessionId }: RefreshTokenParts,
): Promise<{ readonly user: Present<UserRecord> | null; readonly session: Present<SessionRecord> | null }> {
  const [user, session] = await kv.findMany([keys.user(userId), keys.session(userId, sessionId)]);
  return { user: isPresent(user) ? user : null, session: isPresent(session) ? session : null };
}

/**
 * Begins a session after a right password. Null when the account changed its password or status since `verified`
 * was read: what was proved is no longer true.
 */
export function insertSession(
  deps: StoreDeps,
  verified: { readonly user: UserRecord; readonly credential: CredentialRecord },
  client: Client,
): Promise<SessionGrant | null> {
  const { kv } = deps;
  const userId = verified.user.id;
  return untilCommitted(async () => {
    const [user, credential, network] = await kv.findMany([
      keys.user(userId),
      keys.credential(userId),
      keys.knownNetwork(userId, client.networkHash),
    ]);
    if (!isPresent(user) || user.value.status !== "active") return null;
    if (credential.value?.changedAtMs !== verified.credential.changedAtMs) return null;
    // Every sign-in writes the user record, so that the check on it also makes the count of sessions exact.
    const sessions = await collectSessions(kv, userId);
    const surplus = sessions.slice(0, Math.max(0, sessions.length + 1 - SESSIONS_MAX));
    const change = kv.change().check(user, credential).remove(...surplus.map((session) => session.key));
    const grant = addSession(deps, change, { user: user.value, client });
    // The first sign-in of an account that an admin made or imported is from a new network in any case.
    if (!isPresent(network) && user.value.lastLoginAtMs !== null) {
      addMail(deps, change, {
        to: user.value.email,
        userId,
        content: { kind: "sign_in_new_network", ...occasion(deps, client) },
      });
    }
    return await change.commit() ? grant : LOST;
  });
}

/** Adds the first session of a sign-in to `change`, with the user record as it will then be. */
export function addSession(
  { kv, config, nowMs }: StoreDeps,
  change: Change,
  { user, client }: { readonly user: UserRecord; readonly client: Client },
): SessionGrant {
  const now = nowMs();
  const sessionId = newId(now);
  const plainRefreshToken = createRefreshToken({ userId: user.id, sessionId });
  const expiresAtMs = now + config.sessionMaxAgeMs;
  const session: SessionRecord = {
    id: sessionId,
    userId: user.id,
    createdAtMs: now,
    lastUsedAtMs: now,
    refreshHash: hashRefreshToken(plainRefreshToken),
    refreshExpiresAtMs: Math.min(now + config.refreshTtlMs, expiresAtMs),
    userAgent: client.userAgent,
    ip: client.address,
    expiresAtMs,
  };
  const signedIn: UserRecord = { ...user, lastLoginAtMs: now };
  change
    .set(keys.user(user.id), signedIn)
    .set(keys.session(user.id, sessionId), session)
    .set(keys.knownNetwork(user.id, client.networkHash), {
      lastSignInAtMs: now,
      expiresAtMs: kv.nowMs() + KNOWN_NETWORK_TTL_MS,
    });
  return { user: signedIn, session, plainRefreshToken, refreshExpiresAtMs: session.refreshExpiresAtMs };
}

/**
 * Exchanges a refresh token for its successor (RFC 9700 §4.14.2). One commit decides. Presented again within the
 * grace it gives the same successor; later it ends the session, and `onReuse` may add to that commit.
 */
export function rotateRefreshToken(
  deps: StoreDeps,
  plainToken: string,
  onReuse: (change: Change, user: UserRecord) => void,
): Promise<Rotation> {
  const parts = parseRefreshToken(plainToken);
  if (!parts) return Promise.resolve({ outcome: "invalid" });
  return untilCommitted(() => tryRotation(deps, { plainToken, parts }, onReuse));
}

async function tryRotation(
  deps: StoreDeps,
  { plainToken, parts }: { readonly plainToken: string; readonly parts: RefreshTokenParts },
  onReuse: (change: Change, user: UserRecord) => void,
): Promise<Rotation | typeof LOST> {
  const { kv, config, secrets, nowMs } = deps;
  const now = nowMs();
  const tokenHash = hashRefreshToken(plainToken);
  const [user, session, used] = await kv.findMany([
    keys.user(parts.userId),
    keys.session(parts.userId, parts.sessionId),
    keys.usedRefreshToken(parts.userId, tokenHash),
  ]);
  if (user.value?.status === "disabled") return { outcome: "disabled" };

  if (isPresent(used)) {
    const { rotatedAtMs, successorNonce, successorExpiresAtMs } = used.value;
    // A clock that stepped back makes the age negative: it counts as none, and the step is what it lasts longer.
    if (now - rotatedAtMs >= config.refreshGraceMs) {
      return await endReplayed(deps, { user, session, onReuse });
    }
    if (!isPresent(user) || !isPresent(session)) return { outcome: "invalid" };
    return {
      outcome: "rotated",
      grant: {
        user: user.value,
        session: session.value,
        plainRefreshToken: deriveSuccessor(secrets, plainToken, { nonce: successorNonce, parts }),
        refreshExpiresAtMs: successorExpiresAtMs,
      },
    };
  }

  if (!isPresent(user) || !isPresent(session)) return { outcome: "invalid" };
  if (!isSameHash(session.value.refreshHash, tokenHash)) return { outcome: "invalid" };
  if (now >= session.value.refreshExpiresAtMs) return { outcome: "invalid" };

  const successorNonce = createSuccessorNonce();
  const plainRefreshToken = deriveSuccessor(secrets, plainToken, { nonce: successorNonce, parts });
  const rotated: SessionRecord = {
    ...session.value,
    lastUsedAtMs: now,
    refreshHash: hashRefreshToken(plainRefreshToken),
    refreshExpiresAtMs: Math.min(now + config.refreshTtlMs, session.value.expiresAtMs),
  };
  const isCommitted = await kv.change()
    .check(session)
    .set(session.key, rotated)
    .set(used.key, {
      ...parts,
      rotatedAtMs: now,
      successorNonce,
      successorExpiresAtMs: rotated.refreshExpiresAtMs,
      expiresAtMs: session.value.refreshExpiresAtMs,
    })
    .commit();
  if (!isCommitted) return LOST;
  return {
    outcome: "rotated",
    grant: {
      user: user.value,
      session: rotated,
      plainRefreshToken,
      refreshExpiresAtMs: rotated.refreshExpiresAtMs,
    },
  };
}

/** A copy of the token is in other hands: the whole session ends, once. */
async function endReplayed(
  { kv }: StoreDeps,
  { user, session, onReuse }: {
    readonly user: Entry<UserRecord>;
    readonly session: Entry<SessionRecord>;
    readonly onReuse: (change: Change, user: UserRecord) => void;
  },
): Promise<Rotation | typeof LOST> {
  if (!isPresent(session) || user.value === null) return { outcome: "reused" };
  const change = kv.change().check(session).remove(session.key);
  onReuse(change, user.value);
  return await change.commit() ? { outcome: "reused" } : LOST;
}

/**
 * Whose a refresh token is while it could still be exchanged: the newest of its session, or a predecessor within
 * its grace. Null otherwise. Reads only.
 */
export async function findRefreshTokenOwner(
  deps: StoreDeps,
  plainToken: string,
): Promise<RefreshTokenParts | null> {
  const parts = parseRefreshToken(plainToken);
  if (!parts) return null;
  const tokenHash = hashRefreshToken(plainToken);
  const [session, used] = await deps.kv.findMany([
    keys.session(parts.userId, parts.sessionId),
    keys.usedRefreshToken(parts.userId, tokenHash),
  ]);
  if (!isPresent(session)) return null;
  if (isPresent(used)) {
    return deps.nowMs() - used.value.rotatedAtMs < deps.config.refreshGraceMs ? parts : null;
  }
  const isCurrent = isSameHash(session.value.refreshHash, tokenHash) &&
    deps.nowMs() < session.value.refreshExpiresAtMs;
  return isCurrent ? parts : null;
}

/** Ends one session. False when it was not there. */
export function removeSession(kv: Kv, { userId, sessionId }: RefreshTokenParts): Promise<boolean> {
  return untilCommitted(async () => {
    const session = await kv.find(keys.session(userId, sessionId));
    if (!isPresent(session)) return false;
    return await kv.change().check(session).remove(session.key).commit() ? true : LOST;
  });
}

/** Ends every session of the account but one. */
export async function removeOtherSessions(
  kv: Kv,
  { userId, keptSessionId }: { readonly userId: string; readonly keptSessionId: string | null },
): Promise<void> {
  const change = kv.change();
  await addSessionsEnd(kv, change, { userId, keptSessionId });
  await change.commit();
}

/**
 * Adds the end of every session of the account to `change`, but for `keptSessionId`. Exact when the same commit
 * checks and writes the user record: a sign-in that comes in between loses that race and looks again.
 */
export async function addSessionsEnd(
  kv: Kv,
  change: Change,
  { userId, keptSessionId }: { readonly userId: string; readonly keptSessionId: string | null },
): Promise<void> {
  const sessions = await collectSessions(kv, userId);
  change.remove(...sessions.filter(({ value }) => value.id !== keptSessionId).map(({ key }) => key));
}

/** The sessions of an account, oldest first. */
export async function collectSessions(kv: Kv, userId: string): Promise<Present<SessionRecord>[]> {
  return (await kv.collect(keys.sessionsOf(userId), { limit: SESSIONS_MAX * 2 })).entries;
}

/** Notes that a session is in use, at most once a minute. Losing a race here loses nothing. */
export async function touchSession(kv: Kv, session: Present<SessionRecord>): Promise<void> {
  const nowMs = kv.nowMs();
  if (nowMs - session.value.lastUsedAtMs < LAST_USED_INTERVAL_MS) return;
  await kv.change().check(session).set(session.key, { ...session.value, lastUsedAtMs: nowMs }).commit();
}

/** Whether the account signed in from this network within 30 days. */
export async function isKnownNetwork(
  kv: Kv,
  { userId, networkHash }: { readonly userId: string; readonly networkHash: string },
): Promise<boolean> {
  return isPresent(await kv.find(keys.knownNetwork(userId, networkHash)));
}
