// The index of users: it says what the records say, whatever was done to them, and every list that is read through it
// is the list that looking at all of them would give.

import assert from "node:assert/strict";
import fc from "fast-check";
import { newId } from "../src/id.ts";
import { createSecrets } from "../src/secrets.ts";
import { OPERATOR } from "../src/store/client.ts";
import { removeUser } from "../src/store/deletion.ts";
import { addEmailChange } from "../src/store/email_change.ts";
import { keys, type UserFacets, type UserRecord } from "../src/store/keys.ts";
import type { Kv } from "../src/store/kv.ts";
import type { ItemPage } from "../src/store/page.ts";
import { addUserIndex, collectUsers, type UserFilter } from "../src/store/user_index.ts";
import { addUser, replaceUser } from "../src/store/users.ts";
import { startServer, type TestServer } from "./harness.ts";

const AUDIT = {
  secrets: createSecrets("a-key-of-32-bytes-for-this-index-0"),
  config: { auditRetentionMs: 86_400_000 },
};
const CLIENT = { address: "192.0.2.1", networkHash: "network", userAgent: null, requestId: "request" };

const facets = {
  role: fc.constantFrom<UserRecord["role"]>("user", "admin"),
  status: fc.constantFrom<UserRecord["status"]>("active", "disabled"),
  plan: fc.constantFrom<UserRecord["plan"]>("free", "premium"),
};
/** Few letters, so that many start alike; usernames with capitals. */
const localPart = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 3 });
const username = fc.string({ unit: fc.constantFrom("a", "B"), minLength: 3, maxLength: 4 });
const filter: fc.Arbitrary<UserFilter> = fc.record(
  { ...facets, q: fc.string({ unit: fc.constantFrom("a", "b", "@", "~"), minLength: 1, maxLength: 4 }) },
  { requiredKeys: [] },
);

/** Every user there is, by looking at each record. */
async function allUsers(kv: Kv): Promise<UserRecord[]> {
  const { entries } = await kv.collect(keys.users(), { limit: 1000, isNewestFirst: true });
  return entries.map(({ value }) => value);
}

function fits(user: UserRecord, { q, role, status, plan }: UserFilter): boolean {
  if (role && user.role !== role) return false;
  if (status && user.status !== status) return false;
  if (plan && user.plan !== plan) return false;
  return q === undefined || user.email.startsWith(q) || !!user.username?.toLowerCase().startsWith(q);
}

/** Writes whole records, index and all, past the rules for accounts. */
async function write(kv: Kv, users: readonly UserRecord[]): Promise<void> {
  for (let first = 0; first < users.length; first += 50) {
    const change = kv.change();
    for (const user of users.slice(first, first + 50)) {
      change.set(keys.user(user.id), user);
      addUserIndex(change, { before: null, after: user });
    }
    assert(await change.commit());
  }
}

function record(number: number, members: Partial<UserRecord> = {}): UserRecord {
  const createdAtMs = Date.UTC(2026, 0, 1) + number;
  return {
    id: newId(createdAtMs),
    email: `user${number}@example.org`,
    isEmailVerified: true,
    username: null,
    name: null,
    locale: null,
    role: "user",
    plan: "free",
    status: "active",
    createdAtMs,
    updatedAtMs: createdAtMs,
    lastLoginAtMs: null,
    codeEpoch: 0,
    ...members,
  };
}

/** What somebody does to one of the accounts, or to a new one. */
type Deed =
  | { readonly deed: "insert"; readonly localPart: string; readonly username: string | null }
  | {
    readonly deed: "change";
    readonly at: number;
    readonly patch: Partial<UserFacets & { username: string | null }>;
  }
  | { readonly deed: "move"; readonly at: number; readonly localPart: string }
  | { readonly deed: "remove"; readonly at: number };

const at = fc.nat({ max: 20 });
const deed: fc.Arbitrary<Deed> = fc.oneof(
  fc.record({ deed: fc.constant("insert"), localPart, username: fc.option(username) }),
  fc.record({
    deed: fc.constant("change"),
    at,
    patch: fc.record({ ...facets, username: fc.option(username) }, { requiredKeys: [] }),
  }),
  fc.record({ deed: fc.constant("move"), at, localPart }),
  fc.record({ deed: fc.constant("remove"), at }),
);

