// Takes each guard out, in a copy of the repository, and looks whether the test that is named for it turns red. That
// the test is green as long as nothing is taken out is looked at first.

import { copyRepository } from "../repository_copy.ts";
import { type Guard, type RedTest, removalsOf, StaleGuard, takeOut } from "./guard.ts";
import { type Outcome, runTests } from "./test_run.ts";

/** What came of one guard. */
export interface Proof {
  readonly guard: Guard;
  /** Its test failed without it, by an assertion. */
  readonly isRed: boolean;
  /** What the assertion said, or why nothing is proved. */
  readonly reason: string;
  readonly tookMs: number;
}

interface Options {
  /** Copies that are worked in at once. */
  readonly lanesMax: number;
  /** Ends it: what runs is killed, what was copied is removed. */
  readonly signal: AbortSignal;
}

/** A race, or a test that draws its cases, may miss by chance what it misses no second time. */
const TRIES_MAX = 2;

/** The proofs as they come, in no order. Rejects with the reason of `signal`. */
export async function* proveGuards(
  guards: readonly Guard[],
  { lanesMax, signal }: Options,
): AsyncGenerator<Proof> {
  await using copies = new AsyncDisposableStack();
  const free: string[] = [];
  for (let lane = 0; lane < Math.min(lanesMax, guards.length); lane++) {
    free.push(copies.use(await copyRepository()).folder);
  }
  const baseline = new Map<RedTest, Outcome>();
  const files = [...new Set(guards.map(({ red: [file] }) => file))];
  for await (
    const tests of inLanes(free, files, (folder, file) => runAsIs(guards, { folder, file, signal }))
  ) {
    for (const [test, outcome] of tests) baseline.set(test, outcome);
  }
  yield* inLanes(free, guards, async (folder, guard) => {
    const startMs = performance.now();
    const asIs = baseline.get(guard.red);
    const { isRed, reason } = asIs?.is === "passed"
      ? await prove(guard, { folder, signal })
      : { isRed: false, reason: `its test is not green to begin with: ${reasonOf(asIs)}` };
    return { guard, isRed, reason, tookMs: performance.now() - startMs };
  });
}

function reasonOf(outcome: Outcome | undefined): string {
  return outcome?.is === "failed" ? outcome.assertion : outcome?.is === "broken" ? outcome.reason : "";
}

/** The tests of one file, with nothing taken out. */
async function runAsIs(
  guards: readonly Guard[],
  { folder, file, signal }: { readonly folder: string; readonly file: string; readonly signal: AbortSignal },
): Promise<[RedTest, Outcome][]> {
  const wanted = guards.map(({ red }) => red).filter(([name]) => name === file);
  const tests = [...new Set(wanted.map(([, test]) => test))];
  const outcomes = await runTests({ folder, file, tests, signal });
  return wanted.map((red) => [red, outcomes.get(red[1]) ?? { is: "broken", reason: "it did not run" }]);
}

async function prove(
  guard: Guard,
  { folder, signal }: { readonly folder: string; readonly signal: AbortSignal },
): Promise<Pick<Proof, "isRed" | "reason">> {
  const [file, test] = guard.red;
  const originals = new Map<string, string>();
  try {
    for (const removal of removalsOf(guard)) {
      const path = `${folder}/${removal.file}`;
      const text = await Deno.readTextFile(path);
      if (!originals.has(path)) originals.set(path, text);
      await Deno.writeTextFile(path, takeOut(text, removal));
    }
    let outcome: Outcome | undefined;
    for (let tries = 0; tries < TRIES_MAX && (outcome === undefined || outcome.is === "passed"); tries++) {
      outcome = (await runTests({ folder, file, tests: [test], signal })).get(test);
    }
    return { isRed: outcome?.is === "failed", reason: reasonOf(outcome) || "nothing was missed" };
  } catch (error) {
    if (!(error instanceof StaleGuard)) throw error;
    return { isRed: false, reason: error.message };
  } finally {
    for (const [path, text] of originals) await Deno.writeTextFile(path, text);
  }
}

/** Does `work` on each item, in as many lanes as there are folders; each has one to itself. */
async function* inLanes<Item, Result>(
  folders: readonly string[],
  items: readonly Item[],
  work: (folder: string, item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const waiting = [...items];
  const underWay = new Map<string, Promise<{ readonly folder: string; readonly result: Result }>>();
  const begin = (folder: string): void => {
    const item = waiting.shift();
    if (item === undefined) return;
    underWay.set(folder, work(folder, item).then((result) => ({ folder, result })));
  };
  try {
    for (const folder of folders) begin(folder);
    while (underWay.size > 0) {
      const { folder, result } = await Promise.race(underWay.values());
      underWay.delete(folder);
      begin(folder);
      yield result;
    }
  } finally {
    // Nothing may run in a folder that is about to be removed.
    await Promise.allSettled(underWay.values());
  }
}
