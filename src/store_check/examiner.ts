// How records are looked at: many at once, and the others that they must agree with ten a read. A running server writes
// in between, so that whatever seems wrong is only suspected. Looked at again it is read in one snapshot with all that
// decides, and since every change of the store is one commit, what is wrong in a snapshot is wrong.

import { type Entry, isPresent, type Key, type Kv, type Present } from "../store/kv.ts";
import { findAll } from "../store/page.ts";
import type { Expectation, Rule } from "./expectation.ts";

/** Something that seems wrong. */
export interface Suspect {
  /** A sentence for each thing, with the record's kind and id. */
  readonly faults: readonly string[];
  /** The same of how it is by then; none when nothing is wrong. */
  readonly lookAgain: () => Promise<readonly string[]>;
}

/** Looks at all records, or at those of its kinds. */
export interface Examiner {
  /** Takes them in the order of their keys, some at a time. */
  examine(records: readonly Present<unknown>[]): Promise<Suspect[]>;
  /** What only shows after the last one. */
  conclude?(): Promise<Suspect[]>;
}

/** While it is looked at again a record may change; one that does so each time is in use, and cannot be judged. */
const LOOKS_MAX = 10;
const PART_LENGTH_MAX = 500;
/** No address has this form: it has an @. */
const PLAIN_PART = /^[\w.-]{1,100}$/;

const UNKNOWN: Expectation = {
  keys: [],
  isMet: () => false,
  fault: "is of a kind that this version does not know",
};

const MISFORMED: Expectation = {
  keys: [],
  isMet: () => false,
  fault: "does not have the form of its kind",
};

/** By kind. */
export type Rules = ReadonlyMap<string, readonly Rule[]>;

/** Looks at each record by itself. A kind without rules is none of ours. */
export function createRuleExaminer(kv: Kv, rules: Rules): Examiner {
  return {
    async examine(records) {
      const expected = records.map((record) => ({ record, expectations: expectationsOf(rules, record) }));
      const wanted = keysOf(expected.flatMap(({ expectations }) => expectations));
      const seen = toSight(await findAll(kv, wanted));
      return expected.flatMap(({ record, expectations }) => {
        const faults = findUnmet(record, expectations, seen);
        return faults.length === 0 ? [] : [{ faults, lookAgain: () => lookAgain(kv, rules, record.key) }];
      });
    },
  };
}

/** The first part of its key. */
export function kindOf({ path }: Key<unknown>): string {
  return String(path[0]);
}

/** `users/0193…`: what a sentence calls a record. Parts that could be an address are left out. */
export function nameOf({ path }: Key<unknown>): string {
  return path.map((part) => PLAIN_PART.test(String(part)) ? part : "…").join("/");
}

/** In one snapshot. */
async function lookAgain(kv: Kv, rules: Rules, key: Key<unknown>): Promise<string[]> {
  for (let looks = 0; looks < LOOKS_MAX; looks++) {
    const record = await kv.find(key);
    if (!isPresent(record)) return [];
    const expectations = expectationsOf(rules, record);
    const [now, ...others] = await kv.findMany([key, ...keysOf(expectations)]);
    if (now?.versionstamp === record.versionstamp) return findUnmet(record, expectations, toSight(others));
  }
  return [];
}

function expectationsOf(rules: Rules, record: Present<unknown>): readonly Expectation[] {
  const kind = kindOf(record.key);
  const some = rules.get(kind);
  // Nobody knows what the rest of its key may tell.
  if (!some) return [{ ...UNKNOWN, about: { path: [kind, "…"] } }];
  try {
    const expectations = some.flatMap(({ expect }) => expect(record));
    return expectations.every(({ keys }) => keys.every(isReadable)) ? expectations : [MISFORMED];
  } catch {
    return [MISFORMED];
  }
}

/** What was made of a record that somebody else has written can be anything. */
function isReadable({ path }: Key<unknown>): boolean {
  return path.every((part) =>
    typeof part === "string" ? part.length <= PART_LENGTH_MAX : Number.isFinite(part)
  );
}

/** By key, what stands there. */
type Sight = ReadonlyMap<string, unknown>;

function toSight(entries: readonly Entry<unknown>[]): Sight {
  return new Map(entries.map(({ key, value }) => [JSON.stringify(key.path), value]));
}

/** Each key once. */
function keysOf(expectations: readonly Expectation[]): Key<unknown>[] {
  const keys = expectations.flatMap((expectation) => expectation.keys);
  return [...new Map(keys.map((key) => [JSON.stringify(key.path), key])).values()];
}

function findUnmet(
  record: Present<unknown>,
  expectations: readonly Expectation[],
  seen: Sight,
): string[] {
  return expectations.filter((expectation) => !isMet(expectation, seen))
    .map(({ fault, about = record.key }) => `${nameOf(about)} ${fault}`);
}

function isMet({ keys, isMet }: Expectation, seen: Sight): boolean {
  try {
    return isMet(keys.map(({ path }) => seen.get(JSON.stringify(path)) ?? null));
  } catch {
    return false;
  }
}