/** Through the functions that the routes use; a refusal is as good as a success. */
async function act({ kv, deps, clock }: TestServer, deed: Deed): Promise<void> {
  clock.nowMs += 1;
  if (deed.deed === "insert") {
    const change = kv.change();
    const newUser = {
      email: `${deed.localPart}@example.org`,
      username: deed.username,
      name: null,
      locale: null,
      passwordHash: "",
    };
    if (await addUser(kv, change, { newUser })) assert(await change.commit());
    return;
  }
  const users = await allUsers(kv);
  const user = users[deed.at % users.length];
  if (!user) return;
  const { id: userId, codeEpoch } = user;
  if (deed.deed === "change") await replaceUser(deps, userId, deed.patch, OPERATOR);
  if (deed.deed === "remove") await removeUser(deps, userId, OPERATOR);
  if (deed.deed === "move") {
    const change = kv.change();
    const newEmail = `${deed.localPart}@example.net`;
    const draft = { userId, codeEpoch, newEmail, keptSessionId: "", client: CLIENT };
    if (await addEmailChange(deps, change, draft)) assert(await change.commit());
  }
}

Deno.test("the index says what the records say, whatever was done to them", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { maxLength: 30 }), async (deeds) => {
      await using server = await startServer();
      for (const deed of deeds) await act(server, deed);
      const users = await allUsers(server.kv);
      const due = users.flatMap(({ id, email, username, role, status, plan }) => [
        ["users_by_facets", role, status, plan, id],
        ["users_by_text", email, id],
        ...username === null ? [] : [["users_by_text", username.toLowerCase(), id]],
      ]);
      const indexes = ["users_by_facets", "users_by_text"].map((prefix) =>
        server.db.list({ prefix: [prefix] })
      );
      const entries = (await Promise.all(indexes.map((index) => Array.fromAsync(index)))).flat();
      assert.deepEqual(entries.map(({ key }) => key.join()).sort(), due.map((path) => path.join()).sort());
      assert(entries.every(({ key, value }) => value === key.at(-1)));
    }),
    { numRuns: 40 },
  );
});

/** All pages, and whether one but the last was short. */
async function walk(
  kv: Kv,
  filter: UserFilter,
  { limit, searchMax }: { readonly limit: number; readonly searchMax?: number },
): Promise<{ users: UserRecord[]; hasShortPage: boolean }> {
  const users: UserRecord[] = [];
  let hasShortPage = false;
  let startId: string | null = null;
  do {
    const { items, nextId }: ItemPage<UserRecord> = await collectUsers(
      kv,
      filter,
      { limit, startId },
      searchMax === undefined ? {} : { searchMax },
    );
    users.push(...items);
    hasShortPage ||= nextId !== null && items.length < limit;
    startId = nextId;
  } while (startId !== null);
  return { users, hasShortPage };
}

