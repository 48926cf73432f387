// Sessions: one record a signed-in device, found by user and session id, gone at once when it ends. How their refresh
// tokens are exchanged is in rotation.ts.

import type { StoreDeps } from "../deps.ts";
import { newId } from "../id.ts";
import { createRefreshToken, hashRefreshToken } from "../refresh_token.ts";
import { addAuditEvents, type AuditDeps, insertAuditEvent } from "./audit.ts";
import { type Actor, type Client, occasion, OPERATOR, owner } from "./client.ts";
import { type CredentialRecord, keys, type SessionRecord, type UserRecord } from "./keys.ts";
import { type Change, isPresent, type Kv, LOST, type Page, type Present, untilCommitted } from "./kv.ts";
import { addMail } from "./mails.ts";
import { collectAll } from "./page.ts";

/** Which session, and whose. */
export interface SessionIds {
  readonly userId: string;
  readonly sessionId: string;
}

/** A session and the one plain refresh token of it that works. */
export interface SessionGrant {
  readonly user: UserRecord;
  readonly session: SessionRecord;
  readonly plainRefreshToken: string;
  readonly refreshExpiresAtMs: number;
}

/** Sessions an account may have; the oldest ends when one more begins. */
const SESSIONS_MAX = 50;
const KNOWN_NETWORK_TTL_MS = 30 * 24 * 60 * 60 * 1000;
const LAST_USED_INTERVAL_MS = 60_000;
const REMOVAL_STEP = 500;

/** The user and the session of an access token, in one snapshot. */
export async function findSession(
  kv: Kv,
  { userId, sessionId }: SessionIds,
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
    // The address is half of what was proved: the one from before a change signs nobody in.
    if (user.value.email !== verified.user.email) return null;
    // Every sign-in writes the user record, so that the check on it also makes the count of sessions exact.
    const sessions = await collectSessions(kv, userId);
    const surplus = sessions.slice(0, Math.max(0, sessions.length + 1 - SESSIONS_MAX));
    const change = kv.change().check(user, credential).remove(...surplus.map((session) => session.key));
    const grant = addSession(deps, change, { user: user.value, client });
    // The first sign-in of an account that an admin made or imported is from a new network in any case.
    if (!isPresent(network) && hasSignedInHere(user.value)) {
      addMail(deps, change, {
        to: user.value.email,
        userId,
        content: { kind: "sign_in_new_network", ...occasion(deps, client) },
      });
    }
    const about = { actor: owner(userId, client), userId };
    await addAuditEvents(deps, change, [
      { type: "signed_in", ...about, details: { session_id: grant.session.id } },
      ...surplus.map(({ value }) => ({
        type: "session_ended" as const,
        ...about,
        cause: "session_limit",
        details: { session_id: value.id },
      })),
    ]);
    return await change.commit() ? grant : LOST;
  });
}

function hasSignedInHere({ lastLoginAtMs, importedAtMs = 0 }: UserRecord): boolean {
  return lastLoginAtMs !== null && lastLoginAtMs > importedAtMs;
}

/** Adds the first session of a sign-in to `change`, with the user record as it will then be. */
export function addSession(
  { kv, config }: StoreDeps,
  change: Change,
  { user, client }: { readonly user: UserRecord; readonly client: Client },
): SessionGrant {
  const nowMs = kv.nowMs();
  const sessionId = newId(nowMs);
  const plainRefreshToken = createRefreshToken({ userId: user.id, sessionId });
  const endsAtMs = nowMs + config.sessionMaxAgeMs;
  const session: SessionRecord = {
    id: sessionId,
    userId: user.id,
    createdAtMs: nowMs,
    lastUsedAtMs: nowMs,
    refreshHash: hashRefreshToken(plainRefreshToken),
    userAgent: client.userAgent,
    ip: client.address,
    endsAtMs,
    ...lifeOf(config, { nowMs, endsAtMs }),
  };
  const signedIn: UserRecord = { ...user, lastLoginAtMs: nowMs };
  change
    .set(keys.user(user.id), signedIn)
    .set(keys.session(user.id, sessionId), session)
    .set(keys.knownNetwork(user.id, client.networkHash), {
      lastSignInAtMs: nowMs,
      expiresAtMs: nowMs + KNOWN_NETWORK_TTL_MS,
    });
  return { user: signedIn, session, plainRefreshToken, refreshExpiresAtMs: session.refreshExpiresAtMs };
}

