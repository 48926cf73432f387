// Accounts: the user record, its password apart from it, and the index by email, always changed in one commit with the
// username (usernames.ts). The index holds ids; a lookup reads it first and the record second.

import { newId } from "../id.ts";
import { addAdminCount } from "./admins.ts";
import { addAuditEvents, type AuditDeps, type AuditDraft } from "./audit.ts";
import type { Actor } from "./client.ts";
import { type CredentialRecord, hashEmail, keys, type UserRecord } from "./keys.ts";
import { type Change, isPresent, type Kv, LOST, type Present, untilCommitted } from "./kv.ts";
import { nextEpoch } from "./passwords.ts";
import { addShutOut } from "./sessions.ts";
import { addUserIndex } from "./user_index.ts";
import { addUsername, addUsernameMove } from "./usernames.ts";

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
    const isFree = await addUsername(kv, change, {
      username: user.username,
      email: user.email,
      userId: user.id,
    });
    if (!isFree) return null;
  }
  addUserIndex(change, { before: null, after: user });
  await addAdminCount(kv, change, { before: null, after: user });
  return user;
}

/** Puts a renewed hash of the same password in place of the old one. False on a lost race. */
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
    const after = isShutOut ? nextEpoch(deps, patched) : patched;
    const change = kv.change().check(entry).set(entry.key, after);
    addUserIndex(change, { before, after });
    if (isShutOut) await addShutOut(kv, change, userId);
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
