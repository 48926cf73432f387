// Readiness: a store that only reads is not ready.

import { keys } from "./keys.ts";
import type { Kv } from "./kv.ts";

/** How long a proof holds: anybody may ask, and not everybody who does shall cost a write. */
const PROOF_TTL_MS = 1_000;

/** Writes one record. Rejects with whatever is in the way. */
export async function proveWrite(kv: Kv): Promise<void> {
  await kv.change().set(keys.probe(), { atMs: kv.nowMs() }).commit();
}

/** The same for the public, at most once a second: callers at the same moment share one write. */
export function createWriteProbe(kv: Kv): () => Promise<void> {
  let provedAtMs = -Infinity;
  let running: Promise<void> | undefined;
  return () => {
    if (Math.abs(kv.nowMs() - provedAtMs) < PROOF_TTL_MS) return Promise.resolve();
    return running ??= proveWrite(kv)
      .then(() => {
        provedAtMs = kv.nowMs();
      })
      .finally(() => {
        running = undefined;
      });
  };
}
