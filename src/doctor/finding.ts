// What the doctor finds: one line each, well or to be fixed.

/** `text` says how it is; of what is not well also what to do. */
export interface Finding {
  readonly isWell: boolean;
  readonly topic: string;
  readonly text: string;
}

export function well(topic: string, text: string): Finding {
  return { isWell: true, topic, text };
}

export function toFix(topic: string, text: string): Finding {
  return { isWell: false, topic, text };
}

/** The middle one of some measurements; 0 of none. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** `0.4 ms`, `12 ms`. */
export function formatMs(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
