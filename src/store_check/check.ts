// The check of a whole store: whatever seems wrong on one walk through it is looked at again a moment later, because a
// server may be running on it. Only what is still wrong is a fault.

import type { Present } from "../store/kv.ts";
import type { Suspect } from "./examiner.ts";
import { walkStore } from "./walk.ts";

export interface StoreReport {
  readonly recordCount: number;
  readonly faultCount: number;
  /** A sentence for each fault, at most a hundred. */
  readonly faults: readonly string[];
}

export interface CheckOptions {
  readonly nowMs: () => number;
  /** Hears of every page of records before it is examined, which waits for it. */
  readonly onPage?: (page: readonly Present<unknown>[]) => Promise<unknown>;
}

const FAULTS_MAX = 100;
const SUSPECTS_MAX = 5_000;
/** Longer than a store that is just opened takes to sweep what has ended while nobody had it open. */
const MOMENT_MS = 2_000;
const SWEEP_MS = 60 * 60 * 1000;
const LOOKS_AT_ONCE = 64;

/** Writes nothing. Throws StoreUnavailable when the store does not answer. */
export async function checkStore(
  db: Deno.Kv,
  { nowMs, onPage }: CheckOptions,
): Promise<StoreReport> {
  // What is missing may be missed by several records, and is told of once.
  const faults = new Set<string>();
  let faultCount = 0;
  let recordCount = 0;
  let suspects: Suspect[] = [];

  async function lookAgain(): Promise<void> {
    if (suspects.length > 0) await new Promise((resolve) => setTimeout(resolve, MOMENT_MS));
    for (let start = 0; start < suspects.length; start += LOOKS_AT_ONCE) {
      const some = suspects.slice(start, start + LOOKS_AT_ONCE);
      const found = await Promise.all(some.map((suspect) => suspect.lookAgain()));
      for (const fault of found.flat()) {
        if (faults.has(fault)) continue;
        faultCount++;
        if (faults.size < FAULTS_MAX) faults.add(fault);
      }
    }
    suspects = [];
  }

  async function countPage(page: readonly Present<unknown>[]): Promise<void> {
    recordCount += page.length;
    await onPage?.(page);
  }

  for await (const suspect of walkStore(db, { nowMs, sweepMs: SWEEP_MS, onPage: countPage })) {
    suspects.push(suspect);
    if (suspects.length === SUSPECTS_MAX) await lookAgain();
  }
  await lookAgain();
  return { recordCount, faultCount, faults: [...faults] };
}
