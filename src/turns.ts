// Calls that touch the same subjects take turns within this process, first come first served, instead of colliding
// in the store. What other processes do is decided there, by checked commits; turns only save the retries.

import { StoreUnavailable } from "./store/kv.ts";

/** Runs `work` once every earlier call that shares one of its keys is over. Answers what `work` answers. */
export type TakeTurns = <Result>(keys: readonly string[], work: () => Promise<Result>) => Promise<Result>;

const WAITING_MAX = 10_000;

/** Refuses with StoreUnavailable while ten thousand calls are waiting or at work. */
export function createTurns(): TakeTurns {
  const lastInLine = new Map<string, Promise<void>>();
  let calls = 0;

  return async (keys, work) => {
    if (calls >= WAITING_MAX) throw new StoreUnavailable("Too many calls are waiting for their turn");
    calls++;
    const own = Promise.withResolvers<void>();
    // All lines are joined in one step, without waiting in between: so no two calls can wait for each other.
    const before = keys.map((key) => lastInLine.get(key));
    for (const key of keys) lastInLine.set(key, own.promise);
    try {
      await Promise.all(before);
      return await work();
    } finally {
      for (const key of keys) if (lastInLine.get(key) === own.promise) lastInLine.delete(key);
      calls--;
      own.resolve();
    }
  };
}
