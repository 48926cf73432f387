// A store that is watched: what it was asked is counted, and a rival can act between somebody's read and commit.

import type { Change, Kv } from "../src/store/kv.ts";

export interface WatchedKv {
  /** Calls that read; one of several keys counts once. */
  reads: number;
  /** Commits that were tried. */
  commits: number;
  /** Records that they were to check, set or remove. */
  operations: number;
  /** While this is set, every second commit that checks anything loses its race, beginning with the first. */
  isLosing: boolean;
  /** For `startServer`. */
  wrap(kv: Kv): Kv;
  /** Runs `act` when the next commit is about to happen, whoever's it is. */
  beforeNextCommit(act: () => Promise<unknown>): void;
}

export function watchKv(): WatchedKv {
  let rival: (() => Promise<unknown>) | null = null;
  let races = 0;
  const watched: WatchedKv = {
    reads: 0,
    commits: 0,
    operations: 0,
    isLosing: false,
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
    const { check, set, remove, commit } = change;
    let checks = 0;
    let operations = 0;
    // The change answers itself from `check` and `set`, so that it has to be altered in place.
    return Object.assign<Change, Pick<Change, "check" | "set" | "remove" | "commit">>(change, {
      check: (...entries) => {
        checks += entries.length;
        return check(...entries);
      },
      set: (key, value) => {
        operations++;
        return set(key, value);
      },
      remove: (...keys) => {
        operations += keys.length;
        return remove(...keys);
      },
      commit: async () => {
        watched.commits++;
        watched.operations += checks + operations;
        const act = rival;
        rival = null;
        await act?.();
        if (watched.isLosing && checks > 0 && races++ % 2 === 0) return false;
        return await commit();
      },
    });
  }

  return watched;
}
