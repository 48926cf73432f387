// Whose a record is. What belongs to an account goes with it: by the commit that removes the account, or by the steps
// after it, until which the account has a tombstone. A new kind of record that does belongs here.

import { keys } from "../store/keys.ts";
import type { Key } from "../store/kv.ts";
import { expectThat, ownedBy, part, type Rule, ruleFor } from "./expectation.ts";

/** Kinds whose path goes on with the id of their account. */
const ownedKinds: readonly Key<unknown>[] = [
  keys.sessionsOf(""),
  keys.usedRefreshTokensOf(""),
  keys.knownNetworksOf(""),
  keys.currentChallengesOf(""),
  keys.notesOf(""),
  keys.noteCount(""),
];

/** The windows that are kept by the id of an account; the others are kept by hashes. */
const ACCOUNT_POLICIES: ReadonlySet<string> = new Set(["user", "password"]);

const windowRule = ruleFor(keys.window("", ""), (record) => [
  expectThat(
    record.value.stampsMs.length === record.value.counts.length,
    "does not count what it has stamped",
  ),
  ...(ACCOUNT_POLICIES.has(part(record, 1)) ? [ownedBy(part(record, 2))] : []),
]);

export const ownerRules: readonly Rule[] = [
  ...ownedKinds.map((kind) => ruleFor(kind, (record) => [ownedBy(part(record, 1))])),
  windowRule,
];
