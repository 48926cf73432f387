// The signing keys, few and small: all of them are read at once. One signs; the others have an end.

import { addAuditEvents, type AuditDeps } from "./audit.ts";
import { OPERATOR } from "./client.ts";
import { keys, type SigningKeyRecord } from "./keys.ts";
import { type Kv, LOST, untilCommitted } from "./kv.ts";
import { SCHEMA } from "./schema.ts";

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
    .set(keys.store(), { schema: SCHEMA, createdAtMs: kv.nowMs() })
    .set(keys.signingKey(record.kid), record)
    .commit();
}

/**
 * Makes `record` the key that signs, in one commit with the end of the older ones: the one that signed until now
 * ends at `othersEndAtMs`, those before it end when they were to; null removes them all. False when there are too
 * many keys already.
 */
export function replaceSigningKey(
  deps: AuditDeps,
  record: SigningKeyRecord,
  { othersEndAtMs }: { readonly othersEndAtMs: number | null },
): Promise<boolean> {
  const { kv } = deps;
  return untilCommitted(async () => {
    const { entries } = await kv.collect(keys.signingKeys(), { limit: KEYS_MAX });
    // Of two rotations at once the second one finds the key of the first.
    const signing = entries.filter(({ value }) => value.expiresAtMs === undefined);
    const change = kv.change().check(...signing).set(keys.signingKey(record.kid), record);
    if (othersEndAtMs === null) {
      change.remove(...entries.map(({ key }) => key));
    } else {
      if (entries.length >= KEYS_MAX) return false;
      for (const { key, value } of signing) change.set(key, { ...value, expiresAtMs: othersEndAtMs });
    }
    await addAuditEvents(deps, change, [{
      type: "signing_key_rotated",
      actor: OPERATOR,
      userId: null,
      details: { kid: record.kid, older_keys: othersEndAtMs === null ? "revoked" : "kept" },
    }]);
    return await change.commit() || LOST;
  });
}
