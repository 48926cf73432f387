// Turns: who shares a key waits, in the order of arrival; who shares none does not; a failure passes the turn on.

import assert from "node:assert/strict";
import { StoreUnavailable } from "../src/store/kv.ts";
import { createTurns } from "../src/turns.ts";

/** Work that says when it starts, and ends when it is told to. */
function createWork(log: string[], name: string): { work: () => Promise<string>; end: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    end: resolve,
    work: async () => {
      log.push(name);
      await promise;
      return name;
    },
  };
}

/** Lets everything go on that waits for nothing but promises. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

Deno.test("turns: calls that share a key run one after the other, in the order of arrival", async () => {
  const takeTurns = createTurns();
  const log: string[] = [];
  const works = ["first", "second", "third"].map((name) => createWork(log, name));
  const results = works.map(({ work }) => takeTurns(["a"], work));
  for (const [index, { end }] of works.entries()) {
    await settled();
    assert.equal(log.length, index + 1);
    end();
  }
  assert.deepEqual(await Promise.all(results), ["first", "second", "third"]);
});

Deno.test("turns: calls without a common key run side by side", async () => {
  const takeTurns = createTurns();
  const log: string[] = [];
  const works = [["a"], ["b"], []].map((keys) => ({ keys, ...createWork(log, `on ${keys}`) }));
  const results = works.map(({ keys, work }) => takeTurns(keys, work));
  await settled();
  assert.equal(log.length, 3);
  for (const { end } of works) end();
  await Promise.all(results);
});

Deno.test("turns: keys in opposite orders do not lock each other out", async () => {
  const takeTurns = createTurns();
  const log: string[] = [];
  const calls = Array.from(
    { length: 50 },
    (_, index) =>
      takeTurns(index % 2 ? ["a", "b"] : ["b", "a"], async () => {
        log.push(`start ${index}`);
        await settled();
        log.push(`end ${index}`);
      }),
  );
  await Promise.all(calls);
  assert.deepEqual(log, calls.flatMap((_, index) => [`start ${index}`, `end ${index}`]));
});

Deno.test("turns: work that fails passes its turn on", async () => {
  const takeTurns = createTurns();
  const failing = takeTurns(["a"], () => Promise.reject(new Error("no")));
  const next = takeTurns(["a"], () => Promise.resolve("next"));
  await assert.rejects(failing, /no/);
  assert.equal(await next, "next");
});

Deno.test("turns: the ten-thousand-and-first call is refused, and room comes back", async () => {
  const takeTurns = createTurns();
  const { promise, resolve } = Promise.withResolvers<void>();
  const waiting = Array.from({ length: 10_000 }, () => takeTurns(["a"], () => promise));
  await assert.rejects(takeTurns(["b"], () => promise), StoreUnavailable);
  resolve();
  await Promise.all(waiting);
  assert.equal(await takeTurns(["b"], () => Promise.resolve("in")), "in");
});
