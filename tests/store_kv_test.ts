// The door to Deno KV: the rules that are built in there, because every caller needs them.

import assert from "node:assert/strict";
import { keys } from "../src/store/keys.ts";
import { createKv, type Kv, LOST, StoreUnavailable, untilCommitted } from "../src/store/kv.ts";
import { START_MS } from "./harness.ts";

/** One more than fit a commit of the smallest backend, with the receipt. */
const TOO_MANY_CHECKS = 10;
const TOO_MANY_KEYS = 11;

async function openStore(): Promise<{ readonly kv: Kv; readonly clock: { nowMs: number } } & Disposable> {
  const clock = { nowMs: START_MS };
  const kv = createKv(await Deno.openKv(":memory:"), () => clock.nowMs);
  return { kv, clock, [Symbol.dispose]: () => kv.close() };
}

Deno.test("kv: what has ended is not there, on the millisecond, though Deno KV still has it", async () => {
  using store = await openStore();
  const { kv, clock } = store;
  const token = { userId: "u", codeEpoch: 0, expiresAtMs: START_MS + 1_000 };
  assert(await kv.change().set(keys.resetToken("t"), token).commit());
  const look = async (): Promise<unknown[]> => {
    const { entries } = await kv.collect({ path: ["reset_tokens"] }, { limit: 10 });
    const [many] = await kv.findMany([keys.resetToken("t")]);
    return [(await kv.find(keys.resetToken("t"))).value, many.value, entries.length];
  };
  clock.nowMs += 999;
  assert.deepEqual(await look(), [token, token, 1]);
  clock.nowMs += 1;
  assert.deepEqual(await look(), [null, null, 0]);
});

Deno.test("kv: what follows a commit is done once it has happened, and not when it lost its race", async () => {
  using store = await openStore();
  const { kv } = store;
  const before = await kv.find(keys.probe());
  const done: string[] = [];
  const commit = (name: string): Promise<boolean> =>
    kv.change().check(before).set(keys.probe(), { atMs: 1 }).afterCommit(() => void done.push(name)).commit();
  assert.equal(await commit("first"), true);
  assert.equal(await commit("second"), false);
  assert.deepEqual(done, ["first"]);
});

Deno.test("kv: what not every backend takes is refused before anything is written", async () => {
  using store = await openStore();
  const { kv } = store;
  const entries = await Promise.all(
    Array.from({ length: TOO_MANY_CHECKS }, (_, index) => kv.find(keys.resetToken(String(index)))),
  );
  const commit = (checks: number): Promise<boolean> =>
    kv.change().check(...entries.slice(0, checks)).set(keys.probe(), { atMs: checks }).commit();
  assert.equal(await commit(TOO_MANY_CHECKS - 1), true);
  await assert.rejects(commit(TOO_MANY_CHECKS), /At most 9 checks fit one commit/);
  assert.equal((await kv.find(keys.probe())).value?.atMs, TOO_MANY_CHECKS - 1);
  const tooMany = Array.from({ length: TOO_MANY_KEYS }, () => keys.probe());
  await assert.rejects(kv.findMany(tooMany), /At most 10 keys can be read at once/);
});

Deno.test("kv: who loses every race is refused in the end, and admitted by none", async () => {
  let tries = 0;
  const attempt = (): Promise<typeof LOST> => (tries++, Promise.resolve(LOST));
  await assert.rejects(untilCommitted(attempt), StoreUnavailable);
  assert(tries > 10, `${tries} tries`);
});
