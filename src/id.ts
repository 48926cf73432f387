// Ids: UUIDv7 (RFC 9562 §5.7), sorted by the time they were made. 73 bits are random and come from the
// cryptographic source, never from a counter, so that the id of a challenge cannot be guessed from another one.

import { v7 } from "uuid";

/** A new id, made at `nowMs`. */
export function newId(nowMs: number): string {
  return v7({ msecs: nowMs, random: crypto.getRandomValues(new Uint8Array(16)) });
}
