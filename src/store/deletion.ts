// Deletion of an account. The first commit decides: the record, the password, the indexes and the sessions are gone,
// and a tombstone says what is left to clear. From then on nobody signs in, refreshes or writes, because every such
// commit checks a record that is not there any more. The rest goes in steps, each of which can be done twice.

import type { Deps, StoreDeps } from "../deps.ts";
import type { MailContent } from "../mail/content.ts";
import { addAdminCount } from "./admins.ts";
import { addAuditEvents } from "./audit.ts";
import { wipeOrigins } from "./audit_origins.ts";
import { addReplacement, insertChallenge, type IssuedChallenge } from "./challenges.ts";
import { addRelease } from "./freed_addresses.ts";
import { hashEmail, keys, type TombstoneRecord, type UserRecord } from "./keys.ts";
import { type Change, isPresent, type Key, type Kv, LOST, type Present, untilCommitted } from "./kv.ts";
import { addMail } from "./mails.ts";
import { removeMailsOf } from "./mail_lists.ts";
import { collectNewest, pagesOf } from "./page.ts";
import { type Actor, type Client, occasion, owner } from "./client.ts";
import { addSessionsEnd } from "./sessions.ts";
import { addUserIndex } from "./user_index.ts";
import { findUser } from "./users.ts";

/** Keys removed in one commit; well below what a commit can hold. */
const STEP = 200;

/**
 * Begins a deletion, in place of an earlier one: the code goes to the account's address. "gone" when the account has
 * been deleted meanwhile.
 */
export async function insertDeletion(
  deps: StoreDeps,
  { user, client }: { readonly user: UserRecord; readonly client: Client },
): Promise<IssuedChallenge | "gone"> {
  const purpose = "account_deletion";
  const { id: userId, email, codeEpoch } = user;
  const actor = owner(userId, client);
  const draft = { purpose, email, userId, codeEpoch, payload: {}, actor } as const;
  return await insertChallenge(deps, draft, async (change, { challengeHash }) => {
    const account = await findUser(deps.kv, userId);
    if (!account) return "gone";
    change.check(account);
    await addReplacement(deps, change, { userId, purpose, challengeHash });
    return "joined";
  });
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
  const user = await findUser(deps.kv, userId);
  if (user?.value.codeEpoch !== codeEpoch) return null;
  const notice: MailContent = { kind: "account_deleted", ...occasion(deps, client) };
  return await addDeletion(deps, change, { user, notice, actor: owner(userId, client) })
    ? "deleted"
    : "last_admin";
}

/** Deletes an account for an admin, and mails its owner. The last active admin stays. */
export async function removeUser(
  deps: StoreDeps & Pick<Deps, "log">,
  userId: string,
  actor: Actor,
): Promise<"removed" | "missing" | "last_admin"> {
  const outcome = await untilCommitted(async () => {
    const user = await findUser(deps.kv, userId);
    if (!user) return "missing";
    const change = deps.kv.change();
    const notice: MailContent = { kind: "account_deleted_by_admin" };
    if (!await addDeletion(deps, change, { user, notice, actor })) return "last_admin";
    return await change.commit() ? "removed" : LOST;
  });
  if (outcome === "removed") await finishDeletion(deps, userId);
  return outcome;
}

/** Adds the first step to `change`, with the last mail. False for the last active admin: then it adds nothing. */
async function addDeletion(
  deps: StoreDeps,
  change: Change,
  { user, notice, actor }: {
    readonly user: Present<UserRecord>;
    readonly notice: MailContent;
    readonly actor: Actor;
  },
): Promise<boolean> {
  const { kv, secrets } = deps;
  const { id: userId, email, username } = user.value;
  if (!await addAdminCount(kv, change, { before: user.value, after: null })) return false;
  await addSessionsEnd(kv, change, { userId, keptSessionId: null });
  change.check(user).remove(user.key, keys.credential(userId), keys.userIdByEmail(hashEmail(email)));
  if (username !== null) change.remove(keys.username(username.toLowerCase()));
  addUserIndex(change, { before: user.value, after: null });
  addRelease(deps, change, email);
  change.set(keys.tombstone(userId), {
    userId,
    addressHash: secrets.mac("address", email),
  });
  addMail(deps, change, { to: email, userId: null, content: notice });
  await addAuditEvents(deps, change, [{ type: "account_deleted", actor, userId }]);
  return true;
}

/**
 * Clears away what is left of a deleted account. Can be repeated at any point; an unknown id is nothing to do. Never
 * rejects: the account is deleted already, and the jobs finish what fails here.
 */
export async function finishDeletion({ kv, log }: Pick<Deps, "kv" | "log">, userId: string): Promise<void> {
  try {
    const tombstone = await kv.find(keys.tombstone(userId));
    if (isPresent(tombstone)) await clear(kv, tombstone);
  } catch (error) {
    log.warn("deletion to be resumed", { cause: error instanceof Error ? error.message : String(error) });
  }
}

/** Finishes what a crash interrupted, here or on another instance. */
export async function resumeDeletions(kv: Kv): Promise<void> {
  for await (const tombstones of pagesOf(kv, keys.tombstones(), STEP)) {
    for (const tombstone of tombstones) await clear(kv, tombstone);
  }
}

async function clear(kv: Kv, tombstone: Present<TombstoneRecord>): Promise<void> {
  const { userId, addressHash } = tombstone.value;
  // A step that happens after the last one would take what belongs to whoever was imported under the id since.
  const startStep = (): Change => kv.change().check(tombstone);
  for await (const current of pagesOf(kv, keys.currentChallengesOf(userId), STEP)) {
    await startStep().remove(...current.map(({ value }) => keys.challenge(value.challengeHash))).commit();
  }
  for (const prefix of prefixesOf(userId)) {
    for await (const page of pagesOf(kv, prefix, STEP)) {
      await startStep().remove(...page.map(({ key }) => key)).commit();
    }
  }
  await wipeOrigins(kv, userId);
  await removeMailsOf(kv, userId);
  await removeMailsOf(kv, addressHash);
  const lastStep = startStep()
    .remove(
      keys.noteCount(userId),
      keys.window("user", userId),
      keys.window("password", userId),
    );
  // A mail that is still on its way keeps the tombstone, so that a later round takes the mail along.
  const waiting = await collectNewest(kv, keys.mailsOf(userId), { limit: 1, startId: null });
  if (waiting.length === 0) lastStep.remove(tombstone.key);
  await lastStep.commit();
}

/** Everything that lies below the account's id. A new kind of record that does belongs here. */
function prefixesOf(userId: string): Key<unknown>[] {
  return [
    keys.sessionsOf(userId),
    keys.usedRefreshTokensOf(userId),
    keys.knownNetworksOf(userId),
    keys.currentChallengesOf(userId),
    keys.notesOf(userId),
  ];
}
