// A new email address: asked for with the password, proved by a code that went there. The record, both indexes, the
// end of other sessions and of every other code, and the mails to both addresses are one commit.

import type { StoreDeps } from "../deps.ts";
import { hashEmail, keys, type UserRecord } from "./keys.ts";
import { addReplacement, insertChallenge, type IssuedChallenge } from "./challenges.ts";
import { addRelease } from "./freed_addresses.ts";
import { type Change, isPresent } from "./kv.ts";
import { addMail } from "./mails.ts";
import { addAuditEvents } from "./audit.ts";
import { type Client, occasion, owner } from "./client.ts";
import { nextEpoch } from "./passwords.ts";
import { addSessionsEnd } from "./sessions.ts";
import { addUserIndex } from "./user_index.ts";
import { findUser } from "./users.ts";

/**
 * Begins the change, in place of an earlier one, and tells the present address. "gone" when the account has been
 * deleted meanwhile.
 */
export async function insertEmailChange(
  deps: StoreDeps,
  { user, newEmail, client }: {
    readonly user: UserRecord;
    readonly newEmail: string;
    readonly client: Client;
  },
): Promise<IssuedChallenge | "gone"> {
  const purpose = "email_change";
  const draft = {
    purpose,
    email: newEmail,
    userId: user.id,
    codeEpoch: user.codeEpoch,
    payload: {},
    actor: owner(user.id, client),
  } as const;
  return await insertChallenge(deps, draft, async (change, { challengeHash }) => {
    const account = await findUser(deps.kv, user.id);
    if (!account) return "gone";
    change.check(account);
    await addReplacement(deps, change, { userId: user.id, purpose, challengeHash });
    addMail(deps, change, {
      to: user.email,
      userId: user.id,
      content: { kind: "email_change_requested", newEmail, ...occasion(deps, client) },
    });
    return "joined";
  });
}

/** Adds the change to the commit that uses its code up. Null when it has become void, or the address is taken. */
export async function addEmailChange(
  deps: StoreDeps,
  change: Change,
  { userId, codeEpoch, newEmail, keptSessionId, client }: {
    readonly userId: string;
    readonly codeEpoch: number;
    readonly newEmail: string;
    readonly keptSessionId: string;
    readonly client: Client;
  },
): Promise<true | null> {
  const { kv } = deps;
  const [user, newIndex] = await kv.findMany([keys.user(userId), keys.userIdByEmail(hashEmail(newEmail))]);
  if (!isPresent(user) || user.value.codeEpoch !== codeEpoch || isPresent(newIndex)) return null;
  const oldEmail = user.value.email;
  const changed: UserRecord = { ...nextEpoch(deps, user.value), email: newEmail, isEmailVerified: true };
  change.check(user, newIndex)
    .set(user.key, changed)
    .set(newIndex.key, userId)
    .remove(keys.userIdByEmail(hashEmail(oldEmail)));
  addUserIndex(change, { before: user.value, after: changed });
  addRelease(deps, change, oldEmail);
  await addSessionsEnd(kv, change, { userId, keptSessionId });
  for (const to of [oldEmail, newEmail]) {
    addMail(deps, change, {
      to,
      userId,
      content: {
        kind: "email_changed",
        newEmail,
        isToOldAddress: to === oldEmail,
        ...occasion(deps, client),
      },
    });
  }
  await addAuditEvents(deps, change, [{ type: "email_changed", actor: owner(userId, client), userId }]);
  return true;
}
