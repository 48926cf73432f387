// A store that fails under every operation, at each of its calls in turn: how a test goes through them, and what must be
// true afterwards, however it failed.

import assert from "node:assert/strict";
import { runJobs } from "../src/jobs.ts";
import type { Answer, TestServer } from "./harness.ts";
import { type Row, rows } from "./operations.ts";
import { collectBrokenInvariants } from "./store_invariants.ts";

/** More than any operation makes. */
const CALLS_MAX = 60;

/**
 * Strikes each operation at its first call, and at the next one for as long as `strike` says that there was one; a step
 * for each. `what` names the operation and the call.
 */
export async function strikeEverywhere(
  t: Deno.TestContext,
  strike: (row: Row, at: number, what: string) => Promise<boolean>,
): Promise<void> {
  await strikeEach(t, async (row, name) => {
    let at = 1;
    while (at < CALLS_MAX && await strike(row, at, `${name}, call ${at}`)) at++;
    assert(at < CALLS_MAX);
  });
}

/** A step for each operation. */
export async function strikeEach(
  t: Deno.TestContext,
  strike: (row: Row, name: string) => Promise<void>,
): Promise<void> {
  for (const row of rows) {
    // A limit that refuses is another test's.
    if (row.status === 429) continue;
    const name = `${row.route.operationId}${row.note ? `, ${row.note}` : ""}`;
    await t.step(name, () => strike(row, name));
  }
}

/** Fails unless the answer is a success, or says that nothing is known and when to ask again. */
export function requireHonest(row: Row, answer: Answer, what: string): void {
  if (isExpected(row, answer)) return;
  assert.equal(`${answer.status} ${answer.body?.code}`, "503 unavailable", `${what}: ${answer.text}`);
  assert(Number(answer.headers.get("retry-after")) >= 1, what);
}

/** Fails unless it is what the same request answers once more, whether or not the first one happened. */
export function requireSettled(row: Row, answer: Answer, what: string): void {
  const isSettled = isExpected(row, answer) || `${answer.status} ${answer.body?.code}` === row.again;
  assert(isSettled, `${what}; asked again: ${answer.status} ${answer.text}`);
}

/** Fails if anything is half done once the jobs have run and the mails have left, as the next process would find it. */
export async function requireWhole(server: TestServer, what: string): Promise<void> {
  await runJobs(server.deps);
  await server.mails();
  assert.deepEqual(await collectBrokenInvariants(server.db), [], what);
}

/** Whether it is the answer of a request that nothing happened to. */
export function isExpected({ status }: Row, answer: Answer): boolean {
  return status === undefined ? answer.status < 300 : answer.status === status;
}
