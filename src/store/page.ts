// Pages of lists that are shown newest first and filtered. Ids are sorted by time, so that a page is "from this id on,
// downwards": nothing that comes or goes meanwhile repeats or hides anything else.

import { type Entry, isPresent, type Key, KEYS_MAX, type Kv, type Page, type Present } from "./kv.ts";

/** Which page of a list. */
export interface PageQuery {
  /** 1 to 100. */
  readonly limit: number;
  /** Where the page starts; null for the newest. */
  readonly startId: string | null;
}

/** One page of a list, newest first. */
export interface ItemPage<Item> {
  readonly items: readonly Item[];
  /** Where the next page starts, even if that item is gone by then; null after the last page. */
  readonly nextId: string | null;
}

/** Reads at most `limit` items, 1 to 500, whether or not they are wanted. */
export type Source<Item> = (query: PageQuery) => Promise<ItemPage<Item>>;

const STEP_MAX = 500;
const ALL_STEP = 100;

/**
 * The items of `source` that `isWanted`. Looks at about `looksMax` at most: then the page is short although there is a
 * next one.
 */
export async function fillPage<Item extends { readonly id: string }>(
  source: Source<Item>,
  { limit, startId }: PageQuery,
  { isWanted, looksMax }: { readonly isWanted: (item: Item) => boolean; readonly looksMax: number },
): Promise<ItemPage<Item>> {
  const found: Item[] = [];
  let nextId = startId;
  let looks = 0;
  // One more than asked for tells whether there is a next page.
  let step = limit + 1;
  do {
    const { items, nextId: restId } = await source({ limit: step, startId: nextId });
    found.push(...items.filter(isWanted));
    nextId = restId;
    looks += step;
    step = Math.min(step * 2, STEP_MAX);
  } while (found.length <= limit && nextId !== null && looks < looksMax);
  return { items: found.slice(0, limit), nextId: found[limit]?.id ?? nextId };
}

/** The records whose keys are `prefix` and their id. */
export function sourceOfRecords<Item extends { readonly id: string }>(
  kv: Kv,
  prefix: Key<Item>,
): Source<Item> {
  return async ({ limit, startId }) => {
    const items = await collectNewest(kv, prefix, { limit: limit + 1, startId });
    return { items: items.slice(0, limit), nextId: items[limit]?.id ?? null };
  };
}

/** The records of the ids that `findIds` gives, newest first; an id without a record is left out. */
export function sourceOfIds<Item>(
  kv: Kv,
  keyOf: (id: string) => Key<Item>,
  findIds: (query: PageQuery) => Promise<readonly string[]>,
): Source<Item> {
  return async ({ limit, startId }) => {
    const ids = await findIds({ limit: limit + 1, startId });
    const entries = await findAll(kv, ids.slice(0, limit).map(keyOf));
    return { items: entries.filter(isPresent).map(({ value }) => value), nextId: ids[limit] ?? null };
  };
}

/** Any number of keys, KEYS_MAX a read. */
export async function findAll<Value>(kv: Kv, all: readonly Key<Value>[]): Promise<Entry<Value>[]> {
  const groups = Array.from(
    { length: Math.ceil(all.length / KEYS_MAX) },
    (_, index) => all.slice(index * KEYS_MAX, (index + 1) * KEYS_MAX),
  );
  return (await Promise.all(groups.map((group) => kv.findMany(group)))).flat();
}

/** At most `limit` (1 to 1000) values of keys that end in an id, newest first. */
export async function collectNewest<Value>(
  kv: Kv,
  prefix: Key<Value>,
  { limit, startId }: PageQuery,
): Promise<Value[]> {
  const found: Present<Value>[] = [];
  let cursor: string | null = null;
  // Expired entries that are not swept yet fill a page, and do not show in it.
  do {
    const page: Page<Value> = await kv.collect(prefix, {
      limit: limit - found.length,
      isNewestFirst: true,
      upTo: startId,
      cursor,
    });
    found.push(...page.entries);
    cursor = page.cursor;
  } while (cursor !== null && found.length < limit);
  return found.map(({ value }) => value);
}

/** All that lies below a key of which there is little. Entries that expired, and are not swept yet, hide none. */
export async function collectAll<Value>(kv: Kv, prefix: Key<Value>): Promise<Present<Value>[]> {
  return (await Array.fromAsync(pagesOf(kv, prefix, ALL_STEP))).flat();
}

/** All that lies below a key, `step` (1 to 1000) at a time. A step without entries is left out: all of its have expired. */
export async function* pagesOf<Value>(
  kv: Kv,
  prefix: Key<Value>,
  step: number,
): AsyncGenerator<Present<Value>[]> {
  let cursor: string | null = null;
  do {
    const page: Page<Value> = await kv.collect(prefix, { limit: step, cursor });
    if (page.entries.length > 0) yield page.entries;
    cursor = page.cursor;
  } while (cursor !== null);
}
