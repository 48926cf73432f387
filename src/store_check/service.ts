// What is true of the store as a whole: it is marked as ours, one key signs, and the active admins are counted right.

import { keys, type UserRecord } from "../store/keys.ts";
import { isPresent, type Kv } from "../store/kv.ts";
import { pagesOf } from "../store/page.ts";
import { type Examiner, nameOf } from "./examiner.ts";
import { type Rule, ruleFor, standsAt } from "./expectation.ts";

const STEP = 500;
/** While admins come and go they cannot be counted. */
const LOOKS_MAX = 3;

const signingKeyRule = ruleFor(keys.signingKeys(), (record) => [
  standsAt(record, keys.signingKey(record.value.kid)),
]);

/** Looks at the end, whatever records there were. */
export function createServiceExaminer(kv: Kv): Examiner {
  const looks = [findLostMarker, findSigners, findMiscount];
  return {
    examine: () => Promise.resolve([]),
    async conclude() {
      const suspects = await Promise.all(looks.map(async (look) => {
        return { faults: await look(kv), lookAgain: () => look(kv) };
      }));
      return suspects.filter(({ faults }) => faults.length > 0);
    },
  };
}

async function findLostMarker(kv: Kv): Promise<string[]> {
  const { key, value } = await kv.find(keys.store());
  return value ? [] : [`${nameOf(key)} is missing: it marks the store as that of a Latchkey server`];
}

/** All keys are one page, and so one snapshot. */
async function findSigners(kv: Kv): Promise<string[]> {
  const { entries } = await kv.collect(keys.signingKeys(), { limit: STEP });
  const signing = entries.filter(isPresent).filter(({ value }) => value.expiresAtMs === undefined);
  return signing.length === 1 ? [] : [`signing_keys has ${signing.length} that sign, instead of one`];
}

/** Exact: every admin that comes or goes changes the record of the count. */
async function findMiscount(kv: Kv): Promise<string[]> {
  for (let looks = 0; looks < LOOKS_MAX; looks++) {
    const before = await kv.find(keys.activeAdmins());
    const there = await countActiveAdmins(kv);
    const { key, value, versionstamp } = await kv.find(keys.activeAdmins());
    if (versionstamp !== before.versionstamp) continue;
    const counted = value?.count ?? 0;
    return counted === there ? [] : [`${nameOf(key)} says ${Number(counted)}, and there are ${there}`];
  }
  return [];
}

async function countActiveAdmins(kv: Kv): Promise<number> {
  const isActiveAdmin = ({ role, status }: UserRecord): boolean => role === "admin" && status === "active";
  let count = 0;
  for await (const users of pagesOf(kv, keys.users(), STEP)) {
    count += users.filter(isPresent).filter(({ value }) => isActiveAdmin(value)).length;
  }
  return count;
}

export const serviceRules: readonly Rule[] = [signingKeyRule];
