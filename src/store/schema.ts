// The layout of the store, and how a store of an older version gets it. The marker says which layout it has, and how far
// a migration has come: whoever starts next goes on there. Nobody reads a store of a newer version.

import { keys, type StoreRecord } from "./keys.ts";
import { isPresent, type Kv, type Present } from "./kv.ts";
import { StoreFault } from "./open.ts";

/** The layout that this version reads and writes. */
export const SCHEMA = 1;

/** One step, from the layout before it. */
export interface Migration {
  readonly to: number;
  /**
   * Rewrites the records from `cursor` on, as many as fit one or a few commits, and gives where to go on; null when all
   * are done. It can be killed anywhere, and be run by two servers at once: what it finds rewritten it leaves alone.
   */
  rewrite(kv: Kv, cursor: string | null): Promise<string | null>;
}

/** In order, one for each layout after the first. */
const MIGRATIONS: readonly Migration[] = [];

/** The marker of a store of ours, in a layout that this version knows. Throws StoreFault when it is another's. */
export async function requireMarker(
  kv: Kv,
  { name, schema = SCHEMA }: { readonly name: string; readonly schema?: number },
): Promise<StoreRecord> {
  const { value: marker } = await kv.find(keys.store());
  if (!marker) throw new StoreFault(`${name} is not the store of a Latchkey server`);
  if (marker.schema > schema) {
    throw new StoreFault(`${name} was written by a newer Latchkey: use that version, or a later one`);
  }
  return marker;
}

/** For tools, which leave the layout alone. An empty store is any version's. Throws StoreFault. */
export async function requireCurrentSchema(kv: Kv, { name }: { readonly name: string }): Promise<void> {
  if (!isPresent(await kv.find(keys.store()))) return;
  const { schema } = await requireMarker(kv, { name });
  if (schema < SCHEMA) {
    throw new StoreFault(`${name} was written by an older Latchkey: start this version's server on it once`);
  }
}

/**
 * Gives the store the layout of this version, step by step, before anything else is read. Returns the layout that it
 * had, or null for an empty store. Throws StoreFault for a newer one.
 */
export async function migrateStore(
  kv: Kv,
  { name, schema = SCHEMA, migrations = MIGRATIONS }: {
    readonly name: string;
    readonly schema?: number;
    readonly migrations?: readonly Migration[];
  },
): Promise<number | null> {
  const first = await kv.find(keys.store());
  if (!isPresent(first)) return null;
  await requireMarker(kv, { name, schema });
  let marker: Present<StoreRecord> = first;
  while (marker.value.schema < schema) {
    const to = marker.value.schema + 1;
    const migration = migrations.find((step) => step.to === to);
    if (!migration) throw new Error(`There is no migration to layout ${to}`);
    marker = await advance(kv, marker, migration);
  }
  return first.value.schema;
}

/** One page further. The marker as it is then, whoever has written it. */
async function advance(
  kv: Kv,
  marker: Present<StoreRecord>,
  { to, rewrite }: Migration,
): Promise<Present<StoreRecord>> {
  const { createdAtMs, schema, cursor = null } = marker.value;
  const next = await rewrite(kv, cursor);
  const record = next === null ? { createdAtMs, schema: to } : { createdAtMs, schema, cursor: next };
  // Another server may be at it as well, and further.
  await kv.change().check(marker).set(marker.key, record).commit();
  const now = await kv.find(marker.key);
  if (!isPresent(now)) throw new Error("The store has lost its marker");
  return now;
}
