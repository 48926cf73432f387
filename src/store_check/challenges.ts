// Challenges: each has one code that can open it, and of some purposes an account has one challenge at a time. A reset
// may outlive its account for as long as its code lives: it opens nothing then.

import { RESENDS_MAX, WRONG_GUESSES_MAX } from "../store/code_life.ts";
import { type ChallengeRecord, keys } from "../store/keys.ts";
import { expectAt, expectThat, ownedBy, part, type Rule, ruleFor } from "./expectation.ts";

const challengeRule = ruleFor(keys.challenge(""), (record) => {
  const { purpose, userId } = record.value;
  return [
    expectThat(isWithinBounds(record.value), "allows more than a challenge may"),
    ...(userId === null || purpose === "password_reset" ? [] : [
      ownedBy(userId),
      expectAt(
        keys.currentChallenge(userId, purpose),
        (current) => current?.challengeHash === part(record, 1),
        "is not the one of its account",
      ),
    ]),
  ];
});

/** Once its code is used it leads nowhere. */
const currentRule = ruleFor(keys.currentChallengesOf(""), (record) => [
  expectAt(
    keys.challenge(record.value.challengeHash),
    (challenge) =>
      challenge === null || challenge.userId === part(record, 1) && challenge.purpose === part(record, 2),
    "leads to a challenge of another account or purpose",
  ),
]);

function isWithinBounds(
  { wrongGuesses, codeNumber, codeExpiresAtMs, expiresAtMs }: ChallengeRecord,
): boolean {
  return wrongGuesses >= 0 && wrongGuesses <= WRONG_GUESSES_MAX && codeNumber >= 1 &&
    codeNumber <= RESENDS_MAX + 1 && codeExpiresAtMs <= expiresAtMs;
}

export const challengeRules: readonly Rule[] = [challengeRule, currentRule];
