// The store that several servers share, and the test server that stands in for denokv: what it keeps, what it refuses,
// and what it has lost when it was killed, which is nothing. With DENOKV_BIN the same is asked of denokv.

import assert from "node:assert/strict";
import { type Value, writeFields } from "./kv_connect/protobuf.ts";
import { openStore, startStoreServer, STORE_TOKEN, type StoreServer } from "./store_server.ts";

type Message = readonly (readonly [field: number, value: Value])[];

Deno.test("KV Connect: keys have an order, values stay what they were, and checks hold", async () => {
  await using server = await startStoreServer();
  using db = await openStore(server.url);
  const value = { bytes: new Uint8Array([0, 255]), at: new Date(0), big: 2n ** 70n, nothing: undefined };
  const first = await db.set(["kept"], value);
  assert.deepEqual(await db.get(["kept"]), { key: ["kept"], value, versionstamp: first.versionstamp });
  assert.deepEqual(await db.get(["absent"]), { key: ["absent"], value: null, versionstamp: null });

  for (const number of [10, 9, 2, 1, -1]) await db.set(["numbers", number], number);
  const [ascending, descending] = [{}, { reverse: true, limit: 2 }].map((options) =>
    db.list<number>({ prefix: ["numbers"] }, options)
  );
  const valuesOf = async (entries: typeof ascending) =>
    (await Array.fromAsync(entries ?? [])).map((entry) => entry.value);
  assert.deepEqual(await valuesOf(ascending), [-1, 1, 2, 9, 10]);
  assert.deepEqual(await valuesOf(descending), [10, 9]);

  const second = await db.atomic().check({ key: ["kept"], ...first }).set(["kept"], 2).delete(["numbers", 9])
    .commit();
  assert(second.ok && second.versionstamp > first.versionstamp);
  const lost = await db.atomic().check({ key: ["kept"], ...first })
    .set(["kept"], 3).delete(["numbers", 1]).commit();
  assert.deepEqual(lost, { ok: false });
  assert.equal((await db.get(["kept"])).value, 2);
  assert.deepEqual(await valuesOf(db.list<number>({ prefix: ["numbers"] })), [-1, 1, 2, 10]);
});

Deno.test("KV Connect: what was answered is there after a kill, and what had expired is not", async () => {
  await using server = await startStoreServer();
  using db = await openStore(server.url);
  await Promise.all(Array.from({ length: 200 }, (_, index) => db.set(["kept", index], index)));
  await db.set(["expired"], true, { expireIn: 1 });
  assert.equal((await db.get(["expired"])).value, true, "Nobody sweeps that soon");
  await server.kill();
  await server.start();
  assert.equal((await Array.fromAsync(db.list({ prefix: ["kept"] }))).length, 200);
  assert.equal((await db.get(["expired"])).value, null);
});

Deno.test("KV Connect: a request over a limit is refused with 400, another token with 401", async (t) => {
  await using server = await startStoreServer();
  const key = new TextEncoder().encode("\u0002key\u0000");
  const range = writeFields([[1, key], [2, new Uint8Array([0xff])], [3, 100n]]);
  const check = writeFields([[1, key]]);
  const remove = writeFields([[1, key], [3, 2n]]);
  const set = (name: Uint8Array<ArrayBuffer>, bytes: number) =>
    writeFields([[1, name], [2, writeFields([[1, new Uint8Array(bytes)], [2, 3n]])], [3, 1n]]);
  const times = (count: number, value: Value, field = 1): Message =>
    Array.from({ length: count }, () => [field, value] as const);

  const cases: { name: string; path: string; message: Message; status: number; token?: string }[] = [
    { name: "10 ranges", path: "snapshot_read", message: times(10, range), status: 200 },
    { name: "11 ranges", path: "snapshot_read", message: times(11, range), status: 400 },
    {
      name: "1001 entries",
      path: "snapshot_read",
      message: [[1, writeFields([[1, key], [2, key], [3, 1001n]])]],
      status: 400,
    },
    { name: "10 checks", path: "atomic_write", message: times(10, check), status: 200 },
    { name: "11 checks", path: "atomic_write", message: times(11, check), status: 400 },
    { name: "1000 mutations", path: "atomic_write", message: times(1000, remove, 2), status: 200 },
    { name: "1001 mutations", path: "atomic_write", message: times(1001, remove, 2), status: 400 },
    { name: "largest key", path: "atomic_write", message: [[2, set(new Uint8Array(2048), 1)]], status: 200 },
    { name: "larger key", path: "atomic_write", message: [[2, set(new Uint8Array(2049), 1)]], status: 400 },
    { name: "largest value", path: "atomic_write", message: [[2, set(key, 65_536)]], status: 200 },
    { name: "larger value", path: "atomic_write", message: [[2, set(key, 65_537)]], status: 400 },
    { name: "too much in all", path: "atomic_write", message: times(13, set(key, 65_536), 2), status: 400 },
    { name: "another token", path: "snapshot_read", message: [], status: 401, token: "another" },
  ];
  for (const { name, status, ...request } of cases) {
    await t.step(name, async () => assert.equal(await statusOf(server, request), status));
  }
});

async function statusOf(
  { url }: StoreServer,
  { path, message, token = STORE_TOKEN }: {
    readonly path: string;
    readonly message: Message;
    readonly token?: string;
  },
): Promise<number> {
  const response = await fetch(`${url}/v2/${path}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/x-protobuf",
      "x-denokv-version": "2",
      "x-denokv-database-id": "00000000-0000-0000-0000-000000000000",
    },
    body: writeFields(message),
  });
  await response.body?.cancel();
  return response.status;
}
