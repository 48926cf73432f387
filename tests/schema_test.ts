// Upgrades: a store of an older layout becomes today's whatever interrupts it, and nobody reads a newer one.

import assert from "node:assert/strict";
import { keys, type UserRecord } from "../src/store/keys.ts";
import { createKv, isPresent, type Kv } from "../src/store/kv.ts";
import { migrateStore, type Migration, SCHEMA } from "../src/store/schema.ts";
import { createFaultyKv } from "./faulty_kv.ts";
import { startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { signUp } from "./person.ts";
import { createSite } from "./process.ts";
import { runTask } from "./tool_run.ts";
import { watchKv } from "./watched_kv.ts";

const NAME = "test.kv";
const USERS = 7;
const PAGE = 3;

/** Two made-up layouts: 2 has "?" for a name that is not there, 3 has every name in capitals. */
const MIGRATIONS: readonly Migration[] = [
  { to: SCHEMA + 1, rewrite: rewriteNames((name) => name ?? "?") },
  { to: SCHEMA + 2, rewrite: rewriteNames((name) => name?.toUpperCase() ?? null) },
];
const UPGRADE = { name: NAME, schema: SCHEMA + 2, migrations: MIGRATIONS };

function rewriteNames(renew: (name: string | null) => string | null): Migration["rewrite"] {
  return async (kv, cursor) => {
    const page = await kv.collect(keys.users(), { limit: PAGE, cursor });
    for (const user of page.entries) {
      const renewed: UserRecord = { ...user.value, name: renew(user.value.name) };
      await kv.change().check(user).set(user.key, renewed).commit();
    }
    return page.cursor;
  };
}

/** A store with a few users, some of them without a name. */
async function furnish(server: TestServer): Promise<void> {
  for (let number = 0; number < USERS; number++) {
    // Ids of one millisecond have no order.
    server.clock.nowMs += 1;
    const { id } = await signUp(server, { email: `user${number}@example.org` });
    const user = await server.kv.find(keys.user(id));
    assert(isPresent(user));
    const name = number % 2 ? `Name ${number}` : null;
    await server.kv.change().set(user.key, { ...user.value, name }).commit();
  }
}

async function namesOf(kv: Kv): Promise<(string | null)[]> {
  const { entries } = await kv.collect(keys.users(), { limit: 100 });
  return entries.map(({ value }) => value.name);
}

const MIGRATED = ["?", "NAME 1", "?", "NAME 3", "?", "NAME 5", "?"];

async function schemaOf(kv: Kv): Promise<unknown> {
  const { value } = await kv.find(keys.store());
  return value && { schema: value.schema, cursor: value.cursor };
}

Deno.test("migrateStore: takes an older store to today's layout step by step, and once", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await furnish(server);
  assert.equal(await migrateStore(server.kv, UPGRADE), SCHEMA);
  assert.deepEqual(await namesOf(server.kv), MIGRATED);
  assert.deepEqual(await schemaOf(server.kv), { schema: SCHEMA + 2, cursor: undefined });
  const refuse = (): never => assert.fail("ran again");
  const migrations = MIGRATIONS.map(({ to }) => ({ to, rewrite: refuse }));
  assert.equal(await migrateStore(server.kv, { ...UPGRADE, migrations }), SCHEMA + 2);
});

Deno.test("migrateStore: goes on where it was killed, whichever call of the store it was", async () => {
  let survived = 0;
  for (let at = 1;; at++) {
    const faulty = createFaultyKv();
    await using server = await startServer({ env: UNLIMITED, wrapKv: faulty.wrap });
    await furnish(server);
    faulty.breakDown({ at, among: "calls", isWritten: at % 2 === 0 });
    const outcome = await migrateStore(server.kv, UPGRADE).then(() => "done", () => "killed");
    const hasStruck = faulty.repair();
    if (!hasStruck) {
      assert.equal(outcome, "done");
      break;
    }
    survived++;
    await migrateStore(server.kv, UPGRADE);
    assert.deepEqual(await namesOf(server.kv), MIGRATED);
    assert.deepEqual(await schemaOf(server.kv), { schema: SCHEMA + 2, cursor: undefined });
  }
  assert(survived > 20, `${survived} kills`);
});

Deno.test("migrateStore: two servers that start at once do it together", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await furnish(server);
  const other = createKv(server.db, () => server.clock.nowMs);
  await Promise.all([migrateStore(server.kv, UPGRADE), migrateStore(other, UPGRADE)]);
  assert.deepEqual(await namesOf(server.kv), MIGRATED);
});

Deno.test("migrateStore: a server that is slower than another one does not put the marker back", async () => {
  const watched = watchKv();
  await using server = await startServer({ env: UNLIMITED, wrapKv: watched.wrap });
  await furnish(server);
  const other = createKv(server.db, () => server.clock.nowMs);
  const marks: unknown[] = [];
  const rewrite: Migration["rewrite"] = (_kv, cursor) => {
    assert.equal(marks.length, 0, "begins anew, though all is done");
    // Between what this step has rewritten and its mark the other server comes to the end.
    watched.beforeNextCommit(() => migrateStore(other, UPGRADE));
    marks.push(cursor);
    return Promise.resolve("somewhere");
  };
  const slow = { ...UPGRADE, migrations: [{ to: SCHEMA + 1, rewrite }, ...MIGRATIONS.slice(1)] };
  assert.equal(await migrateStore(server.kv, slow), SCHEMA);
  assert.deepEqual(await schemaOf(server.kv), { schema: SCHEMA + 2, cursor: undefined });
});

Deno.test("migrateStore: leaves an empty store alone, and refuses a newer one", async () => {
  const kv = createKv(await Deno.openKv(":memory:"), Date.now);
  try {
    assert.equal(await migrateStore(kv, UPGRADE), null);
    await kv.change().set(keys.store(), { schema: SCHEMA + 3, createdAtMs: 0 }).commit();
    await assert.rejects(migrateStore(kv, UPGRADE), /^StoreFault: test\.kv was written by a newer Latchkey/);
  } finally {
    kv.close();
  }
});

Deno.test("a server and the tools refuse the store of a newer version in a sentence, and leave it as it is", async () => {
  await using site = await createSite();
  const server = await site.startServer(UNLIMITED);
  await server.stop();
  const db = await Deno.openKv(site.storePath);
  const { value: marker } = await db.get<{ schema: number }>(["store"]);
  await db.set(["store"], { ...marker, schema: SCHEMA + 1 });
  db.close();

  const said = /^.* was written by a newer Latchkey: use that version, or a later one\n$/;
  const start = await runTask(site, "start", []);
  assert.deepEqual([start.status, said.test(start.stderr)], [1, true], start.stderr);
  const tool = await runTask(site, "keys:rotate", []);
  assert.deepEqual([tool.status, said.test(tool.stderr)], [1, true], tool.stderr);
});
