// The signing keys, few and small: all of them are read at once. The newest has no end; it signs, or it will soon, and
// until then the one before it does.

import { addAuditEvents, type AuditDeps, type AuditDraft } from "./audit.ts";
import { OPERATOR } from "./client.ts";
import { keys, type SigningKeyRecord } from "./keys.ts";
import { type Kv, LOST, untilCommitted } from "./kv.ts";
import { collectAll } from "./page.ts";
import { SCHEMA } from "./schema.ts";

const KEYS_MAX = 100;
/** By how much the clocks of two servers may differ, and a moment. */
export const CLOCK_SLACK_MS = 60_000;

/** All keys, newest first: in the order in which each replaced the one behind it. */
export async function collectSigningKeys(kv: Kv): Promise<SigningKeyRecord[]> {
  const entries = await collectAll(kv, keys.signingKeys());
  return entries.map(({ value }) => value).sort(compareAge);
}

/** Whether a key may sign by now: before that somebody may not have it. */
export function isReady({ signsAtMs = 0 }: SigningKeyRecord, nowMs: number): boolean {
  return signsAtMs <= nowMs;
}

/** The newest has no end, and each of the others one that is later than that of the key it replaced. */
function compareAge(a: SigningKeyRecord, b: SigningKeyRecord): number {
  const { expiresAtMs: endOfA = Number.MAX_VALUE } = a;
  const { expiresAtMs: endOfB = Number.MAX_VALUE } = b;
  return endOfB - endOfA || b.createdAtMs - a.createdAtMs;
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
 * Makes `record` the newest key, in one commit with the end of the one before it at `othersEndAtMs`. Those before that
 * end when they were to. With `isRevoking` all go now but those with which some server may be signing at the moment,
 * by whatever clock: they are for removeOlderSigningKeys. False when there are too many keys already.
 */
export function replaceSigningKey(
  deps: AuditDeps,
  record: SigningKeyRecord,
  { othersEndAtMs, isRevoking }: { readonly othersEndAtMs: number; readonly isRevoking: boolean },
): Promise<boolean> {
  const { kv } = deps;
  return untilCommitted(async () => {
    const entries = await collectAll(kv, keys.signingKeys());
    if (entries.length >= KEYS_MAX && !isRevoking) return false;
    // Of two rotations at once the second one finds the key of the first.
    const newest = entries.filter(({ value }) => value.expiresAtMs === undefined);
    const change = kv.change().check(...newest).set(keys.signingKey(record.kid), record);
    for (const { key, value } of newest) change.set(key, { ...value, expiresAtMs: othersEndAtMs });
    if (isRevoking) {
      const nowMs = kv.nowMs();
      const order = entries.toSorted((a, b) => compareAge(a.value, b.value));
      const newestUsed = order.findIndex(({ value }) => isReady(value, nowMs + CLOCK_SLACK_MS));
      const oldestUsed = order.findIndex(({ value }) => isReady(value, nowMs - CLOCK_SLACK_MS));
      const used = order.slice(Math.max(newestUsed, 0), oldestUsed + 1 || KEYS_MAX).slice(0, KEYS_MAX - 1);
      change.remove(...entries.filter((entry) => !used.includes(entry)).map(({ key }) => key));
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
    const entries = await collectAll(kv, keys.signingKeys());
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
