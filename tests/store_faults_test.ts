// The store breaks down at every one of its calls, under every operation: the answer is honest, nothing is half done, and
// whoever asks again gets there. From the call on the store is gone, or a commit happens and its answer is lost.

import assert from "node:assert/strict";
import { runJobs } from "../src/jobs.ts";
import { type Breakdown, createFaultyKv } from "./faulty_kv.ts";
import { type Answer, UNLIMITED } from "./harness.ts";
import { type Row, rows, setScene } from "./operations.ts";
import { collectBrokenInvariants } from "./store_invariants.ts";

const breakdowns: readonly (Omit<Breakdown, "at"> & { readonly name: string })[] = [
  { name: "the store is gone from a call on", among: "calls" },
  { name: "the answer to a commit is lost", isWritten: true },
];
/** More than any operation makes. */
const CALLS_MAX = 60;

/** Whether the operation had come to the breakdown at all. */
async function strike(row: Row, breakdown: Breakdown): Promise<boolean> {
  const faulty = createFaultyKv();
  const scene = await setScene({ env: UNLIMITED, wrapKv: faulty.wrap });
  await using server = scene.server;
  const input = await row.ask(scene);
  await server.mails();

  faulty.breakDown(breakdown);
  const first = await server.call(row.route, input);
  const hasStruck = faulty.repair();
  const what = `${row.route.operationId}, call ${breakdown.at}: ${first.text}`;
  assert(first.status === 503 || isExpected(row, first), what);
  if (first.status === 503) {
    assert.equal(first.body.code, "unavailable", what);
    assert(Number(first.headers.get("retry-after")) >= 1, what);
  }
  // As a process that crashed there leaves it, and the next one finds it.
  await runJobs(server.deps);
  await server.mails();
  assert.deepEqual(await collectBrokenInvariants(server.db), [], what);
  if (!hasStruck) return false;

  const again = await server.call(row.route, input);
  const isSettled = isExpected(row, again) || `${again.status} ${again.body?.code}` === row.again;
  assert(isSettled, `${what}; asked again: ${again.status} ${again.text}`);
  await server.mails();
  assert.deepEqual(await collectBrokenInvariants(server.db), [], what);
  return true;
}

function isExpected({ status }: Row, answer: Answer): boolean {
  return status === undefined ? answer.status < 300 : answer.status === status;
}

for (const { name, ...breakdown } of breakdowns) {
  Deno.test(`store faults: ${name}, under every operation`, async (t) => {
    // A limit that refuses is another test's.
    for (const row of rows.filter(({ status }) => status !== 429)) {
      await t.step(`${row.route.operationId}${row.note ? `, ${row.note}` : ""}`, async () => {
        let at = 1;
        while (at < CALLS_MAX && await strike(row, { ...breakdown, at })) at++;
        assert(at < CALLS_MAX);
      });
    }
  });
}
