// Rotation of refresh tokens (RFC 9700 §4.14.2): the new token of the session and the old one's place on the blacklist
// are one commit, so that of many callers one wins and the others get the same successor.

import type { StoreDeps } from "../deps.ts";
import {
  createSuccessorNonce,
  deriveSuccessor,
  hashRefreshToken,
  parseRefreshToken,
  type RefreshTokenParts,
} from "../refresh_token.ts";
import { isSameHash } from "../secrets.ts";
import { addAuditEvents } from "./audit.ts";
import { anyone, type Client, occasion } from "./client.ts";
import { keys, type SessionRecord, type UsedRefreshTokenRecord, type UserRecord } from "./keys.ts";
import { type Entry, isPresent, type Kv, LOST, untilCommitted } from "./kv.ts";
import { addMail } from "./mails.ts";
import { lifeOf, type SessionGrant, type SessionIds } from "./sessions.ts";

/** What became of a presented refresh token. */
export type Rotation =
  | { readonly outcome: "rotated"; readonly grant: SessionGrant }
  | { readonly outcome: "invalid" }
  | { readonly outcome: "disabled" }
  /** Used before, and not just now: its session has ended with this call, unless it had already. */
  | { readonly outcome: "reused" };

/** A well-formed refresh token, and what the store held about it at one moment. */
export interface PresentedToken {
  readonly plainToken: string;
  readonly hash: string;
  readonly parts: RefreshTokenParts;
  readonly user: Entry<UserRecord>;
  readonly session: Entry<SessionRecord>;
  readonly used: Entry<UsedRefreshTokenRecord>;
}

/** Looks a refresh token up, in one read. Null when it does not have the form of one. */
export async function findPresentedToken(kv: Kv, plainToken: string): Promise<PresentedToken | null> {
  const parts = parseRefreshToken(plainToken);
  if (!parts) return null;
  const hash = hashRefreshToken(plainToken);
  const [user, session, used] = await kv.findMany([
    keys.user(parts.userId),
    keys.session(parts.userId, parts.sessionId),
    keys.usedRefreshToken(parts.userId, hash),
  ]);
  return { plainToken, hash, parts, user, session, used };
}

/**
 * Exchanges a refresh token for its successor (RFC 9700 §4.14.2). One commit decides, and fails when the session is
 * not as `presented` saw it; then the token is looked up again. Presented again within the grace it gives the same
 * successor; later it ends the session, and its owner is mailed.
 */
export function rotateRefreshToken(
  deps: StoreDeps,
  presented: PresentedToken,
  client: Client,
): Promise<Rotation> {
  let current: PresentedToken | null = presented;
  return untilCommitted(async () => {
    current ??= await findPresentedToken(deps.kv, presented.plainToken);
    if (!current) return { outcome: "invalid" };
    const rotation = await tryRotation(deps, current, client);
    current = null;
    return rotation;
  });
}

async function tryRotation(
  deps: StoreDeps,
  { plainToken, hash, parts, user, session, used }: PresentedToken,
  client: Client,
): Promise<Rotation | typeof LOST> {
  const { kv, config, secrets } = deps;
  const nowMs = kv.nowMs();
  if (user.value?.status === "disabled") {
    // Not to who knows the account's id only.
    const isOwn = isPresent(used) || isPresent(session) && isSameHash(session.value.refreshHash, hash);
    return { outcome: isOwn ? "disabled" : "invalid" };
  }

  if (isPresent(used)) {
    const { rotatedAtMs, successorNonce, successorExpiresAtMs } = used.value;
    if (successorNonce === null) return { outcome: "invalid" };
    // A clock that stepped back makes the age negative: it counts as none, and the step is what it lasts longer.
    if (nowMs - rotatedAtMs >= config.refreshGraceMs) {
      return await endReplayed(deps, { user, session, client });
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
  if (!isSameHash(session.value.refreshHash, hash)) return { outcome: "invalid" };
  if (nowMs >= session.value.refreshExpiresAtMs) return { outcome: "invalid" };

  const successorNonce = createSuccessorNonce();
  const plainRefreshToken = deriveSuccessor(secrets, plainToken, { nonce: successorNonce, parts });
  const rotated: SessionRecord = {
    ...session.value,
    lastUsedAtMs: nowMs,
    refreshHash: hashRefreshToken(plainRefreshToken),
    ...lifeOf(config, { nowMs, endsAtMs: session.value.endsAtMs }),
  };
  const isCommitted = await kv.change()
    .check(session)
    .set(session.key, rotated)
    .set(used.key, {
      ...parts,
      rotatedAtMs: nowMs,
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
  deps: StoreDeps,
  { user, session, client }: {
    readonly user: Entry<UserRecord>;
    readonly session: Entry<SessionRecord>;
    readonly client: Client;
  },
): Promise<Rotation | typeof LOST> {
  if (!isPresent(session) || user.value === null) return { outcome: "reused" };
  const { id: userId, email: to } = user.value;
  const change = deps.kv.change().check(session).remove(session.key);
  addMail(deps, change, {
    to,
    userId,
    content: { kind: "refresh_token_replayed", ...occasion(deps, client) },
  });
  await addAuditEvents(deps, change, [{
    type: "refresh_token_reused",
    actor: anyone(client),
    userId,
    details: { session_id: session.value.id },
  }]);
  return await change.commit() ? { outcome: "reused" } : LOST;
}

/**
 * Whose a presented token is while it could still be exchanged: the newest of its session, or a predecessor within
 * its grace. Null otherwise.
 */
export function ownerOfToken(
  { kv, config }: Pick<StoreDeps, "kv" | "config">,
  { hash, parts, session, used }: PresentedToken,
): SessionIds | null {
  if (!isPresent(session)) return null;
  const nowMs = kv.nowMs();
  if (isPresent(used)) return nowMs - used.value.rotatedAtMs < config.refreshGraceMs ? parts : null;
  const isCurrent = isSameHash(session.value.refreshHash, hash) && nowMs < session.value.refreshExpiresAtMs;
  return isCurrent ? parts : null;
}