/** How long a session lives from now: as long as one of its tokens does, and never beyond its absolute limit. */
export function lifeOf(
  { refreshTtlMs, accessTtlMs }: StoreDeps["config"],
  { nowMs, endsAtMs }: { readonly nowMs: number; readonly endsAtMs: number },
): Pick<SessionRecord, "refreshExpiresAtMs" | "expiresAtMs"> {
  return {
    refreshExpiresAtMs: Math.min(nowMs + refreshTtlMs, endsAtMs),
    expiresAtMs: Math.min(nowMs + Math.max(refreshTtlMs, accessTtlMs), endsAtMs),
  };
}

/** Ends one session. False when it was not there. */
export function removeSession(
  deps: AuditDeps,
  { userId, sessionId }: SessionIds,
  actor: Actor,
): Promise<boolean> {
  return untilCommitted(async () => {
    const session = await deps.kv.find(keys.session(userId, sessionId));
    if (!isPresent(session)) return false;
    const change = deps.kv.change().check(session).remove(session.key);
    const details = { session_id: sessionId };
    await addAuditEvents(deps, change, [{ type: "session_ended", actor, userId, details }]);
    return await change.commit() || LOST;
  });
}

/** Ends every session of the account but one. */
export function removeOtherSessions(
  deps: AuditDeps,
  { userId, keptSessionId }: { readonly userId: string; readonly keptSessionId: string | null },
  actor: Actor,
): Promise<true> {
  return untilCommitted(async () => {
    const change = deps.kv.change();
    await addSessionsEnd(deps.kv, change, { userId, keptSessionId });
    await addAuditEvents(deps, change, [{ type: "sessions_ended", actor, userId }]);
    return await change.commit() || LOST;
  });
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

/**
 * Adds the end of every session of an account that is disabled, as addSessionsEnd does, and puts the newest refresh token
 * of each on the blacklist: who has one is told why it is refused, and who makes one up is not.
 */
export async function addShutOut(kv: Kv, change: Change, userId: string): Promise<void> {
  for (
    const { key, value: { id: sessionId, refreshHash, refreshExpiresAtMs } } of await collectSessions(
      kv,
      userId,
    )
  ) {
    change.remove(key).set(keys.usedRefreshToken(userId, refreshHash), {
      userId,
      sessionId,
      rotatedAtMs: kv.nowMs(),
      successorNonce: null,
      successorExpiresAtMs: refreshExpiresAtMs,
      expiresAtMs: refreshExpiresAtMs,
    });
  }
}

/** Ends every session of every account that had begun when it was called. Returns how many. For operators. */
export async function removeAllSessions(deps: AuditDeps): Promise<number> {
  const { kv } = deps;
  const startedAtMs = kv.nowMs();
  // Before the first is gone: so it is told even when this is killed half-way.
  await insertAuditEvent(deps, { type: "sessions_ended", actor: OPERATOR, userId: null });
  let count = 0;
  let cursor: string | null = null;
  do {
    const page: Page<SessionRecord> = await kv.collect(keys.sessions(), { limit: REMOVAL_STEP, cursor });
    const older = page.entries.filter(({ value }) => value.createdAtMs <= startedAtMs);
    await kv.change().remove(...older.map(({ key }) => key)).commit();
    count += older.length;
    cursor = page.cursor;
  } while (cursor !== null);
  return count;
}

/** The sessions of an account, oldest first: all of them, however many have expired and are not swept yet. */
export async function collectSessions(kv: Kv, userId: string): Promise<Present<SessionRecord>[]> {
  return await collectAll(kv, keys.sessionsOf(userId));
}

/**
 * Notes that a session is in use, at most once a minute. Losing a race here loses nothing, and a store that takes no
 * writes now must not turn a read away.
 */
export async function touchSession(kv: Kv, session: Present<SessionRecord>): Promise<void> {
  const nowMs = kv.nowMs();
  if (nowMs - session.value.lastUsedAtMs < LAST_USED_INTERVAL_MS) return;
  const used = { ...session.value, lastUsedAtMs: nowMs };
  await kv.change().check(session).set(session.key, used).commit().catch(() => false);
}

/** Hashes of networks that the account signed in from within 30 days; at most `limit`. */
export async function collectKnownNetworks(kv: Kv, userId: string, limit: number): Promise<string[]> {
  const networks = await collectAll(kv, keys.knownNetworksOf(userId));
  return networks.slice(0, limit).map(({ key }) => String(key.path.at(-1)));
}

/** Whether the account signed in from this network within 30 days. */
export async function isKnownNetwork(
  kv: Kv,
  { userId, networkHash }: { readonly userId: string; readonly networkHash: string },
): Promise<boolean> {
  return isPresent(await kv.find(keys.knownNetwork(userId, networkHash)));
}
