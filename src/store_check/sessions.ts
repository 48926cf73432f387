// Sessions, and what is kept of tokens and networks besides. An account that is disabled has none.

import { keys } from "../store/keys.ts";
import { expectAt, expectThat, isMissing, part, type Rule, ruleFor, standsAt } from "./expectation.ts";

const sessionRule = ruleFor(keys.sessions(), (record) => {
  const { id, userId, refreshHash, expiresAtMs, endsAtMs } = record.value;
  return [
    standsAt(record, keys.session(userId, id)),
    expectAt(keys.user(userId), (user) => user?.status !== "disabled", "belongs to a disabled account"),
    expectAt(keys.usedRefreshToken(userId, refreshHash), isMissing, "goes on with a token that was used"),
    expectThat(expiresAtMs <= endsAtMs, "lives longer than a session may"),
  ];
});

/** The session may have ended before its tokens. */
const usedTokenRule = ruleFor(keys.usedRefreshTokensOf(""), (record) => [
  standsAt(record, keys.usedRefreshToken(record.value.userId, part(record, 2))),
]);

export const sessionRules: readonly Rule[] = [sessionRule, usedTokenRule];
