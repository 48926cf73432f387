// What can be wrong with accounts and what leads to them, and what a check says of it. Each does its damage past every
// rule, and returns the sentences.

import assert from "node:assert/strict";
import { digest } from "../src/secrets.ts";
import { keys } from "../src/store/keys.ts";
import type { Key } from "../src/store/kv.ts";
import { overwriteUser, sessionIdOf } from "./person.ts";
import { requireRecord, type Scene } from "./store_check_scene.ts";

/** By name; in any order of the sentences. */
export type Damages = Readonly<Record<string, (scene: Scene) => Promise<readonly string[]>>>;

const BOB = digest("bob@example.org");
const ROBERT = digest("robert@example.org");

export const accountDamages: Damages = {
  async "a user is gone"({ db, bob }) {
    await remove(db, keys.user(bob.id));
    return [`credentials/${bob.id} belongs to nobody`, ...leadsNowhere(bob.id)];
  },
  async "a user has no form"({ db, bob }) {
    await db.set(keys.user(bob.id).path, { id: bob.id });
    return [`users/${bob.id} does not have the form of its kind`, ...leadsNowhere(bob.id)];
  },
  async "a user is another one"({ db, bob, root }) {
    await alter(db, keys.user(bob.id), { id: root.id });
    return [
      `users/${bob.id} does not own its username`,
      `users/${bob.id} is not found by its address`,
      `users/${bob.id} is not found by searching its address`,
      `users/${bob.id} is not found by searching its role, status and plan`,
      `users/${bob.id} is not found by searching its username`,
      `users/${bob.id} says that it is another one`,
      `users_by_facets/user/active/free/${bob.id} leads to no account of that role, status and plan`,
    ];
  },
  async "a user has no password"({ db, bob }) {
    await remove(db, keys.credential(bob.id));
    return [`users/${bob.id} has no password`];
  },
  async "a password has no hash"({ db, bob }) {
    await db.set(keys.credential(bob.id).path, { changedAtMs: 0 });
    return [`credentials/${bob.id} has no hash`];
  },
  async "an address is lost"({ db, bob }) {
    await remove(db, keys.userIdByEmail(BOB));
    return [`users/${bob.id} is not found by its address`];
  },
  async "an address leads to somebody else"({ db, bob, root }) {
    await db.set(keys.userIdByEmail(BOB).path, root.id);
    return [
      `users/${bob.id} is not found by its address`,
      `users_by_email/${BOB} leads to no account of that address`,
    ];
  },
  async "an address leads to nothing that is an id"({ db, bob }) {
    await db.set(keys.userIdByEmail(BOB).path, { id: bob.id });
    return [
      `users/${bob.id} is not found by its address`,
      `users_by_email/${BOB} does not have the form of its kind`,
    ];
  },
  async "a second address leads to somebody"({ db, bob }) {
    await db.set(keys.userIdByEmail(ROBERT).path, bob.id);
    return [`users_by_email/${ROBERT} leads to no account of that address`];
  },
  async "a username is lost"({ db, bob }) {
    await remove(db, keys.username("bob"));
    return [`users/${bob.id} does not own its username`];
  },
  async "a username is somebody else's"({ db, bob, root }) {
    await db.set(keys.username("bob").path, { owner: "user", userId: root.id });
    return [
      `users/${bob.id} does not own its username`,
      "usernames/bob leads to no account of that username",
    ];
  },
  async "a username is reserved by a registration that is gone"({ db }) {
    const { value } = await requireRecord(db, keys.username("newcomer"));
    assert(value.owner === "registration");
    await remove(db, keys.challenge(value.challengeHash));
    return ["usernames/newcomer is reserved by no registration"];
  },
  async "a reservation outlives its registration"({ db }) {
    const { value } = await requireRecord(db, keys.username("newcomer"));
    await db.set(keys.username("newcomer").path, { ...value, expiresAtMs: Infinity });
    return ["usernames/newcomer is reserved by no registration"];
  },
  async "a username is nobody's"({ db }) {
    const { value } = await requireRecord(db, keys.username("newcomer"));
    await db.set(keys.username("newcomer").path, { ...value, owner: "nobody" });
    return ["usernames/newcomer is neither an account's nor a registration's"];
  },
  async "searching misses an address"({ db, bob }) {
    await remove(db, keys.userByText(bob.email, bob.id));
    return [`users/${bob.id} is not found by searching its address`];
  },
  async "searching misses a username"({ db, bob }) {
    await remove(db, keys.userByText("bob", bob.id));
    return [`users/${bob.id} is not found by searching its username`];
  },
  async "searching finds a username that nobody has"({ db, bob }) {
    await db.set(keys.userByText("robert", bob.id).path, bob.id);
    return [`users_by_text/robert/${bob.id} leads to no account of that address or username`];
  },
  async "searching finds an address under another account's name"({ db, bob, root }) {
    await db.set(keys.userByText(root.email, bob.id).path, root.id);
    return [`users_by_text/…/${bob.id} says that it is another one`];
  },
  async "a user stands on another shelf"({ db, bob }) {
    await remove(db, keys.userByFacets(bob));
    await db.set(keys.userByFacets({ ...bob, plan: "premium" }).path, bob.id);
    return [
      `users/${bob.id} is not found by searching its role, status and plan`,
      `users_by_facets/user/active/premium/${bob.id} leads to no account of that role, status and plan`,
    ];
  },
  async "the active admins are miscounted"({ db }) {
    await db.set(keys.activeAdmins().path, { count: 2 });
    return ["active_admins says 2, and there are 1"];
  },
  async "nobody counts the active admins"({ db }) {
    await remove(db, keys.activeAdmins());
    return ["active_admins says 0, and there are 1"];
  },
  async "an account that is there is being cleared away"({ db, bob }) {
    await db.set(keys.tombstone(bob.id).path, { userId: bob.id, addressHash: "hash" });
    return [`tombstones/${bob.id} is that of an account that is there`];
  },
  async "a disabled account is signed in"({ server, db, bob }) {
    const { value } = await requireRecord(db, keys.sessions());
    const { id } = value;
    await db.set(keys.session(bob.id, id).path, { ...value, userId: bob.id });
    await remove(db, keys.userByFacets(bob));
    await overwriteUser(server, bob, { status: "disabled" });
    await db.set(keys.userByFacets({ ...bob, status: "disabled" }).path, bob.id);
    return [`sessions/${bob.id}/${id} belongs to a disabled account`];
  },
  async "a session stands under another account"({ db, root, bob }) {
    const id = sessionIdOf(root);
    await db.set(keys.session(bob.id, id).path, (await db.get(keys.session(root.id, id).path)).value);
    return [`sessions/${bob.id}/${id} says that it is another one`];
  },
  async "a session goes on for ever"({ db, root }) {
    await alter(db, keys.session(root.id, sessionIdOf(root)), { expiresAtMs: Infinity });
    return [`sessions/${root.id}/${sessionIdOf(root)} lives longer than a session may`];
  },
  async "a used refresh token works again"({ db, owner: { ada } }) {
    const { key: { path } } = await requireRecord(db, keys.usedRefreshTokensOf(ada.id));
    await alter(db, keys.session(ada.id, sessionIdOf(ada)), { refreshHash: String(path.at(-1)) });
    return [`sessions/${ada.id}/${sessionIdOf(ada)} goes on with a token that was used`];
  },
  async "a used refresh token is another account's"({ db, owner: { ada }, bob }) {
    const { key } = await requireRecord(db, keys.usedRefreshTokensOf(ada.id));
    await db.set(key.path, { ...(await db.get<object>(key.path)).value, userId: bob.id });
    return [`used_refresh_tokens/${ada.id}/${String(key.path.at(-1))} says that it is another one`];
  },
};

/** Takes a record out. */
export function remove(db: Deno.Kv, { path }: Key<unknown>): Promise<void> {
  return db.delete(path);
}

/** Writes members of a record. */
export async function alter<Value>(
  db: Deno.Kv,
  { path }: Key<Value>,
  members: Partial<Value>,
): Promise<void> {
  const { value } = await db.get<Value>(path);
  assert(value !== null);
  await db.set(path, { ...value, ...members });
}

/** What leads to Bob, once he is not there. */
function leadsNowhere(id: string): string[] {
  return [
    "usernames/bob leads to no account of that username",
    `users_by_email/${BOB} leads to no account of that address`,
    `users_by_facets/user/active/free/${id} leads to no account of that role, status and plan`,
    `users_by_text/bob/${id} leads to no account of that address or username`,
    `users_by_text/…/${id} leads to no account of that address or username`,
  ];
}
