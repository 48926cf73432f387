// How the store is called when it hangs: who waits, what is given up, and that no silence lasts longer than the store's.

import assert from "node:assert/strict";
import { type CallStore, createCallStore, StoreUnavailable } from "../src/store/call.ts";
import { createStopwatch } from "./stopwatch.ts";

const DEADLINE_MS = 5_000;
const MINUTE_MS = 60_000;
const CALLS_MAX = 64;

/** Makes so many calls at once, each of which comes to `answer`; how many of them have got to the store. */
function callMany(
  callStore: CallStore,
  { count, answer }: { readonly count: number; readonly answer: (number: number) => Promise<unknown> },
): { readonly calls: readonly Promise<unknown>[]; readonly made: number[] } {
  const made: number[] = [];
  const calls = Array.from({ length: count }, (_, number) =>
    callStore(() => {
      made.push(number);
      return answer(number);
    }));
  return { calls, made };
}

async function assertGivenUp(calls: readonly Promise<unknown>[]): Promise<void> {
  for (const call of calls) await assert.rejects(call, StoreUnavailable);
}

function never(): Promise<never> {
  return new Promise(() => {});
}

Deno.test("store calls: 64 at once are with the store, and the others follow in their order", async () => {
  const answers = Array.from({ length: CALLS_MAX + 2 }, () => Promise.withResolvers<void>());
  const { calls, made } = callMany(createCallStore(createStopwatch()), {
    count: answers.length,
    answer: (number) => answers[number]?.promise ?? never(),
  });
  await Promise.resolve();
  assert.equal(made.length, CALLS_MAX);
  answers[7]?.resolve();
  await calls[7];
  assert.deepEqual(made.slice(CALLS_MAX), [CALLS_MAX]);
  for (const { resolve } of answers) resolve();
  await Promise.all(calls);
  assert.deepEqual(made, [...answers.keys()]);
});

Deno.test("store calls: who waits is given up in time, and not made afterwards", async () => {
  const stopwatch = createStopwatch();
  const callStore = createCallStore(stopwatch);
  const { promise, resolve } = Promise.withResolvers<void>();
  const { calls, made } = callMany(callStore, { count: CALLS_MAX + 1, answer: () => promise });
  await Promise.resolve();
  stopwatch.pass(DEADLINE_MS);
  await assertGivenUp(calls);
  resolve();
  assert.equal(await callStore(() => Promise.resolve("well")), "well");
  assert.equal(made.length, CALLS_MAX);
});

Deno.test("store calls: 64 that are never answered are lost after a minute, and their places free", async () => {
  const stopwatch = createStopwatch();
  const callStore = createCallStore(stopwatch);
  const lost = callMany(callStore, { count: CALLS_MAX, answer: never });
  await Promise.resolve();
  assert.equal(lost.made.length, CALLS_MAX);
  stopwatch.pass(DEADLINE_MS);
  await assertGivenUp(lost.calls);

  const early = callStore(() => Promise.resolve("well"));
  stopwatch.pass(DEADLINE_MS);
  await assert.rejects(early, StoreUnavailable);

  stopwatch.pass(MINUTE_MS);
  assert.equal(await callStore(() => Promise.resolve("well")), "well");
  const next = callMany(callStore, { count: CALLS_MAX, answer: () => Promise.resolve() });
  await Promise.resolve();
  assert.equal(next.made.length, CALLS_MAX);
  await Promise.all(next.calls);
});

Deno.test("store calls: in an hour of silence no more than 64 are made, and one each minute", async () => {
  const stopwatch = createStopwatch();
  const callStore = createCallStore(stopwatch);
  let made = 0;
  for (let minute = 0; minute < 60; minute++) {
    for (let round = 0; round < 10; round++) {
      const burst = callMany(callStore, { count: CALLS_MAX, answer: never });
      await Promise.resolve();
      stopwatch.pass(DEADLINE_MS + 1_000);
      await assertGivenUp(burst.calls);
      made += burst.made.length;
    }
  }
  assert(CALLS_MAX < made && made <= CALLS_MAX + 60, String(made));
});
