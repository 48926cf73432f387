// A stopwatch that a test sets: deadlines of the store pass when it says so, and no sooner however busy the machine is.

import type { Stopwatch } from "../src/store/call.ts";

export interface TestStopwatch extends Stopwatch {
  /** What was to be done by then is done. */
  pass(ms: number): void;
}

/** No two moments are the same: a thousandth of a millisecond passes with each look. */
const TICK_MS = 0.001;

export function createStopwatch(): TestStopwatch {
  const alarms = new Set<{ readonly atMs: number; readonly work: () => void }>();
  let passedMs = 0;
  const nowMs = (): number => passedMs += TICK_MS;
  return {
    nowMs,
    after(delayMs, work) {
      const alarm = { atMs: nowMs() + delayMs, work };
      alarms.add(alarm);
      return () => alarms.delete(alarm);
    },
    pass(ms) {
      passedMs += ms;
      for (const alarm of [...alarms]) {
        if (alarm.atMs <= nowMs() && alarms.delete(alarm)) alarm.work();
      }
    },
  };
}
