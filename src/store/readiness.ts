// Readiness: a store that only reads is not ready.

import { keys } from "./keys.ts";
import type { Kv } from "./kv.ts";

/** Writes one record. Throws StoreUnavailable, or whatever the store says, when it cannot. */
export async function proveWrite(kv: Kv): Promise<void> {
  await kv.change().set(keys.probe(), { atMs: kv.nowMs() }).commit();
}
