// How far a long run has come, on a terminal; nothing anywhere else.

export interface Progress {
  /** `share` is from 0 to 1. */
  show(share: number): void;
  /** Clears the line, for another one or for good. */
  clear(): void;
}

const WIDTH = 40;
const INTERVAL_MS = 100;

/** A bar with `label` in front, on standard error. */
export function createProgress(label: string): Progress {
  if (!Deno.stderr.isTerminal()) return { show: () => {}, clear: () => {} };
  const write = (text: string): number => Deno.stderr.writeSync(new TextEncoder().encode(text));
  let shownAtMs = -Infinity;
  return {
    show(share) {
      if (performance.now() - shownAtMs < INTERVAL_MS) return;
      shownAtMs = performance.now();
      const bar = "#".repeat(Math.round(share * WIDTH)).padEnd(WIDTH, ".");
      write(`\r${label} [${bar}] ${Math.floor(share * 100)} %`);
    },
    // ECMA-48: back to the start of the line, and erase to its end.
    clear: () => void write("\r\x1b[K"),
  };
}
