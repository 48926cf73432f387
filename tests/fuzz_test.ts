// Requests that the document's schemas make up, valid ones and others, from a stranger, a user and an admin. Each
// answer is declared and the one that is due, none is a fault of the server, and none tells of somebody else.
// FUZZ_REQUESTS says how many, FUZZ_SEED repeats a run.

import assert from "node:assert/strict";
import fc from "fast-check";
import { operations } from "./document_judge.ts";
import { dueTo, requireDue } from "./fuzz_oracle.ts";
import { anyRequest } from "./fuzz_request.ts";
import { createWorld } from "./fuzz_world.ts";

const REQUESTS = Number(Deno.env.get("FUZZ_REQUESTS") ?? 5_000);
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? Math.floor(Math.random() * 2 ** 31));

/** Percent of the answers that must have this status, so that no change makes the requests pointless unseen. */
const PERCENT_MIN: Readonly<Record<string, number>> = {
  "2xx": 18,
  "400": 1.5,
  "401": 8,
  "403": 0.5,
  "404": 4,
  "405": 1,
  "409": 0.3,
  "410": 2,
  "413": 0.5,
  "415": 1.5,
  "422": 15,
};
/** Requests that got as far as the handler, of each operation. */
const REACHED_MIN = 4;
/** Fewer than that are too few to count. */
const COUNTED_MIN = 4_000;

Deno.test(`fuzz: ${REQUESTS} requests made from the document are answered as it says (FUZZ_SEED=${SEED})`, async () => {
  await using world = await createWorld();
  const statuses = new Map<string, number>();
  const reached = new Map(operations.map(({ id }) => [id, 0]));

  await fc.assert(
    fc.asyncProperty(anyRequest(), async (draft) => {
      const { request, answer } = await world.ask(draft);
      requireDue(request, answer);
      const told = answer.text + JSON.stringify([...answer.headers]);
      for (const secret of world.secretsFrom(draft.sender)) {
        assert(!told.includes(secret), `It tells ${secret}`);
      }
      countOne(statuses, answer.status < 300 ? "2xx" : String(answer.status));
      if (dueTo(request) === "nothing") countOne(reached, draft.operationId);
    }),
    { seed: SEED, numRuns: REQUESTS },
  );
  await world.requireUntouched();

  const percentOf = (status: string): number => 100 * (statuses.get(status) ?? 0) / REQUESTS;
  const shares = [...statuses.keys()].sort().map((status) => `${status} ${percentOf(status).toFixed(1)} %`)
    .join(", ");
  const report = `FUZZ_SEED=${SEED}: ${shares}; each handler reached ${
    Math.min(...reached.values())
  } times or more`;
  // deno-lint-ignore no-console -- what the run was worth.
  console.log(report);
  if (REQUESTS < COUNTED_MIN) return;
  for (const [status, percent] of Object.entries(PERCENT_MIN)) {
    assert(percentOf(status) >= percent, `${status} is too rare. ${report}`);
  }
  for (const [id, count] of reached) {
    assert(count >= REACHED_MIN, `${id} was reached ${count} times. ${report}`);
  }
});

function countOne(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}
