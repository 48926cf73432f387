// Accounts: the user record, its password apart from it, and the indexes by email and username, always changed in
// one commit. The indexes hold ids; a lookup reads the index first and the record second.

import { newId } from "../id.ts";
import { digest } from "../secrets.ts";
import { addAdminCount } from "./admins.ts";
import { addAuditEvents, type AuditDeps, type AuditDraft } from "./audit.ts";
import type { Actor } from "./client.ts";
import { type CredentialRecord, keys, type UsernameRecord, type UserRecord } from "./keys.ts";
import { type Change, type Entry, isPresent, type Kv, LOST, type Present, untilCommitted } from "./kv.ts";
import { nextEpoch } from "./passwords.ts";
import { addSessionsEnd } from "./sessions.ts";
import { addUserIndex } from "./user_index.ts";

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

/** What an account from another system brings along. */
export type ImportedPast = Pick<
  UserRecord,
  "id" | "isEmailVerified" | "plan" | "status" | "createdAtMs" | "lastLoginAtMs"
>;

/** The members that somebody may set, the person or an admin; those left out or undefined stay. */
export type UserPatch = {
  readonly [Member in "username" | "name" | "locale" | "role" | "plan" | "status"]?:
    | UserRecord[Member]
    | undefined;
};

const ACCOUNTS_PAGE = 500;

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

/** An account's record with its version, or null. */
export async function findUser(kv: Kv, userId: string): Promise<Present<UserRecord> | null> {
  const user = await kv.find(keys.user(userId));
  return isPresent(user) ? user : null;
}

/** A page of all accounts, oldest first, without those that are deleted meanwhile. `cursor` is null at the end. */
export async function collectAccounts(
  kv: Kv,
  { cursor }: { readonly cursor: string | null },
): Promise<{ readonly accounts: Account[]; readonly cursor: string | null }> {
  const users = await kv.collect(keys.users(), { limit: ACCOUNTS_PAGE, cursor });
  const accounts = await Promise.all(users.entries.map(async (user) => {
    const credential = await kv.find(keys.credential(user.value.id));
    return isPresent(credential) ? { user, credential } : null;
  }));
  return { accounts: accounts.filter((account) => account !== null), cursor: users.cursor };
}

/** Who has this canonical address, or null. */
export async function findUserIdByEmail(kv: Kv, email: string): Promise<string | null> {
  return (await kv.find(keys.userIdByEmail(hashEmail(email)))).value;
}

/** Whether an account has this canonical address. */
export async function isEmailTaken(kv: Kv, email: string): Promise<boolean> {
  return await findUserIdByEmail(kv, email) !== null;
}

/**
 * Adds a new account to `change`, verified unless its `past` says otherwise. Null when the address has an account
 * already, or the username or the imported id is somebody else's.
 */
export async function addUser(
  kv: Kv,
  change: Change,
  { newUser, role = "user", past }: {
    readonly newUser: NewUser;
    readonly role?: UserRecord["role"];
    readonly past?: ImportedPast;
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
    ...(past && { ...past, importedAtMs: nowMs }),
  };
  if (past) {
    // What is being cleared away below a deleted account's id would take the newcomer's along.
    const [namesake, tombstone] = await kv.findMany([keys.user(past.id), keys.tombstone(past.id)]);
    if (isPresent(namesake) || isPresent(tombstone)) return null;
    change.check(namesake, tombstone);
  }
  change.check(index)
    .set(index.key, user.id)
    .set(keys.user(user.id), user)
    .set(keys.credential(user.id), { passwordHash: newUser.passwordHash, changedAtMs: nowMs });
  if (user.username !== null) {
    const username = await findFreeUsername(kv, { username: user.username, email: user.email });
    if (!username) return null;
    change.check(username).set(username.key, { owner: "user", userId: user.id });
  }
  addUserIndex(change, { before: null, after: user });
  await addAdminCount(kv, change, { before: null, after: user });
  return user;
}

/**
 * Reserves a username for a pending registration. False when it is taken; what another registration of the same address
 * has reserved is not, because somebody whose answer got lost registers again.
 */
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
  const entry = await findFreeUsername(kv, { username, email });
  if (!entry) return false;
  change.check(entry).set(entry.key, {
    owner: "registration",
    challengeHash,
    emailHash: hashEmail(email),
    expiresAtMs,
  });
  return true;
}

