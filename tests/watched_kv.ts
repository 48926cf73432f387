// A store that is watched: what it was asked is counted, and a rival can act between somebody's read and commit.

import type { Change, Kv } from "../src/store/kv.ts";

export interface WatchedKv {
  /** Calls that read; one of several keys counts once. */
  reads: number;
  /** Commits that were tried. */
  commits: number;
  /** For `startServer`. */
  wrap(kv: Kv): Kv;
  /** Runs `act` when the next commit is about to happen, whoever's it is. */
  beforeNextCommit(act: () => Promise<unknown>): void;
}

export function watchKv(): WatchedKv {
  let rival: (() => Promise<unknown>) | null = null;
  const watched: WatchedKv = {
    reads: 0,
    commits: 0,
    beforeNextCommit: (act) => rival = act,
    wrap: (kv) => ({
      ...kv,
      find: counted(kv.find),
      findMany: counted(kv.findMany),
      collect: counted(kv.collect),
      change: () => watchChange(kv.change()),
    }),
  };

  function counted<Call extends (...args: never[]) => unknown>(call: Call): Call {
    // A function that counts and passes everything on has the type of what it calls.
    return ((...args: Parameters<Call>) => {
      watched.reads++;
      return call(...args);
    }) as Call;
  }

  function watchChange(change: Change): Change {
    const { commit } = change;
    // The change answers itself from `check` and `set`, so that it has to be altered in place.
    return Object.assign(change, {
      commit: async () => {
        watched.commits++;
        const act = rival;
        rival = null;
        await act?.();
        return await commit();
      },
    });
  }

  return watched;
}
