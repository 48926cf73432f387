// One walk through the whole store, in the order of its keys and a page at a time, so that a store of any size is
// examined in the same memory. What has ended is as good as gone; what ended long ago and is still there, the store
// does not sweep.

import { keys } from "../store/keys.ts";
import { createKv, isPresent, type Present } from "../store/kv.ts";
import { pagesOf } from "../store/page.ts";
import { createChainExaminer } from "./audit_chains.ts";
import { createRuleExaminer, nameOf, type Suspect } from "./examiner.ts";
import { rulesByKind } from "./kinds.ts";
import { createNoteCountExaminer } from "./notes.ts";
import { createServiceExaminer } from "./service.ts";

export interface WalkOptions {
  /** The clock that decides what has ended. */
  readonly nowMs: () => number;
  /** How long the store may take to sweep what has ended; Infinity where its clock is another one. */
  readonly sweepMs: number;
  /** Hears of every page before it is examined, which waits for it. */
  readonly onPage?: (page: readonly Present<unknown>[]) => Promise<unknown>;
}

const STEP = 200;

/** All that seems wrong. Writes nothing. */
export async function* walkStore(
  db: Deno.Kv,
  { nowMs, sweepMs, onPage }: WalkOptions,
): AsyncGenerator<Suspect> {
  const kv = createKv(db, nowMs);
  // By this clock nothing has ended.
  const everything = createKv(db, () => 0);
  const examiners = [
    createRuleExaminer(kv, rulesByKind),
    createNoteCountExaminer(kv),
    await createChainExaminer(kv),
    createServiceExaminer(kv),
  ];
  for await (const page of pagesOf(everything, keys.below(), STEP)) {
    await onPage?.(page);
    const atMs = nowMs();
    yield* page.filter(isLeftover).map(leftover);
    // To a server null is nothing, whoever has written it.
    const live = page.filter((record) => isPresent(record) && atMs < endOf(record));
    yield* (await Promise.all(examiners.map((examiner) => examiner.examine(live)))).flat();
  }
  yield* (await Promise.all(examiners.map((examiner) => examiner.conclude?.() ?? []))).flat();

  function isLeftover(record: Present<unknown>): boolean {
    return endOf(record) + sweepMs <= nowMs();
  }

  function leftover({ key }: Present<unknown>): Suspect {
    const faults = [`${nameOf(key)} ended long ago, and is still there`];
    return {
      faults,
      async lookAgain() {
        const record = await everything.find(key);
        return isPresent(record) && isLeftover(record) ? faults : [];
      },
    };
  }
}

/** Infinity for what does not end. */
function endOf({ value }: Present<unknown>): number {
  if (typeof value !== "object" || value === null || !("expiresAtMs" in value)) return Infinity;
  return typeof value.expiresAtMs === "number" ? value.expiresAtMs : Infinity;
}
