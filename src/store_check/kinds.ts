// Every kind of record that there is, with its rules. A new kind has to be named here, or in the rules of a topic:
// what is not known is reported.

import { keys } from "../store/keys.ts";
import { accountRules } from "./accounts.ts";
import { auditRules } from "./audit.ts";
import { challengeRules } from "./challenges.ts";
import { type Rule, ruleFor } from "./expectation.ts";
import { mailRules } from "./mails.ts";
import { noteRules } from "./notes.ts";
import { ownerRules } from "./owners.ts";
import { searchRules } from "./search.ts";
import { serviceRules } from "./service.ts";
import { sessionRules } from "./sessions.ts";

/** Kinds that nothing else depends on, and those that show only as a whole. */
const loners: readonly Rule[] = [
  keys.store(),
  keys.probe(),
  keys.receipt("", 0),
  keys.activeAdmins(),
  // Good only while the account's epoch is the same.
  keys.resetToken(""),
  keys.freedAddress(""),
  keys.mailbox(),
].map((key) => ruleFor<unknown>(key, () => []));

const rules: readonly Rule[] = [
  ...accountRules,
  ...searchRules,
  ...ownerRules,
  ...sessionRules,
  ...challengeRules,
  ...noteRules,
  ...mailRules,
  ...auditRules,
  ...serviceRules,
  ...loners,
];

/** A kind that is not among them is none of ours. */
export const rulesByKind: ReadonlyMap<string, readonly Rule[]> = Map.groupBy(rules, ({ kind }) => kind);
