// The store: does it open and take writes, how fast, is its layout ours, does SECRET_KEY open its keys, and does the
// clock agree with what stands in it.

import type { Config } from "../config.ts";
import { openKeyring, WrongSecretKey } from "../keyring.ts";
import type { Secrets } from "../secrets.ts";
import { keys } from "../store/keys.ts";
import type { Kv } from "../store/kv.ts";
import { proveWrite } from "../store/readiness.ts";
import { requireMarker } from "../store/schema.ts";
import { collectSigningKeys } from "../store/signing_keys.ts";
import { rfc3339 } from "../user_view.ts";
import { type Finding, formatMs, median, toFix, well } from "./finding.ts";

const WRITES = 21;
const WRITE_MS_MAX = 50;

export async function examineStore(kv: Kv, { kvPath }: Pick<Config, "kvPath">): Promise<Finding[]> {
  const name = kvPath ?? "the platform's own";
  const writeMs = await measureWrites(kv);
  const speed = `${name}: takes writes, ${formatMs(writeMs)} each`;
  const findings = [
    writeMs <= WRITE_MS_MAX
      ? well("store", speed)
      : toFix("store", `${speed}, which is slow: keep it on a disk of this machine that is not busy`),
  ];
  if ((await kv.find(keys.store())).value === null) {
    return [...findings, well("layout", "none yet: the first start of a server makes it")];
  }
  const { schema, createdAtMs } = await requireMarker(kv, { name });
  return [...findings, well("layout", `version ${schema}, made ${rfc3339(createdAtMs)}`)];
}

/** Whether SECRET_KEY opens the keys that sign. Nothing of an empty store. */
export async function examineKeys(kv: Kv, secrets: Secrets): Promise<Finding[]> {
  const records = await collectSigningKeys(kv);
  if (records.length === 0) return [];
  try {
    const { kid } = await (await openKeyring(kv, secrets)).signingKey();
    const since = records.find((record) => record.kid === kid)?.createdAtMs ?? 0;
    const older = records.length === 1 ? "" : `; ${records.length - 1} older verify besides`;
    return [well("keys", `${kid} signs since ${rfc3339(since)}${older}`)];
  } catch (error) {
    if (!(error instanceof WrongSecretKey)) throw error;
    return [toFix("keys", error.message)];
  }
}

/** A clock that is behind what it has written before lets tokens and codes live too long. */
export async function examineClock(kv: Kv): Promise<Finding> {
  const marker = await kv.find(keys.store());
  const newestMs = Math.max(
    marker.value?.createdAtMs ?? 0,
    ...(await collectSigningKeys(kv)).map(({ createdAtMs }) => createdAtMs),
  );
  const nowMs = kv.nowMs();
  if (nowMs >= newestMs) return well("clock", rfc3339(nowMs));
  return toFix(
    "clock",
    `It is ${rfc3339(nowMs)} here, but the store was written to at ${
      rfc3339(newestMs)
    }: set the clock, and keep it by NTP`,
  );
}

async function measureWrites(kv: Kv): Promise<number> {
  const times: number[] = [];
  for (let write = 0; write < WRITES; write++) {
    const startMs = performance.now();
    await proveWrite(kv);
    times.push(performance.now() - startMs);
  }
  return median(times);
}
