// A Deno KV whose calls hang when a test says so: each is held back until the test lets it go on, late but done all the
// same. It is below the deadlines of src/store/call.ts, so that the server gives up what hangs.

export interface StallingDb {
  /** For `startServer`. */
  readonly wrap: (db: Deno.Kv) => Deno.Kv;
  /** Of the calls that come from now on; null lets them all pass. */
  stall(stall: Stall | null): void;
  /** True once a call hangs and no other one is under way, false once `work` is over. */
  hangsDuring(work: Promise<unknown>): Promise<boolean>;
  /** What hangs goes on. Resolves once it is done. */
  letGo(): Promise<void>;
}

export interface Stall {
  /** Which one hangs, counted from 1; without it each one does. */
  readonly at?: number;
  /** What counts: commits only, or reads as well (the default). */
  readonly among?: "commits" | "calls";
}

/** Makes one call, unless it hangs first. */
type MakeCall = <Result>(kind: "read" | "commit", work: () => Promise<Result>) => Promise<Result>;

export function createStallingDb(): StallingDb {
  const hanging: (() => void)[] = [];
  let stall: Stall | null = null;
  let calls = 0;
  let underWay = 0;
  let news = Promise.withResolvers<void>();

  function tell(): void {
    news.resolve();
    news = Promise.withResolvers();
  }

  async function until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await news.promise;
  }

  async function allHang(): Promise<void> {
    const isSo = (): boolean => hanging.length > 0 && underWay === 0;
    do {
      await until(isSo);
      // Of calls that were made together one can be a few steps behind.
      await new Promise((resolve) => setTimeout(resolve));
    } while (!isSo());
  }

  function isStalled(kind: "read" | "commit"): boolean {
    if (stall === null || stall.among === "commits" && kind === "read") return false;
    calls++;
    return stall.at === undefined || stall.at === calls;
  }

  const call: MakeCall = async (kind, work) => {
    if (isStalled(kind)) {
      const released = new Promise<void>((resolve) => hanging.push(resolve));
      tell();
      await released;
    } else {
      underWay++;
    }
    try {
      return await work();
    } finally {
      underWay--;
      tell();
    }
  };

  return {
    wrap: (db) => interrupt(db, call),
    stall(next) {
      stall = next;
      calls = 0;
    },
    hangsDuring: (work) => Promise.race([allHang().then(() => true), work.then(() => false)]),
    async letGo() {
      underWay += hanging.length;
      for (const release of hanging.splice(0)) release();
      await until(() => underWay === 0);
    },
  };
}

/** The same database, by way of `call`. */
function interrupt(db: Deno.Kv, call: MakeCall): Deno.Kv {
  const calls: Pick<Deno.Kv, "get" | "getMany" | "list" | "atomic"> = {
    get: (...args) => call("read", () => db.get(...args)),
    getMany: (...args) => call("read", () => db.getMany(...args)),
    list(...args) {
      const listing = db.list<never>(...args);
      // A page is one call, which is over once all of its entries are there.
      const page = async function* (): AsyncGenerator<Deno.KvEntry<never>, undefined> {
        yield* await call("read", () => Array.fromAsync(listing));
        return undefined;
      }();
      return {
        [Symbol.asyncIterator]: () => page,
        next: () => page.next(),
        get cursor() {
          return listing.cursor;
        },
      };
    },
    atomic() {
      const operation = db.atomic();
      // An operation answers itself from `check` and `set`, so that it has to be altered in place.
      return Object.assign(operation, {
        commit: () => call("commit", () => Deno.AtomicOperation.prototype.commit.call(operation)),
      });
    },
  };
  // The only members that createKv uses while the server runs.
  return calls as Deno.Kv;
}
