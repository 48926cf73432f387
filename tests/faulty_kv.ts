// A store that fails when a test says so: nothing of one commit is written, or all of it is and nobody hears so. From
// then on it is as dead as it is to a process that crashed there, until the test brings it back.

import { type Change, type Kv, StoreUnavailable } from "../src/store/kv.ts";

export interface FaultyKv {
  /** For `startServer`. */
  readonly wrap: (kv: Kv) => Kv;
  breakDown(breakdown: Breakdown): void;
  /** Brings the store back. False when it had never come to the breakdown. */
  repair(): boolean;
}

export interface Breakdown {
  /** Which of the calls that follow, counted from 1. */
  readonly at: number;
  /** What counts: commits only (the default), or reads as well. */
  readonly among?: "commits" | "calls";
  /** Whether that commit happens all the same. */
  readonly isWritten?: boolean;
  /** What is thrown, unless the store is simply away. */
  readonly error?: Error;
}

export function createFaultyKv(): FaultyKv {
  let breakdown: Breakdown | null = null;
  let calls = 0;

  /** Runs one call, unless the store has broken down before it or does so now. */
  async function call<Result>(kind: "commit" | "read", work: () => Promise<Result>): Promise<Result> {
    if (breakdown === null) return await work();
    const { at, among = "commits", isWritten = false, error } = breakdown;
    if (kind === "commit" || among === "calls") calls++;
    if (calls < at) return await work();
    if (calls === at && kind === "commit" && isWritten) await work();
    // Beyond `at`, so that no later call takes itself for the one that broke down.
    calls = Math.max(calls, at) + 1;
    throw error ?? new StoreUnavailable("Broken down by a test");
  }

  return {
    wrap: (kv) => ({
      ...kv,
      find: (key) => call("read", () => kv.find(key)),
      findMany: (keys) => call("read", () => kv.findMany(keys)),
      collect: (prefix, options) => call("read", () => kv.collect(prefix, options)),
      change: () => interrupt(kv.change(), (commit) => call("commit", commit)),
    }),
    breakDown(next) {
      breakdown = next;
      calls = 0;
    },
    repair() {
      const hasStruck = breakdown !== null && calls > breakdown.at;
      breakdown = null;
      return hasStruck;
    },
  };
}

/** A change answers itself from `check` and `set`, so that it has to be altered in place. */
function interrupt(change: Change, run: (commit: Change["commit"]) => Promise<boolean>): Change {
  const { commit } = change;
  return Object.assign(change, { commit: () => run(commit) });
}