/** A username, and the address of who wants it. */
export interface WantedUsername {
  readonly username: string;
  readonly email: string;
}

/** Whether nobody has the username, and no pending registration of another address reserves it. */
export async function isUsernameFree(kv: Kv, wanted: WantedUsername): Promise<boolean> {
  return await findFreeUsername(kv, wanted) !== null;
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

/** What became of a change to an account. */
export type UserChange =
  | { readonly outcome: "changed"; readonly user: Present<UserRecord> }
  | { readonly outcome: "missing" | "username_taken" | "last_admin" };

/**
 * Sets members of an account, the username's index with it. Whoever is disabled by it is out for good: sessions, codes
 * and reset tokens end in the same commit, so that enabling the account again revives none of them.
 */
export function replaceUser(
  deps: AuditDeps,
  userId: string,
  patch: UserPatch,
  actor: Actor,
): Promise<UserChange> {
  const { kv } = deps;
  return untilCommitted(async (): Promise<UserChange | typeof LOST> => {
    const entry = await kv.find(keys.user(userId));
    if (!isPresent(entry)) return { outcome: "missing" };
    const before = entry.value;
    const patched: UserRecord = { ...before, ...definedOf(patch), updatedAtMs: kv.nowMs() };
    const isShutOut = before.status === "active" && patched.status === "disabled";
    const after = isShutOut ? nextEpoch(kv, patched) : patched;
    const change = kv.change().check(entry).set(entry.key, after);
    addUserIndex(change, { before, after });
    if (isShutOut) await addSessionsEnd(kv, change, { userId, keptSessionId: null });
    if (!await addUsernameMove(kv, change, { before, after })) return { outcome: "username_taken" };
    if (!await addAdminCount(kv, change, { before, after })) return { outcome: "last_admin" };
    await addAuditEvents(deps, change, eventsOf({ before, after, actor }));
    if (!await change.commit()) return LOST;
    const now = await kv.find(entry.key);
    return isPresent(now) ? { outcome: "changed", user: now } : { outcome: "missing" };
  });
}

/** What the trail tells of a change: which of the person's own words changed, but not to what. */
function eventsOf(
  { before, after, actor }: {
    readonly before: UserRecord;
    readonly after: UserRecord;
    readonly actor: Actor;
  },
): AuditDraft[] {
  const facets = (["role", "status", "plan"] as const).filter((name) => before[name] !== after[name]);
  const words = (["username", "name", "locale"] as const).filter((name) => before[name] !== after[name]);
  const about = { actor, userId: after.id };
  return [
    ...facets.map((name) => ({
      type: `${name}_changed` as const,
      ...about,
      details: { from: before[name], to: after[name] },
    })),
    ...(words.length === 0
      ? []
      : [{ type: "profile_changed" as const, ...about, details: { members: words.join(" ") } }]),
  ];
}

function definedOf(patch: UserPatch): Partial<UserRecord> {
  return Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
}

/** False when the new username is somebody else's. */
async function addUsernameMove(
  kv: Kv,
  change: Change,
  { before, after }: { readonly before: UserRecord; readonly after: UserRecord },
): Promise<boolean> {
  const from = before.username?.toLowerCase() ?? null;
  const to = after.username?.toLowerCase() ?? null;
  if (from === to) return true;
  if (to !== null) {
    const username = await findFreeUsername(kv, { username: to, email: after.email });
    if (!username) return false;
    change.check(username).set(username.key, { owner: "user", userId: after.id });
  }
  if (from !== null) change.remove(keys.username(from));
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
  if (entry.value.emailHash === hashEmail(email)) return entry;
  // A pending registration ends when its challenge does, or when its address got an account by another one.
  const [challenge, account] = await kv.findMany([
    keys.challenge(entry.value.challengeHash),
    keys.userIdByEmail(entry.value.emailHash),
  ]);
  const isPending = isPresent(challenge) && !isPresent(account);
  return isPending ? null : entry;
}
