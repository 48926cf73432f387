// Accounts: the user record, its password apart from it, and the indexes by email and username, always changed in
// one commit. The indexes hold ids; a lookup reads the index first and the record second.

import { digest } from "../secrets.ts";
import { newId } from "../id.ts";
import { type CredentialRecord, keys, type UsernameRecord, type UserRecord } from "./keys.ts";
import { type Change, type Entry, isPresent, type Kv, LOST, type Present, untilCommitted } from "./kv.ts";

/** An account with its password, as it was read in one snapshot. */
export interface Account {
  readonly user: Present<UserRecord>;
  readonly credential: Present<CredentialRecord>;
}

/** What a new account starts with. */
export interface NewUser {
  /** Canonical: as the contract's email field gives it. */
  readonly email: string;
  readonly username: string | null;
  readonly name: string | null;
  readonly locale: string | null;
  readonly passwordHash: string;
}

/** The members that somebody may set. */
export type UserPatch = Partial<
  Pick<UserRecord, "username" | "name" | "locale" | "role" | "plan" | "status" | "lastLoginAtMs">
>;

/** How an email becomes a key: SHA-256, so that no address stands in one. */
export function hashEmail(email: string): string {
  return digest(email);
}

/** The account of a canonical address, or null. */
export async function findAccountByEmail(kv: Kv, email: string): Promise<Account | null> {
  const index = await kv.find(keys.userIdByEmail(hashEmail(email)));
  // An unknown address costs the same two reads.
  const userId = index.value ?? "nobody";
  const [user, credential] = await kv.findMany([keys.user(userId), keys.credential(userId)]);
  return isPresent(user) && isPresent(credential) ? { user, credential } : null;
}

/** Whether an account has this canonical address. */
export async function isEmailTaken(kv: Kv, email: string): Promise<boolean> {
  return (await kv.find(keys.userIdByEmail(hashEmail(email)))).value !== null;
}

/**
 * Adds a new, verified account to `change`. Null when the address has an account already, or the username is
 * somebody else's; a reservation made by the registration `challengeHash` is taken over.
 */
export async function addUser(
  kv: Kv,
  change: Change,
  { newUser, challengeHash, role = "user" }: {
    readonly newUser: NewUser;
    readonly challengeHash: string | null;
    readonly role?: UserRecord["role"];
  },
): Promise<UserRecord | null> {
  const nowMs = kv.nowMs();
  const index = await kv.find(keys.userIdByEmail(hashEmail(newUser.email)));
  if (isPresent(index)) return null;
  const user: UserRecord = {
    id: newId(nowMs),
    email: newUser.email,
    isEmailVerified: true,
    username: newUser.username,
    name: newUser.name,
    locale: newUser.locale,
    role,
    plan: "free",
    status: "active",
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    lastLoginAtMs: null,
    codeEpoch: 0,
  };
  change.check(index)
    .set(index.key, user.id)
    .set(keys.user(user.id), user)
    .set(keys.credential(user.id), { passwordHash: newUser.passwordHash, changedAtMs: nowMs });
  if (user.username !== null) {
    const username = await findFreeUsername(kv, user.username, { challengeHash });
    if (!username) return null;
    change.check(username).set(username.key, { owner: "user", userId: user.id });
  }
  return user;
}

/** Reserves a username for a pending registration. False when it is taken. */
export async function addUsernameReservation(
  kv: Kv,
  change: Change,
  { username, email, challengeHash, expiresAtMs }: {
    readonly username: string;
    readonly email: string;
    readonly challengeHash: string;
    readonly expiresAtMs: number;
  },
): Promise<boolean> {
  const entry = await findFreeUsername(kv, username, { challengeHash });
  if (!entry) return false;
  change.check(entry).set(entry.key, {
    owner: "registration",
    challengeHash,
    emailHash: hashEmail(email),
    expiresAtMs,
  });
  return true;
}

/** Whether nobody has the username, and no pending registration reserves it. */
export async function isUsernameFree(kv: Kv, username: string): Promise<boolean> {
  return await findFreeUsername(kv, username, { challengeHash: null }) !== null;
}

/** The new state of an account's password: only `passwordHash` differs when a hash is renewed at sign-in. */
export async function replacePasswordHash(
  kv: Kv,
  { credential, passwordHash }: {
    readonly credential: Present<CredentialRecord>;
    readonly passwordHash: string;
  },
): Promise<boolean> {
  return await kv.change().check(credential).set(credential.key, { ...credential.value, passwordHash })
    .commit();
}

/** Sets the role, and says what stands now; null when there is no such account. */
export function replaceRole(kv: Kv, userId: string, role: UserRecord["role"]): Promise<UserRecord | null> {
  return untilCommitted(async () => {
    const entry = await kv.find(keys.user(userId));
    if (!isPresent(entry)) return null;
    const user = { ...entry.value, role, updatedAtMs: kv.nowMs() };
    return await kv.change().check(entry).set(entry.key, user).commit() ? user : LOST;
  });
}

/** The entry to check and write when the username is free, or reserved by `challengeHash` itself; else null. */
async function findFreeUsername(
  kv: Kv,
  username: string,
  { challengeHash }: { readonly challengeHash: string | null },
): Promise<Entry<UsernameRecord> | null> {
  const entry = await kv.find(keys.username(username.toLowerCase()));
  if (!isPresent(entry)) return entry;
  if (entry.value.owner === "user") return null;
  if (entry.value.challengeHash === challengeHash) return entry;
  // A pending registration ends when its challenge does, or when its address got an account by another one.
  const [challenge, account] = await kv.findMany([
    keys.challenge(entry.value.challengeHash),
    keys.userIdByEmail(entry.value.emailHash),
  ]);
  const isPending = isPresent(challenge) && !isPresent(account);
  return isPending ? null : entry;
}
