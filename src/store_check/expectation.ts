// What must be true of a record: of itself, or of others that it has to agree with. The rules say it, one topic a file;
// how it is looked at, and looked at again, is in examiner.ts.

import { isDeepStrictEqual } from "node:util";
import { keys } from "../store/keys.ts";
import type { Key, Present } from "../store/kv.ts";

/** One thing that must be true. */
export interface Expectation {
  /** The records that decide. */
  readonly keys: readonly Key<unknown>[];
  /** `values` are theirs, in that order; null for what is not there. What throws is not met. */
  readonly isMet: (values: readonly unknown[]) => boolean;
  /** What is wrong otherwise: goes on from the name of a record. No address and no secret. */
  readonly fault: string;
  /** The record that it is said of, when it is another one. */
  readonly about?: Key<unknown>;
}

/** All that must be true of each record of a kind. A record and its expectations are at most ten keys. */
export interface Rule {
  readonly kind: string;
  /** May throw: then the record does not have the form of its kind. */
  readonly expect: (record: Present<unknown>) => readonly Expectation[];
}

/** The rule for the kind that `prefix` begins with. */
export function ruleFor<Value>(
  prefix: Key<Value>,
  expect: (record: Present<Value>) => readonly Expectation[],
): Rule {
  return {
    kind: String(prefix.path[0]),
    // What else may stand there makes `expect` throw, or expect what is not so.
    expect: (record) => expect(record as Present<Value>),
  };
}

/** Something of the record at `key`; null when there is none. */
export function expectAt<Value>(
  key: Key<Value>,
  isMet: (value: Value | null) => boolean,
  fault: string,
): Expectation {
  // Read at `key`. What else stands there may throw.
  return { keys: [key], isMet: ([value]) => isMet(value as Value | null), fault };
}

/** Something that the record says by itself. */
export function expectThat(isMet: boolean, fault: string): Expectation {
  return { keys: [], isMet: () => isMet, fault };
}

/** The key that the record itself calls for. */
export function standsAt({ key }: Present<unknown>, { path }: Key<unknown>): Expectation {
  return expectThat(isDeepStrictEqual(key.path, path), "says that it is another one");
}

/** An account that is there, or that is being cleared away. */
export function ownedBy(userId: string): Expectation {
  return {
    keys: [keys.user(userId), keys.tombstone(userId)],
    isMet: ([user, tombstone]) => user !== null || tombstone !== null,
    fault: "belongs to nobody",
  };
}

/** The n-th part of a record's key after its kind, from 1. */
export function part({ key }: Present<unknown>, n: number): string {
  return String(key.path[n]);
}

export function isThere(value: unknown): boolean {
  return value !== null;
}

export function isMissing(value: unknown): boolean {
  return value === null;
}
