// How Deno KV is called: no call takes longer than its deadline, and hardly any is made while the store is silent.
// Over a network Deno has no deadline of its own, and sends a call again for as long as nobody answers it; so only so
// many are with it at a time, and the others wait here, where they can be given up.

/** The store did not answer in time, or is gone. Becomes 503 `unavailable`; what was asked may or may not have happened. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

/** Makes one call. Rejects with StoreUnavailable within five seconds, and otherwise as the call does. */
export type CallStore = <Result>(call: () => Promise<Result>) => Promise<Result>;

/** Measures how long calls take. A test brings one that it can set, and need not wait. */
export interface Stopwatch {
  /** Milliseconds since some moment. */
  nowMs(): number;
  /** Does `work` once `delayMs` have passed, unless what it answers is called before. */
  after(delayMs: number, work: () => void): () => void;
}

const DEADLINE_MS = 5_000;
/** With Deno at once. More would not be faster: it has one thread for a file, and one connection to a server. */
const CALLS_MAX = 64;
/** How often a call is made in spite of the silence: those that still wait may have been lost on the way. */
const SCOUT_INTERVAL_MS = 5_000;
/** As when a machine is gone that had taken the call already: nobody is left to say so. */
const LOST_AFTER_MS = 60_000;
const LOCKED_RETRY_MS = 5;
const REAL: Stopwatch = {
  nowMs: () => performance.now(),
  after(delayMs, work) {
    const timer = setTimeout(work, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Of a call that is with Deno. */
interface Place {
  readonly takenAtMs: number;
}

/** For one open store. */
export function createCallStore(stopwatch = REAL): CallStore {
  const waiting: (() => void)[] = [];
  /** The oldest first. */
  const places = new Set<Place>();
  let newest: Place = { takenAtMs: -Infinity };
  /** A call waited for its whole life, and nothing at all was answered in that time. */
  let isSilent = false;
  let askedAtMs = -Infinity;
  let answeredAtMs = -Infinity;

  function takePlace(): Place {
    newest = { takenAtMs: stopwatch.nowMs() };
    places.add(newest);
    return newest;
  }

  async function enter(): Promise<Place> {
    // When all of them may be lost, one more has to find out.
    const isFree = places.size < CALLS_MAX || isLost(newest);
    if (isFree) return takePlace();
    return await new Promise((resolve) => waiting.push(() => resolve(takePlace())));
  }

  function isLost({ takenAtMs }: Place): boolean {
    return stopwatch.nowMs() - takenAtMs >= LOST_AFTER_MS;
  }

  function leave(place: Place): void {
    answeredAtMs = stopwatch.nowMs();
    isSilent = false;
    places.delete(place);
    // The store answers: what it has not answered for so long, it never will.
    for (const oldest of places) {
      if (!isLost(oldest)) break;
      places.delete(oldest);
    }
    // A place passes on at once, so that a newcomer cannot slip in between.
    while (places.size < CALLS_MAX && waiting.length > 0) waiting.shift()?.();
  }

  return async (call) => {
    const startedAtMs = stopwatch.nowMs();
    if (isSilent && startedAtMs - askedAtMs < SCOUT_INTERVAL_MS) {
      throw new StoreUnavailable("The store does not answer");
    }
    askedAtMs = startedAtMs;
    let isOver = false;
    const answer = enter().then((place) => untilUnlocked(call, () => isOver).finally(() => leave(place)));
    return await inTime(stopwatch, answer, () => {
      isOver = true;
      isSilent ||= answeredAtMs < startedAtMs;
    });
  };
}

/** A second process locks a local file for a moment. */
async function untilUnlocked<Result>(call: () => Promise<Result>, isOver: () => boolean): Promise<Result> {
  while (!isOver()) {
    try {
      return await call();
    } catch (error) {
      if (isOutage(error)) throw new StoreUnavailable(error.message, { cause: error });
      // "database is locked" means that nothing was written, so that trying again is safe.
      if (!(error instanceof Error && error.message.includes("database is locked"))) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOCKED_RETRY_MS * (1 + Math.random())));
    }
  }
  throw new StoreUnavailable("The call was given up");
}

/**
 * Whether the store, or the way to it, is at fault. Deno's client of KV Connect throws plain errors; a request that is
 * refused for what it asks, and everything that is found wrong with it before, is our mistake.
 */
function isOutage(error: unknown): error is Error {
  if (error instanceof Deno.errors.BadResource) return true;
  return error instanceof Error && error.name === "Error" && !error.message.includes("(status=400");
}

async function inTime<Result>(
  stopwatch: Stopwatch,
  work: Promise<Result>,
  giveUp: () => void,
): Promise<Result> {
  const { promise: limit, reject } = Promise.withResolvers<never>();
  const stop = stopwatch.after(DEADLINE_MS, () => {
    giveUp();
    reject(new StoreUnavailable(`The store did not answer within ${DEADLINE_MS} ms`));
  });
  try {
    return await Promise.race([limit, work]);
  } finally {
    stop();
  }
}
