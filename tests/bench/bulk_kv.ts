// A store to be filled: takes what the store's own functions write, and writes it in few large commits. Only for a store
// that is empty and that nobody else has open: nothing is checked, and nothing is read back but what was just written.

import type { Change, Entry, Key, Kv } from "../../src/store/kv.ts";

export interface BulkKv extends Kv {
  /** To be called between two records that do not read each other: writes them once there are enough. */
  flush(): Promise<void>;
  /** Writes the rest. */
  settle(): Promise<void>;
}

interface Write {
  readonly key: Key<unknown>;
  readonly value: unknown;
}

/** Deno KV takes 1,000 in a commit. */
const WRITES_MIN = 750;
/** Records that everybody changes; the others are of one person each. */
const SHARED: ReadonlySet<unknown> = new Set(["active_admins", "audit_heads"]);
/** Stands for any version: nobody checks it. */
const VERSION = "0".repeat(20);

/** Wraps an open and empty store. */
export function createBulkKv(kv: Kv): BulkKv {
  const shared = new Map<string, Write>();
  let pending = new Map<string, Write>();
  let underWay: Promise<unknown> = Promise.resolve();

  const find = <Value>(key: Key<Value>): Entry<Value> => {
    const id = idOf(key);
    const write = pending.get(id) ?? shared.get(id);
    if (!write) return { key, value: null, versionstamp: null };
    // Written under the same key, so that it has the key's type.
    return { key, value: write.value as Value, versionstamp: VERSION };
  };
  const take = (write: Write): void => {
    const id = idOf(write.key);
    pending.set(id, write);
    if (SHARED.has(write.key.path[0])) shared.set(id, write);
  };
  /** While one commit is written, the next is made. */
  const writePending = async (): Promise<void> => {
    await underWay;
    const change = kv.change();
    for (const { key, value } of pending.values()) change.set(key, value);
    pending = new Map();
    underWay = change.commit();
    // Told by whoever waits for it next.
    underWay.catch(() => {});
  };

  return {
    nowMs: kv.nowMs,
    close: kv.close,
    find: (key) => Promise.resolve(find(key)),
    // As many entries as keys, in their order.
    findMany: (keys) => Promise.resolve(keys.map((key) => find(key)) as never),
    collect: () => Promise.resolve({ entries: [], cursor: null }),
    change: () => createChange(take),
    async flush() {
      if (pending.size >= WRITES_MIN) await writePending();
    },
    async settle() {
      await writePending();
      await underWay;
    },
  };
}

function createChange(take: (write: Write) => void): Change {
  const writes: Write[] = [];
  const followers: (() => void)[] = [];
  const change: Change = {
    check: () => change,
    set(key, value) {
      writes.push({ key, value });
      return change;
    },
    remove(...keys) {
      if (keys.length > 0) throw new Error("There is nothing to remove in a store that is being filled");
      return change;
    },
    afterCommit(work) {
      followers.push(work);
      return change;
    },
    commit() {
      for (const write of writes) take(write);
      for (const follow of followers) follow();
      return Promise.resolve(true);
    },
  };
  return change;
}

/** The parts are ids, hashes, numbers, and texts of one line. */
function idOf({ path }: Key<unknown>): string {
  return path.join("\n");
}
