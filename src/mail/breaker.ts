// Whether the mail server is worth asking. While it is down one attempt at a time finds out, ever less often but
// never rarer than PROBE_INTERVAL_MAX_MS; the first one that gets through opens the way for everything that waits.

/** Free way; the one attempt that is allowed now; or nothing, for the moment. */
export type Passage = "open" | "probe" | "wait";

export interface Breaker {
  /** Asks for leave to attempt a delivery. Give every one but `wait` back, when the attempt is over or not made. */
  admit(): Passage;
  giveBack(passage: Passage): void;
  /** The server answered. True when it was down before. */
  succeed(): boolean;
  /** It did not. True when it was up before. */
  fail(passage: Passage): boolean;
  /** When the next probe may go; null while the server is up. */
  probeAtMs(): number | null;
}

const PROBE_INTERVAL_MIN_MS = 3_000;
const PROBE_INTERVAL_MAX_MS = 15_000;

export function createBreaker(nowMs: () => number): Breaker {
  let outage: { readonly intervalMs: number; readonly probeAtMs: number } | null = null;
  let isProbing = false;
  const waitFor = (intervalMs: number): void => {
    outage = { intervalMs, probeAtMs: nowMs() + intervalMs };
  };

  return {
    admit(): Passage {
      if (outage === null) return "open";
      const waitMs = outage.probeAtMs - nowMs();
      // A wait that is longer than it ever was: the clock was set back, and no mail is to stay for that.
      const isEarly = waitMs > 0 && waitMs <= outage.intervalMs;
      if (isProbing || isEarly) return "wait";
      isProbing = true;
      return "probe";
    },
    giveBack(passage): void {
      if (passage === "probe") isProbing = false;
    },
    succeed(): boolean {
      const wasDown = outage !== null;
      outage = null;
      return wasDown;
    },
    fail(passage): boolean {
      if (outage === null) {
        waitFor(PROBE_INTERVAL_MIN_MS);
        return true;
      }
      // The others were under way when the server went down: they tell nothing new.
      if (passage === "probe") waitFor(Math.min(outage.intervalMs * 2, PROBE_INTERVAL_MAX_MS));
      return false;
    },
    probeAtMs: () => outage?.probeAtMs ?? null,
  };
}
