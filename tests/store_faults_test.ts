// The store breaks down at every one of its calls, under every operation: the answer is honest, nothing is half done, and
// whoever asks again gets there. From the call on the store is gone, or a commit happens and its answer is lost.

import { type Breakdown, createFaultyKv } from "./faulty_kv.ts";
import { UNLIMITED } from "./harness.ts";
import { type Row, setScene } from "./operations.ts";
import { requireHonest, requireSettled, requireWhole, strikeEverywhere } from "./store_strikes.ts";

const breakdowns: readonly (Omit<Breakdown, "at"> & { readonly name: string })[] = [
  { name: "the store is gone from a call on", among: "calls" },
  { name: "the answer to a commit is lost", isWritten: true },
];

/** Whether the operation had come to the breakdown at all. */
async function strike(row: Row, breakdown: Breakdown, what: string): Promise<boolean> {
  const faulty = createFaultyKv();
  const scene = await setScene({ env: UNLIMITED, wrapKv: faulty.wrap });
  await using server = scene.server;
  const input = await row.ask(scene);
  await server.mails();

  faulty.breakDown(breakdown);
  const first = await server.call(row.route, input);
  const hasStruck = faulty.repair();
  requireHonest(row, first, what);
  await requireWhole(server, what);
  if (!hasStruck) return false;

  requireSettled(row, await server.call(row.route, input), what);
  await requireWhole(server, what);
  return true;
}

for (const { name, ...breakdown } of breakdowns) {
  Deno.test(`store faults: ${name}, under every operation`, (t) =>
    strikeEverywhere(t, (row, at, what) => strike(row, { ...breakdown, at }, what)));
}
