// The store over a network on which answers come late, get lost or break off: no call waits for ever, and a commit
// happens once and says whether it did.

import assert from "node:assert/strict";
import { keys } from "../src/store/keys.ts";
import { createKv, type Key, type Kv, StoreUnavailable } from "../src/store/kv.ts";
import { openStore, startStoreServer } from "./store_server.ts";
import { type Loss, NO_LOSS, startStoreProxy, type StoreProxy } from "./store_proxy.ts";

const DEADLINE_MS = 5_000;
const KERNEL_WAIT_MS = 35;
const PROBE: Key<{ readonly atMs: number; readonly text?: string }> = keys.probe();

/** A server's way to the store, and another's on which nothing goes wrong. */
interface Ways extends AsyncDisposable {
  readonly proxy: StoreProxy;
  readonly kv: Kv;
  readonly other: Kv;
}

async function openWays(): Promise<Ways> {
  const server = await startStoreServer();
  const proxy = startStoreProxy(server.url);
  const open = async (url: string): Promise<Kv> =>
    createKv(await openStore(url), Date.now, { isOverNetwork: true });
  const [kv, other] = [await open(proxy.url), await open(server.url)];
  return {
    proxy,
    kv,
    other,
    async [Symbol.asyncDispose]() {
      kv.close();
      other.close();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

Deno.test("network: a commit whose answer got lost has happened, and says so", async () => {
  await using ways = await openWays();
  const { kv, proxy } = ways;
  for (let round = 0; round < 3; round++) {
    const before = await kv.find(PROBE);
    proxy.loseAnswers({ how: "gateway", max: 1 });
    assert.equal(await kv.change().check(before).set(PROBE, { atMs: round }).commit(), true);
    assert.equal(proxy.writes(), 2, "It was sent twice");
    assert.equal((await kv.find(PROBE)).value?.atMs, round);
  }
});

Deno.test("network: a commit that checks nothing is not done again over what came after it", async () => {
  await using ways = await openWays();
  const { kv, other, proxy } = ways;
  proxy.loseAnswers({ how: "gateway", max: 1 });
  const committed = kv.change().set(PROBE, { atMs: 1 }).commit();
  // The client waits a fifth of a second before it sends again.
  while ((await other.find(PROBE)).value === null) continue;
  assert(await other.change().set(PROBE, { atMs: 2 }).commit());
  assert.equal(await committed, true);
  assert.equal(proxy.writes(), 2, "It was sent twice");
  assert.equal((await kv.find(PROBE)).value?.atMs, 2);
});

Deno.test("network: of commits that collide while answers get lost each one wins once", async (t) => {
  const losses: { name: string; loss: Loss }[] = [
    { name: "no answer is lost", loss: NO_LOSS },
    { name: "each answer is lost once", loss: { how: "gateway", max: 20 } },
  ];
  for (const { name, loss } of losses) {
    await t.step(name, async () => {
      await using ways = await openWays();
      ways.proxy.loseAnswers(loss);
      let won = 0;
      const count = async (kv: Kv): Promise<void> => {
        for (let round = 0; round < 5; round++) {
          const entry = await kv.find(PROBE);
          const next = { atMs: (entry.value?.atMs ?? 0) + 1 };
          if (await kv.change().check(entry).set(PROBE, next).commit()) won++;
        }
      };
      await Promise.all([...Array.from({ length: 3 }, () => count(ways.kv)), count(ways.other)]);
      assert.equal((await ways.kv.find(PROBE)).value?.atMs, won);
      assert(won > 0);
    });
  }
});

Deno.test("network: a commit whose answer breaks off is not called lost", async () => {
  await using ways = await openWays();
  const { kv, proxy } = ways;
  proxy.loseAnswers({ how: "broken_off", max: 1 });
  await assert.rejects(kv.change().set(PROBE, { atMs: 1 }).commit(), StoreUnavailable);
  assert.equal((await kv.find(PROBE)).value?.atMs, 1);
  assert.equal(await kv.change().set(PROBE, { atMs: 2 }).commit(), true);
});

Deno.test("network: a commit does not wait for its first half to be acknowledged", async () => {
  await using server = await startStoreServer();
  const kv = createKv(await openStore(server.url), Date.now, { isOverNetwork: true });
  const tookMs: number[] = [];
  for (let commit = 0; commit < 60; commit++) {
    const startedAtMs = performance.now();
    assert(await kv.change().set(PROBE, { atMs: commit, text: "long".repeat(500) }).commit());
    tookMs.push(performance.now() - startedAtMs);
  }
  kv.close();
  // The kernel is quick at first, and takes 40 ms each time when it has seen that nobody answers at once.
  const [fastest = Infinity] = tookMs.slice(30).sort((a, b) => a - b);
  assert(fastest < KERNEL_WAIT_MS, `${fastest} ms`);
});

Deno.test("network: a silent store is given up in time, is asked little, and counts again once it answers", async () => {
  await using ways = await openWays();
  const { kv, proxy } = ways;
  assert(await kv.change().set(PROBE, { atMs: 1 }).commit());

  proxy.delay(2 * DEADLINE_MS);
  const startedAtMs = performance.now();
  const late = await Promise.allSettled(Array.from({ length: 200 }, () => kv.find(PROBE)));
  const isGivenUp = (call: PromiseSettledResult<unknown>): boolean =>
    call.status === "rejected" && call.reason instanceof StoreUnavailable;
  assert(late.every(isGivenUp), "each call is given up");
  const waitedMs = performance.now() - startedAtMs;
  assert(DEADLINE_MS <= waitedMs && waitedMs < DEADLINE_MS + 1_000, String(waitedMs));

  const askedAtMs = performance.now();
  const scout = Promise.allSettled([kv.find(PROBE)]);
  for (let call = 0; call < 100; call++) await assert.rejects(kv.find(PROBE), /does not answer/);
  assert(performance.now() - askedAtMs < 1_000, "They are refused at once");
  proxy.delay(0);
  assert((await scout).every(isGivenUp), "and so is the one that looks whether it is back");
  assert.equal((await kv.find(PROBE)).value?.atMs, 1);
});
