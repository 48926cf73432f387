// How Deno KV is called: no call takes longer than its deadline, and hardly any is made while the store is silent.
// Over a network Deno has no deadline of its own, and sends a call again for as long as nobody answers it; so only so
// many are with it at a time, and the others wait here, where they can be given up.

/** The store did not answer in time, or is gone. Becomes 503 `unavailable`; what was asked may or may not have happened. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

/** Makes one call. Rejects with StoreUnavailable within five seconds, and otherwise as the call does. */
export type CallStore = <Result>(call: () => Promise<Result>) => Promise<Result>;

const DEADLINE_MS = 5_000;
/** With Deno at once. More would not be faster: it has one thread for a file, and one connection to a server. */
const CALLS_MAX = 64;
/** How often a call is made in spite of the silence: those that still wait may have been lost on the way. */
const SCOUT_INTERVAL_MS = 5_000;
const LOCKED_RETRY_MS = 5;

/** For one open store. */
export function createCallStore(): CallStore {
  const waiting: (() => void)[] = [];
  let underWay = 0;
  /** A call waited for its whole life, and nothing at all was answered in that time. */
  let isSilent = false;
  let askedAtMs = -Infinity;
  let answeredAtMs = -Infinity;

  async function enter(): Promise<void> {
    if (underWay >= CALLS_MAX) return await new Promise((resolve) => waiting.push(resolve));
    underWay++;
  }

  function leave(): void {
    answeredAtMs = performance.now();
    isSilent = false;
    const next = waiting.shift();
    // The place passes on as it is, so that a newcomer cannot slip in between.
    if (next) return next();
    underWay--;
  }

  return async (call) => {
    const startedAtMs = performance.now();
    if (isSilent && startedAtMs - askedAtMs < SCOUT_INTERVAL_MS) {
      throw new StoreUnavailable("The store does not answer");
    }
    askedAtMs = startedAtMs;
    let isOver = false;
    const answer = enter().then(() => untilUnlocked(call, () => isOver)).finally(leave);
    return await within(DEADLINE_MS, answer, () => {
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

async function within<Result>(limitMs: number, work: Promise<Result>, giveUp: () => void): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      giveUp();
      reject(new StoreUnavailable(`The store did not answer within ${limitMs} ms`));
    }, limitMs);
  });
  try {
    return await Promise.race([limit, work]);
  } finally {
    clearTimeout(timer);
  }
}
