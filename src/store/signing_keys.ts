// The signing keys, few and small: all of them are read at once. One signs; the others have an end.

import { addAuditEvents, type AuditDeps, type AuditDraft } from "./audit.ts";
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
 * ends at `othersEndAtMs`; those before it end when they were to, or with `isRevoking` now. False when there are too
 * many keys already.
 */
export function replaceSigningKey(
  deps: AuditDeps,
  record: SigningKeyRecord,
  { othersEndAtMs, isRevoking }: { readonly othersEndAtMs: number; readonly isRevoking: boolean },
): Promise<boolean> {
  const { kv } = deps;
  return untilCommitted(async () => {
    const { entries } = await kv.collect(keys.signingKeys(), { limit: KEYS_MAX });
    if (entries.length >= KEYS_MAX && !isRevoking) return false;
    // Of two rotations at once the second one finds the key of the first.
    const signing = entries.filter(({ value }) => value.expiresAtMs === undefined);
    const change = kv.change().check(...signing).set(keys.signingKey(record.kid), record);
    for (const { key, value } of signing) change.set(key, { ...value, expiresAtMs: othersEndAtMs });
    if (isRevoking) {
      change.remove(...entries.filter((entry) => !signing.includes(entry)).map(({ key }) => key));
    }
    await addAuditEvents(deps, change, [rotated(record.kid, "kept")]);
    return await change.commit() || LOST;
  });
}

/** Removes every key that signs no more, so that it verifies nothing. Not `kid`, which may have been replaced since. */
export async function removeOlderSigningKeys(
  deps: AuditDeps,
  { kid }: { readonly kid: string },
): Promise<void> {
  const { kv } = deps;
  await untilCommitted(async () => {
    const { entries } = await kv.collect(keys.signingKeys(), { limit: KEYS_MAX });
    const older = entries.filter(({ value }) => value.expiresAtMs !== undefined && value.kid !== kid);
    const change = kv.change().remove(...older.map(({ key }) => key));
    await addAuditEvents(deps, change, [rotated(kid, "revoked")]);
    return await change.commit() || LOST;
  });
}

function rotated(kid: string, olderKeys: "kept" | "revoked"): AuditDraft {
  return {
    type: "signing_key_rotated",
    actor: OPERATOR,
    userId: null,
    details: { kid, older_keys: olderKeys },
  };
}
