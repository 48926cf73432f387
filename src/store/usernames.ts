// Usernames: each is one person's, without regard to case. An account has its own; a registration reserves one until
// its time is over, whatever becomes of its address. Written only here, always in the commit of what they belong to.

import { hashEmail, keys, type UsernameRecord, type UserRecord } from "./keys.ts";
import { type Change, type Entry, isPresent, type Kv } from "./kv.ts";

/** A username, and the canonical address of who wants it. */
export interface WantedUsername {
  readonly username: string;
  readonly email: string;
}

/** Whether nobody has the username, and no pending registration of another address reserves it. */
export async function isUsernameFree(kv: Kv, wanted: WantedUsername): Promise<boolean> {
  return await findFreeUsername(kv, wanted) !== null;
}

/** Gives an account a username. False when it is somebody else's: then nothing is added. */
export async function addUsername(
  kv: Kv,
  change: Change,
  { userId, ...wanted }: WantedUsername & { readonly userId: string },
): Promise<boolean> {
  const username = await findFreeUsername(kv, wanted);
  if (!username) return false;
  change.check(username).set(username.key, { owner: "user", userId });
  return true;
}

/** Brings an account from its username to another one, or to none. False when the new one is somebody else's. */
export async function addUsernameMove(
  kv: Kv,
  change: Change,
  { before, after }: { readonly before: UserRecord; readonly after: UserRecord },
): Promise<boolean> {
  const from = before.username?.toLowerCase() ?? null;
  const to = after.username?.toLowerCase() ?? null;
  if (from === to) return true;
  if (to !== null) {
    const isFree = await addUsername(kv, change, { username: to, email: after.email, userId: after.id });
    if (!isFree) return false;
  }
  if (from !== null) change.remove(keys.username(from));
  return true;
}

/**
 * Reserves a username for a pending registration. False when it is taken; what another registration of the same address
 * has reserved is not, because somebody whose answer got lost registers again.
 */
export async function addUsernameReservation(
  kv: Kv,
  change: Change,
  { challengeHash, expiresAtMs, ...wanted }: WantedUsername & {
    readonly challengeHash: string;
    readonly expiresAtMs: number;
  },
): Promise<boolean> {
  const entry = await findFreeUsername(kv, wanted);
  if (!entry) return false;
  change.check(entry).set(entry.key, {
    owner: "registration",
    challengeHash,
    emailHash: hashEmail(wanted.email),
    expiresAtMs,
  });
  return true;
}

/** The entry to check and write when the username is free for who has, or will have, this address; else null. */
async function findFreeUsername(
  kv: Kv,
  { username, email }: WantedUsername,
): Promise<Entry<UsernameRecord> | null> {
  const entry = await kv.find(keys.username(username.toLowerCase()));
  if (!isPresent(entry)) return entry;
  if (entry.value.owner === "user") return null;
  // In force to its end, even if its address has an account by then: whoever reserved it would learn as much.
  return entry.value.emailHash === hashEmail(email) ? entry : null;
}
