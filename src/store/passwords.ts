// Passwords that change: by who knows the old one, or by who proved the mailbox. The new hash, the end of other
// sessions, of every code and of every reset token, and the mail that tells the owner are one commit.

import type { Deps, StoreDeps } from "../deps.ts";
import { digest, randomText } from "../secrets.ts";
import { type CredentialRecord, keys, type UserRecord } from "./keys.ts";
import { type Change, isPresent, LOST, type Present, untilCommitted } from "./kv.ts";
import { addAuditEvents } from "./audit.ts";
import { type Client, occasion, owner } from "./client.ts";
import { addMail } from "./mails.ts";
import { addSessionsEnd } from "./sessions.ts";

/** A reset token that can be used now, and whose it is. */
export interface ResetPermit {
  readonly user: UserRecord;
  readonly tokenHash: string;
}

/** How long a reset token may be kept before the new password is chosen. */
export const RESET_TOKEN_TTL_MS = 10 * 60 * 1000;

/**
 * Adds a fresh reset token to the commit that uses the code up, and gives it; it is stored only hashed. Null when the
 * challenge was for nobody, or became void: the account got another password or address since.
 */
export async function addResetToken(
  { kv }: Pick<Deps, "kv">,
  change: Change,
  { userId, codeEpoch }: { readonly userId: string | null; readonly codeEpoch: number },
): Promise<string | null> {
  if (userId === null) return null;
  const { value: user } = await kv.find(keys.user(userId));
  if (user?.codeEpoch !== codeEpoch) return null;
  const plainToken = `lkp_${randomText(32)}`;
  change.set(keys.resetToken(digest(plainToken)), {
    userId,
    codeEpoch,
    expiresAtMs: kv.nowMs() + RESET_TOKEN_TTL_MS,
  });
  return plainToken;
}

/** Whom a reset token is good for; null when it is used, expired, void or unknown. Uses nothing up. */
export async function findResetPermit(
  { kv }: Pick<Deps, "kv">,
  plainToken: string,
): Promise<ResetPermit | null> {
  const tokenHash = digest(plainToken);
  const { value: token } = await kv.find(keys.resetToken(tokenHash));
  if (token === null) return null;
  const { value: user } = await kv.find(keys.user(token.userId));
  return user?.codeEpoch === token.codeEpoch ? { user, tokenHash } : null;
}

/** Sets the password that a reset token allows. False when the token was used or became void meanwhile. */
export function resetPassword(
  deps: StoreDeps,
  { permit, passwordHash, client }: {
    readonly permit: ResetPermit;
    readonly passwordHash: string;
    readonly client: Client;
  },
): Promise<boolean> {
  const { kv } = deps;
  const userId = permit.user.id;
  return untilCommitted(async () => {
    const [token, user, credential] = await kv.findMany([
      keys.resetToken(permit.tokenHash),
      keys.user(userId),
      keys.credential(userId),
    ]);
    if (!isPresent(token) || !isPresent(user) || !isPresent(credential)) return false;
    if (token.value.codeEpoch !== user.value.codeEpoch) return false;
    const change = kv.change().check(token).remove(token.key);
    await addPassword(deps, change, { user, credential, passwordHash, keptSessionId: null });
    // Whoever read the code reads the mailbox.
    change.set(user.key, { ...nextEpoch(deps, user.value), isEmailVerified: true });
    addMail(deps, change, {
      to: user.value.email,
      userId,
      content: { kind: "password_reset_done", ...occasion(deps, client) },
    });
    await addAuditEvents(deps, change, [{ type: "password_reset", actor: owner(userId, client), userId }]);
    return await change.commit() || LOST;
  });
}

/** Sets a new password after the old one was proved against `verified`. False when that has changed meanwhile. */
export function changePassword(
  deps: StoreDeps,
  { userId, verified, passwordHash, keptSessionId, client }: {
    readonly userId: string;
    readonly verified: CredentialRecord;
    readonly passwordHash: string;
    readonly keptSessionId: string;
    readonly client: Client;
  },
): Promise<boolean> {
  const { kv } = deps;
  return untilCommitted(async () => {
    const [user, credential] = await kv.findMany([keys.user(userId), keys.credential(userId)]);
    if (
      !isPresent(user) || credential.value?.changedAtMs !== verified.changedAtMs || !isPresent(credential)
    ) {
      return false;
    }
    const change = kv.change();
    await addPassword(deps, change, { user, credential, passwordHash, keptSessionId });
    change.set(user.key, nextEpoch(deps, user.value));
    addMail(deps, change, {
      to: user.value.email,
      userId,
      content: { kind: "password_changed", ...occasion(deps, client) },
    });
    await addAuditEvents(deps, change, [{ type: "password_changed", actor: owner(userId, client), userId }]);
    return await change.commit() || LOST;
  });
}

async function addPassword(
  { kv }: Pick<Deps, "kv">,
  change: Change,
  { user, credential, passwordHash, keptSessionId }: {
    readonly user: Present<UserRecord>;
    readonly credential: Present<CredentialRecord>;
    readonly passwordHash: string;
    readonly keptSessionId: string | null;
  },
): Promise<void> {
  // Always later than before: a sign-in tells by it whether the password it has proved is still the one.
  const changedAtMs = Math.max(kv.nowMs(), credential.value.changedAtMs + 1);
  change.check(user, credential).set(credential.key, { passwordHash, changedAtMs });
  await addSessionsEnd(kv, change, { userId: user.value.id, keptSessionId });
}

/** The user whose pending codes and reset tokens are void from now on. */
export function nextEpoch({ kv }: Pick<Deps, "kv">, user: UserRecord): UserRecord {
  return { ...user, codeEpoch: user.codeEpoch + 1, updatedAtMs: kv.nowMs() };
}
