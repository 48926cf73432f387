// A store that tells how long each of its calls took, and what came of it: for metrics. It answers as the store that
// it wraps.

import type { Kv } from "./kv.ts";

/** One call to the store that has ended. */
export interface KvCall {
  readonly operation: "find" | "findMany" | "collect" | "commit";
  /** Lost: a commit whose check failed. Failed: it threw. */
  readonly outcome: "done" | "lost" | "failed";
  readonly durationMs: number;
}

/** `record` hears of each call before whoever made it, and must not throw. */
export function timeKv(kv: Kv, record: (call: KvCall) => void): Kv {
  async function time<Result>(
    operation: KvCall["operation"],
    call: () => Promise<Result>,
  ): Promise<Result> {
    const startMs = performance.now();
    let outcome: KvCall["outcome"] = "failed";
    try {
      const result = await call();
      outcome = result === false ? "lost" : "done";
      return result;
    } finally {
      record({ operation, outcome, durationMs: performance.now() - startMs });
    }
  }

  return {
    ...kv,
    find: (key) => time("find", () => kv.find(key)),
    findMany: (keys) => time("findMany", () => kv.findMany(keys)),
    collect: (prefix, options) => time("collect", () => kv.collect(prefix, options)),
    change() {
      const change = kv.change();
      const { commit } = change;
      // A change answers itself from `check` and `set`, so that it has to be altered in place.
      return Object.assign(change, { commit: () => time("commit", commit) });
    },
  };
}
