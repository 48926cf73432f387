// The signing keys, few and small: all of them are read at once.

import { keys, type SigningKeyRecord } from "./keys.ts";
import { type Kv } from "./kv.ts";

const KEYS_MAX = 100;

/** All keys, oldest id first. */
export async function collectSigningKeys(kv: Kv): Promise<SigningKeyRecord[]> {
  const { entries } = await kv.collect(keys.signingKeys(), { limit: KEYS_MAX });
  return entries.map(({ value }) => value);
}

/** Marks a new store and gives it its first key. False when another process did so first. */
export async function insertFirstSigningKey(kv: Kv, record: SigningKeyRecord): Promise<boolean> {
  const marker = await kv.find(keys.store());
  if (marker.value) return false;
  return kv.change()
    .check(marker)
    .set(keys.store(), { schema: 1, createdAtMs: kv.nowMs() })
    .set(keys.signingKey(record.kid), record)
    .commit();
}
