// Deletion of an account. The first commit decides: the record, the password, the indexes and the sessions are gone,
// and a tombstone says what is left to clear. From then on nobody signs in, refreshes or writes, because every such
// commit checks a record that is not there any more. The rest goes in steps, each of which can be done twice.

import type { Deps } from "../deps.ts";
import { addAdminCount } from "./admins.ts";
import { addReplacement, insertChallenge, type IssuedChallenge } from "./challenges.ts";
import { keys, type TombstoneRecord, type UserRecord } from "./keys.ts";
import { type Change, isPresent, type Key, type Kv, type Present } from "./kv.ts";
import { addMail, removeMailsOfAddress } from "./mails.ts";
import { type Client, occasion } from "./client.ts";
import { addSessionsEnd } from "./sessions.ts";
import { hashEmail } from "./users.ts";

type StoreDeps = Pick<Deps, "kv" | "config" | "secrets" | "nowMs" | "wakeOutbox">;

/** Keys removed in one commit; well below what a commit can hold. */
const STEP = 200;
const TOMBSTONES_MAX = 100;

/** Begins a deletion, in place of an earlier one: the code goes to the account's address. */
export async function insertDeletion(deps: StoreDeps, user: UserRecord): Promise<IssuedChallenge> {
  const purpose = "account_deletion";
  const { id: userId, email, codeEpoch } = user;
  const draft = { purpose, email, userId, codeEpoch, payload: {} } as const;
  const challenge = await insertChallenge(deps, draft, async (change, { hash: challengeHash }) => {
    await addReplacement(deps, change, { userId, purpose, challengeHash });
    return true;
  });
  if (!challenge) throw new Error("Nothing refuses this challenge");
  return challenge;
}

/**
 * Adds the first step to the commit that uses the code up, and the last mail. Null when the challenge has become
 * void. The last active admin stays: nothing but the code is used up then.
 */
export async function addConfirmedDeletion(
  deps: StoreDeps,
  change: Change,
  { userId, codeEpoch, client }: {
    readonly userId: string;
    readonly codeEpoch: number;
    readonly client: Client;
  },
): Promise<"deleted" | "last_admin" | null> {
  const user = await deps.kv.find(keys.user(userId));
  if (!isPresent(user) || user.value.codeEpoch !== codeEpoch) return null;
  return await addDeletion(deps, change, { user, client }) ? "deleted" : "last_admin";
}

/** Adds the first step to `change`. False for the last active admin: then it adds nothing. */
export async function addDeletion(
  deps: StoreDeps,
  change: Change,
  { user, client }: { readonly user: Present<UserRecord>; readonly client: Client },
): Promise<boolean> {
  const { kv, secrets, nowMs } = deps;
  const { id: userId, email, username } = user.value;
  if (!await addAdminCount(kv, change, { before: user.value, after: null })) return false;
  await addSessionsEnd(kv, change, { userId, keptSessionId: null });
  change.check(user).remove(user.key, keys.credential(userId), keys.userIdByEmail(hashEmail(email)));
  if (username !== null) change.remove(keys.username(username.toLowerCase()));
  change.set(keys.tombstone(userId), {
    userId,
    addressHash: secrets.mac("address", email),
    deletedAtMs: nowMs(),
  });
  addMail(deps, change, {
    to: email,
    userId: null,
    content: { kind: "account_deleted", ...occasion(deps, client) },
  });
  return true;
}

/** Clears away what is left of a deleted account. Can be repeated at any point; an unknown id is nothing to do. */
export async function finishDeletion(kv: Kv, userId: string): Promise<void> {
  const tombstone = await kv.find(keys.tombstone(userId));
  if (isPresent(tombstone)) await clear(kv, tombstone.value);
}

/** Finishes what a crash interrupted, here or on another instance. */
export async function resumeDeletions(kv: Kv): Promise<void> {
  const { entries } = await kv.collect(keys.tombstones(), { limit: TOMBSTONES_MAX });
  for (const { value } of entries) await clear(kv, value);
}

async function clear(kv: Kv, { userId, addressHash }: TombstoneRecord): Promise<void> {
  for (const prefix of prefixesOf(userId)) await removeAll(kv, prefix);
  await removeMailsOfAddress(kv, addressHash);
  await kv.change()
    .remove(keys.window("user", userId), keys.window("password", userId), keys.tombstone(userId))
    .commit();
}

/** Everything that lies under the account's id. A new kind of record that does belongs here. */
function prefixesOf(userId: string): Key<unknown>[] {
  return [
    keys.sessionsOf(userId),
    keys.usedRefreshTokensOf(userId),
    keys.knownNetworksOf(userId),
    keys.currentChallengesOf(userId),
    keys.notesOf(userId),
    keys.noteCount(userId),
  ];
}

async function removeAll(kv: Kv, prefix: Key<unknown>): Promise<void> {
  while (true) {
    const { entries } = await kv.collect(prefix, { limit: STEP });
    if (entries.length === 0) return;
    await kv.change().remove(...entries.map(({ key }) => key)).commit();
  }
}