Deno.test("collectUsers: every filter gives what looking at all users gives, whether few or many fit", async () => {
  await using server = await startServer();
  const draft = fc.record({ ...facets, localPart, username: fc.option(username) });
  const drafts = fc.sample(draft, { numRuns: 150, seed: 4 });
  await write(
    server.kv,
    drafts.map(({ localPart, ...members }, number) =>
      record(number, { ...members, email: `${localPart}@example.org` })
    ),
  );
  const all = await allUsers(server.kv);
  await fc.assert(
    fc.asyncProperty(
      filter,
      fc.integer({ min: 1, max: 100 }),
      fc.constantFrom(1, 10, 50, 1000),
      async (filter, limit, searchMax) => {
        const { users, hasShortPage } = await walk(server.kv, filter, { limit, searchMax });
        assert.deepEqual(users, all.filter((user) => fits(user, filter)));
        assert(!hasShortPage || filter.q !== undefined && searchMax < all.length);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("collectUsers: shows once who changes plans while both are read", async () => {
  const ada = record(1);
  const moved = Promise.withResolvers<void>();
  const moveBetween = (kv: Kv): Kv => ({
    ...kv,
    async collect(prefix, options) {
      if (prefix.path.at(-1) === "premium") await moved.promise;
      const page = await kv.collect(prefix, options);
      if (prefix.path.at(-1) === "free") {
        await replaceUser({ ...AUDIT, kv }, ada.id, { plan: "premium" }, OPERATOR);
        moved.resolve();
      }
      return page;
    },
  });
  await using server = await startServer({ wrapKv: moveBetween });
  await write(server.kv, [ada]);
  const { items } = await collectUsers(server.kv, { role: "user" }, { limit: 20, startId: null });
  assert.deepEqual(items.map(({ id, plan }) => [id, plan]), [[ada.id, "premium"]]);
});

Deno.test("collectUsers: a search that 1,100 fit is whole and in order", async () => {
  await using server = await startServer();
  const users = Array.from(
    { length: 1_200 },
    (_, number) =>
      record(
        number,
        number % 12 === 0 ? { email: `x${number}@example.org` } : { username: `USER-${number}` },
      ),
  );
  await write(server.kv, users);
  const newestFirst = users.filter((_, number) => number % 12 !== 0).reverse();
  for (const searchMax of [5_000, 1_000]) {
    const found = await walk(server.kv, { q: "user" }, { limit: 100, searchMax });
    assert.deepEqual(found, { users: newestFirst, hasShortPage: false });
  }
});

Deno.test("collectUsers: a search that many fit, but few of them the rest, is short pages of bounded work", async () => {
  const reads = { count: 0 };
  await using server = await startServer({ wrapKv: (kv) => countReads(kv, reads) });
  // Half fit the search, the other half the plan, and the oldest, who is looked at last, both.
  const users = Array.from(
    { length: 4_000 },
    (_, number) => record(number, number % 2 ? { email: `other${number}@example.org`, plan: "premium" } : {}),
  );
  const oldest = record(-1, { plan: "premium" });
  await write(server.kv, [...users, oldest]);
  const filter: UserFilter = { q: "user", plan: "premium" };

  reads.count = 0;
  const first = await collectUsers(server.kv, filter, { limit: 20, startId: null }, { searchMax: 100 });
  assert.deepEqual(first.items, []);
  assert(reads.count < 2_000, `${reads.count} reads`);
  const found = await walk(server.kv, filter, { limit: 20, searchMax: 100 });
  assert.deepEqual(found, { users: [oldest], hasShortPage: true });
  assert.deepEqual(await walk(server.kv, filter, { limit: 20 }), { users: [oldest], hasShortPage: false });
});

Deno.test("collectUsers: shows each user who stays and fits once, whatever comes and goes between the pages", async () => {
  await fc.assert(
    fc.asyncProperty(
      filter,
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(3, 1000),
      fc.array(fc.array(deed, { maxLength: 3 }), { maxLength: 6 }),
      async (filter, limit, searchMax, turns) => {
        await using server = await startServer();
        const emails = Array.from(
          { length: 15 },
          (_, number) => `${number % 3 ? "a" : "ab"}${number}@example.org`,
        );
        await write(server.kv, emails.map((email, number) => record(number, { email })));
        const before = await allUsers(server.kv);
        const shown: UserRecord[] = [];
        let startId: string | null = null;
        for (let page = 0; page === 0 || startId !== null; page++) {
          for (const deed of turns[page] ?? []) await act(server, deed);
          const { items, nextId }: ItemPage<UserRecord> = await collectUsers(
            server.kv,
            filter,
            { limit, startId },
            { searchMax },
          );
          shown.push(...items);
          startId = nextId;
        }
        const ids = shown.map(({ id }) => id);
        assert.deepEqual(ids, [...new Set(ids)].sort().reverse(), "newest first, nobody twice");
        assert(shown.every((user) => fits(user, filter)), "who is shown fits");
        const after = new Map((await allUsers(server.kv)).map((user) => [user.id, user]));
        const staying = before.filter((user) => isUnchanged(user, after.get(user.id)) && fits(user, filter));
        assert.deepEqual(staying.filter(({ id }) => !ids.includes(id)), [], "nobody is left out");
      },
    ),
    { numRuns: 60 },
  );
});

/** Whether it is certain that the user fitted or not all the time. */
function isUnchanged(before: UserRecord, after: UserRecord | undefined): boolean {
  return before.updatedAtMs === after?.updatedAtMs;
}

/** Counts what is read: each key, and each entry of a listing. */
function countReads(kv: Kv, reads: { count: number }): Kv {
  return {
    ...kv,
    find: (key) => {
      reads.count++;
      return kv.find(key);
    },
    findMany: (keys) => {
      reads.count += keys.length;
      return kv.findMany(keys);
    },
    collect: async (prefix, options) => {
      const page = await kv.collect(prefix, options);
      reads.count += page.entries.length;
      return page;
    },
  };
}
