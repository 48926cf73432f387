// What a figure of reliability is, and the chance that its schedule comes from: the same seed gives the same one.

/** What was found. */
export interface Finding {
  readonly value: string;
  readonly isMet: boolean;
  /** The goal is missed, and a page says why and what comes next. */
  readonly isExplained?: boolean;
}

export interface Figure {
  /** As in the table of goals. */
  readonly number: number;
  readonly name: string;
  readonly goal: string;
  /** Bounded in count and time; ends whatever it started. */
  measure(run: Run): Promise<Finding>;
}

export interface Run {
  /** Under five minutes for all figures together. */
  readonly isQuick: boolean;
  readonly random: Random;
}

/** From 0 up to, but not including, 1. */
export type Random = () => number;

/** Mulberry32: small, and good enough for schedules. Nothing secret comes from it. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number from 0 up to, but not including, `end`. */
export function pick(random: Random, end: number): number {
  return Math.floor(random() * end);
}

/** Waits; for schedules that are the thing to be measured. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The least number that so many percent of `values` do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * percent / 100))] ?? 0;
}
