// The one door to Deno KV. Rules that every caller needs are built in here, so that nobody can forget them:
// a record that carries `expiresAtMs` reads as absent from that moment on (Deno KV itself keeps it readable for
// about a minute), every call has a deadline (call.ts), a commit happens once (receipts.ts), and none takes more
// checks than the smallest backend allows.

import { type CallStore, createCallStore, type Stopwatch, StoreUnavailable } from "./call.ts";
import { type CommitOnce, createCommitOnce } from "./receipts.ts";

export { StoreUnavailable };

/** The path of a record, with the type of what stands there. Made in keys.ts only. */
export interface Key<Value> {
  readonly path: Deno.KvKey;
  /** Never set: it carries the type. */
  readonly value?: Value;
}

/** What stands at a key now. `value` is null when nothing does, or when it has expired. */
export interface Entry<Value> {
  readonly key: Key<Value>;
  readonly value: Value | null;
  /** Differs from every earlier state of the key; an expired record still has one, so that a check on it holds. */
  readonly versionstamp: string | null;
}

/** One page of a listing: at most `limit` live entries, in key order or against it. */
export interface Page<Value> {
  readonly entries: Present<Value>[];
  /** Where the next page starts; null after the last one. */
  readonly cursor: string | null;
}

/** An entry that is there. */
export type Present<Value> = Entry<Value> & { readonly value: Value };

type EntriesOf<Keys extends readonly Key<unknown>[]> = {
  -readonly [Index in keyof Keys]: Keys[Index] extends Key<infer Value> ? Entry<Value> : never;
};

/** All that the rest of the server may ask of the store. */
export interface Kv {
  find<Value>(key: Key<Value>): Promise<Entry<Value>>;
  /** One snapshot of at most KEYS_MAX keys. */
  findMany<const Keys extends readonly Key<unknown>[]>(keys: Keys): Promise<EntriesOf<Keys>>;
  collect<Value>(prefix: Key<Value>, options: CollectOptions): Promise<Page<Value>>;
  change(): Change;
  /** Milliseconds since 1970 by the clock that decides what has expired. */
  nowMs(): number;
  close(): void;
}

export interface CollectOptions {
  /** 1 to 1000. */
  readonly limit: number;
  readonly isNewestFirst?: boolean;
  readonly cursor?: string | null;
  /** Only keys whose next part is at most this whole number, or this text: for keys that are sorted by time. */
  readonly upTo?: number | string | null;
}

/** Writes that happen together or not at all. */
export interface Change {
  /** The commit fails unless the entry is still as it was read. */
  check(...entries: Entry<unknown>[]): Change;
  /** A value with `expiresAtMs` is swept by the store some time after that moment. */
  set<Value>(key: Key<Value>, value: Value): Change;
  remove(...keys: Key<unknown>[]): Change;
  /** Runs once the commit has happened, and only then: for what others are to be told of it. */
  afterCommit(work: () => void): Change;
  /** False when a check failed: nothing was written, read again and decide anew. */
  commit(): Promise<boolean>;
}

/** Ten fit, and one is for the receipt. */
const CHECKS_MAX = 9;
/** Keys that one snapshot reads. */
export const KEYS_MAX = 10;
const CONTENTION_TRIES_MAX = 40;
/** Slack after `expiresAtMs` before the store may sweep: the clocks of two instances differ a little. */
const SWEEP_SLACK_MS = 5_000;

export interface KvOptions {
  /** An answer can get lost then, though what was asked has happened. */
  readonly isOverNetwork?: boolean;
  /** By which the deadline of a call is measured (default: the time that passes). */
  readonly stopwatch?: Stopwatch | undefined;
}

/** Wraps an open Deno KV. `nowMs` decides what has expired. */
export function createKv(
  db: Deno.Kv,
  nowMs: () => number,
  { isOverNetwork = false, stopwatch }: KvOptions = {},
): Kv {
  const callStore = createCallStore(stopwatch);
  const commitOnce = isOverNetwork
    ? createCommitOnce(db)
    : async (operation: Deno.AtomicOperation) => (await operation.commit()).ok;
  const read = <Value>(key: Key<Value>, entry: Deno.KvEntryMaybe<unknown>): Entry<Value> => ({
    key,
    value: isLive(entry.value, nowMs()) ? entry.value as Value : null,
    versionstamp: entry.versionstamp,
  });

  return {
    nowMs,
    close: () => db.close(),
    find: async (key) => read(key, await callStore(() => db.get(key.path))),
    findMany: async <const Keys extends readonly Key<unknown>[]>(keys: Keys) => {
      if (keys.length > KEYS_MAX) throw new Error(`At most ${KEYS_MAX} keys can be read at once`);
      const entries = await callStore(() => db.getMany(keys.map((key) => key.path)));
      // The tuple has the order and the length of `keys`, so each entry has its key's type.
      return entries.map((entry, index) => read(keys[index] as Key<unknown>, entry)) as EntriesOf<Keys>;
    },
    collect: (prefix, options) => callStore(() => collectPage(db, prefix, options, nowMs())),
    change: () => createChange(db, { nowMs, callStore, commitOnce }),
  };
}

