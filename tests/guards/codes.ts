// Guards around mailed codes: how often anybody may guess, what a code opens, and for how long.

import type { Guard } from "./guard.ts";

const CHALLENGES = "src/store/challenges.ts";
const BUDGET = "src/store/guess_budget.ts";

export const codes: readonly Guard[] = [
  {
    name: "a guess and its count are one checked commit, however many come at once",
    file: CHALLENGES,
    find: "const change = kv.change().check(entry);\n    const budget",
    put: "const change = kv.change();\n    const budget",
    // Both counts of the account are checked, too.
    also: [
      { file: BUDGET, find: "change.check(made).set(", put: "change.set(" },
      { file: BUDGET, find: "  change.check(held);\n  if (record)", put: "  if (record)" },
    ],
    red: ["registration_test.ts", "verifyOtp: of 1000 parallel wrong guesses five are compared"],
  },
  {
    name: "a right code is used up once, however many bring it at once",
    file: CHALLENGES,
    find: "const change = kv.change().check(entry);\n    const budget",
    put: "const change = kv.change();\n    const budget",
    also: [{
      file: BUDGET,
      find: "  change.check(held);\n  if (record)",
      put: "  if (record)",
    }],
    red: [
      "password_races_test.ts",
      "verifyPasswordResetOtp: of 20 parallel right guesses one gets a reset token",
    ],
  },
  {
    name: "a code that opened something opens nothing more",
    file: CHALLENGES,
    find: "await open(change.remove(entry.key), opened);",
    put: "await open(change, opened);",
    red: ["passwords_test.ts", "verifyPasswordResetOtp: refuses"],
  },
  {
    name: "five wrong guesses end a challenge",
    file: "src/store/code_life.ts",
    find: " && challenge.wrongGuesses < WRONG_GUESSES_MAX",
    put: "",
    red: ["registration_test.ts", "verifyOtp: five wrong guesses end the challenge, the right code included"],
  },
  {
    name: "a wrong guess is counted against its challenge",
    file: CHALLENGES,
    find: "const wrongGuesses = challenge.wrongGuesses + 1;",
    put: "const wrongGuesses = challenge.wrongGuesses;",
    red: ["registration_test.ts", "verifyOtp: five wrong guesses end the challenge, the right code included"],
  },
  {
    name: "a code has an end of its own, to the millisecond",
    file: "src/store/code_life.ts",
    find: "nowMs < challenge.codeExpiresAtMs && ",
    put: "",
    red: ["registration_test.ts", "verifyOtp: the last moment of a code counts, the next does not"],
  },
  {
    name: "a code is compared",
    file: CHALLENGES,
    find: "if (!isSameHash(challenge.codeHash, hashCode(secrets, guess.challengeId, guess.plainCode))) {",
    put: "if (guess.plainCode === '') {",
    red: ["registration_test.ts", "verifyOtp: refuses"],
  },
  {
    name: "a code opens only the flow that it was mailed for",
    file: CHALLENGES,
    find: "challenge.purpose === guess.purpose && ",
    put: "",
    red: [
      "passwords_test.ts",
      "a code of email_change: opens nothing at another flow's route, and lives on unharmed",
    ],
  },
  {
    name: "a signed-in caller can try only codes of their own account",
    file: CHALLENGES,
    find: "(guess.userId === null || challenge.userId === guess.userId)",
    put: "true",
    red: [
      "email_change_test.ts",
      "confirmEmailChange: another user's challenge is 410 for everybody else, and lives on unharmed",
    ],
  },
  {
    name: "a code is stored as a hash only",
    file: "src/code.ts",
    find: 'return secrets.mac("code", challengeId, plainCode);',
    put: 'return secrets.mac("code", challengeId) + plainCode;',
    red: [
      "password_secrecy_test.ts",
      "password reset: no code, token or password stands in the store or the log, at no step",
    ],
  },
  {
    name: "the address and the password hash of a pending registration are sealed",
    file: CHALLENGES,
    find: "      createdAtMs: nowMs,\n    };",
    put: "      createdAtMs: nowMs,\n      email: draft.email,\n    };",
    red: ["registration_test.ts", "registration: nothing readable of a stranger stands in the store"],
  },
  {
    name: "after ten wrong guesses in a day the codes of an account are long",
    file: BUDGET,
    find: "const isLong = spokenFor + permits > DAILY.limit;",
    put: "const isLong = false;",
    red: [
      "registration_test.ts",
      "codes: after ten wrong guesses in a day they are long, and can be typed as one likes",
    ],
  },
  {
    name: "the codes of an account are long for a day, and no longer",
    file: BUDGET,
    find: "windowMs: 24 * 60 * 60 * 1000",
    put: "windowMs: 240 * 60 * 60 * 1000",
    red: ["registration_test.ts", "codes: they are long for exactly a day"],
  },
  {
    name: "a wrong guess is counted against its account",
    file: BUDGET,
    find: "change.check(made).set(made.key, recordOne(DAILY, made.value, nowMs));",
    put: "change.check(made);",
    red: [
      "registration_test.ts",
      "codes: after ten wrong guesses in a day they are long, and can be typed as one likes",
    ],
  },
  {
    name: "codes that strangers have asked for at once share the ten guesses of the day",
    file: BUDGET,
    find: " + (isHolding ? countIn(window, others, nowMs) : 0)",
    put: "",
    red: [
      "guess_budget_test.ts",
      "codes: with no limit a stranger who tries all that there are has at most ten guesses a day at six digits",
    ],
  },
  {
    name: "a code that stands more guesses than the day has left is long",
    file: BUDGET,
    find: "const isLong = spokenFor + permits > DAILY.limit;",
    put: "const isLong = spokenFor >= DAILY.limit;",
    red: [
      "guess_budget_test.ts",
      "codes: one that the day has fewer than five guesses left for is long, and stands five like any other",
    ],
  },
  {
    name: "resets that begin at the same moment do not each hold the same guesses",
    file: BUDGET,
    find: "  change.check(made, held);\n  if (!isHolding",
    put: "  if (!isHolding",
    red: [
      "guess_budget_test.ts",
      "codes: resets that are asked for at the same moment share what the day has left",
    ],
  },
];
