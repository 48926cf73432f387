// What must be true of a store at rest, whatever happened to the server: all that `deno task store:check` expects, seen
// at once, and that nothing is left to be done. And what a store must not hold.

import { keys } from "../src/store/keys.ts";
import { walkStore } from "../src/store_check/walk.ts";

/**
 * A sentence for each invariant that does not hold. The server must be stopped, or have nothing to do. What has expired
 * by `nowMs` is as good as gone: the store sweeps it by a clock that no test can set.
 */
export async function collectBrokenInvariants(
  db: Deno.Kv,
  { nowMs = 0 }: { readonly nowMs?: number } = {},
): Promise<string[]> {
  const suspects = await Array.fromAsync(walkStore(db, { nowMs: () => nowMs, sweepMs: Infinity }));
  const unfinished = await Array.fromAsync(db.list({ prefix: keys.tombstones().path }));
  return [
    ...new Set(suspects.flatMap(({ faults }) => faults)),
    ...unfinished.map(({ key }) => `${key.join("/")} waits for the deletion to be finished`),
  ];
}

/**
 * Which of `secrets` stands in the store, and in which kind of record: in a key or in a value, in the clear. What has
 * expired and is not swept yet counts.
 */
export async function collectTraces(db: Deno.Kv, secrets: readonly string[]): Promise<string[]> {
  const traces = new Set<string>();
  for await (const { key, value } of db.list({ prefix: [] })) {
    const text = legible([key, value]);
    for (const secret of secrets) if (text.includes(secret)) traces.add(`${String(key[0])}: ${secret}`);
  }
  return [...traces].sort();
}

/** Bytes show as the text that they would be if they were not sealed. */
function legible(value: unknown): string {
  const decoder = new TextDecoder("latin1");
  return JSON.stringify(value, (_, part) => part instanceof Uint8Array ? decoder.decode(part) : part);
}