/** True when something stands there; narrows the value. */
export function isPresent<Value>(entry: Entry<Value>): entry is Present<Value> {
  return entry.value !== null;
}

/** What `attempt` returns when another writer was faster. */
export const LOST = Symbol("lost race");

/**
 * Runs `attempt` until it wins: each try reads afresh, decides, and commits once. Gives up with StoreUnavailable
 * after a bounded number of tries, so that contention refuses instead of admitting.
 */
export async function untilCommitted<Result>(attempt: () => Promise<Result | typeof LOST>): Promise<Result> {
  for (let tries = 0; tries < CONTENTION_TRIES_MAX; tries++) {
    const result = await attempt();
    if (result !== LOST) return result;
    await pause(Math.random() * Math.min(2 ** tries, 100));
  }
  throw new StoreUnavailable("Too many writers wanted the same record");
}

function createChange(
  db: Deno.Kv,
  { nowMs, callStore, commitOnce }: {
    readonly nowMs: () => number;
    readonly callStore: CallStore;
    readonly commitOnce: CommitOnce;
  },
): Change {
  const checks: Deno.AtomicCheck[] = [];
  const writes: ((operation: Deno.AtomicOperation) => void)[] = [];
  const followers = new Set<() => void>();
  const change: Change = {
    check(...entries) {
      for (const { key, versionstamp } of entries) checks.push({ key: [...key.path], versionstamp });
      return change;
    },
    set(key, value) {
      const expiresAtMs = expiryOf(value);
      const options = expiresAtMs === null ? {} : {
        expireIn: Math.max(1, Math.ceil(expiresAtMs - nowMs())) + SWEEP_SLACK_MS,
      };
      writes.push((operation) => operation.set(key.path, value, options));
      return change;
    },
    remove(...keys) {
      for (const key of keys) writes.push((operation) => operation.delete(key.path));
      return change;
    },
    afterCommit(work) {
      followers.add(work);
      return change;
    },
    async commit() {
      if (checks.length > CHECKS_MAX) throw new Error(`At most ${CHECKS_MAX} checks fit one commit`);
      const isCommitted = await callStore(() => {
        const operation = db.atomic().check(...checks);
        for (const write of writes) write(operation);
        return commitOnce(operation);
      });
      if (isCommitted) { for (const follow of followers) follow(); }
      return isCommitted;
    },
  };
  return change;
}

async function collectPage<Value>(
  db: Deno.Kv,
  prefix: Key<Value>,
  { limit, isNewestFirst = false, cursor, upTo }: CollectOptions,
  nowMs: number,
): Promise<Page<Value>> {
  const selector: Deno.KvListSelector = upTo === undefined || upTo === null
    ? { prefix: prefix.path }
    : { prefix: prefix.path, end: [...prefix.path, nextPart(upTo)] };
  const listing = db.list<Value>(selector, {
    limit,
    reverse: isNewestFirst,
    batchSize: Math.min(limit, 500),
    ...(cursor ? { cursor } : {}),
  });
  const entries: Present<Value>[] = [];
  let seen = 0;
  for await (const { key: path, value, versionstamp } of listing) {
    seen++;
    if (isLive(value, nowMs)) entries.push({ key: { path }, value, versionstamp });
  }
  return { entries, cursor: seen < limit || listing.cursor === "" ? null : listing.cursor };
}

/** The least key part that is greater: the end of a range is not part of it. */
function nextPart(part: number | string): number | string {
  return typeof part === "number" ? part + 1 : `${part}\u0000`;
}

function isLive(value: unknown, nowMs: number): boolean {
  const expiresAtMs = expiryOf(value);
  return expiresAtMs === null || nowMs < expiresAtMs;
}

function expiryOf(value: unknown): number | null {
  if (typeof value !== "object" || value === null || !("expiresAtMs" in value)) return null;
  return typeof value.expiresAtMs === "number" ? value.expiresAtMs : null;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
