// Guards around the mails that bring a code: how many there are, how soon, and to whom none goes.

import type { Guard } from "./guard.ts";

const CHALLENGES = "src/store/challenges.ts";
const BUDGET = "src/store/guess_budget.ts";
const SENDING = "src/store/code_sending.ts";

export const codeMails: readonly Guard[] = [
  {
    name: "no second code leaves before its time",
    file: CHALLENGES,
    find: "if (waitMs > 0) return",
    put: "if (waitMs === Infinity) return",
    red: [
      "registration_test.ts",
      "resendOtp: not before its time, at most five times, and not for what is dead",
    ],
  },
  {
    name: "a challenge has six codes at most",
    file: CHALLENGES,
    find: " || challenge.codeNumber > RESENDS_MAX",
    put: "",
    red: [
      "registration_test.ts",
      "resendOtp: not before its time, at most five times, and not for what is dead",
    ],
  },
  {
    name: "a new code does not revive a challenge that was guessed to death",
    file: CHALLENGES,
    find: "!sealed || challenge.wrongGuesses >= WRONG_GUESSES_MAX ||",
    put: "!sealed ||",
    red: [
      "registration_test.ts",
      "resendOtp: not before its time, at most five times, and not for what is dead",
    ],
  },
  {
    name: "of many who ask for another code at once one gets it",
    file: CHALLENGES,
    find: "const change = kv.change().check(entry);\n    const endsAtMs",
    put: "const change = kv.change();\n    const endsAtMs",
    // The guesses that it holds are checked, too.
    also: [{ file: BUDGET, find: "  change.check(made, held);\n", put: "" }],
    red: ["registration_test.ts", "resendOtp: of 20 parallel ones a single mail leaves"],
  },
  {
    name: "an address gets so many code mails and no more",
    file: SENDING,
    find: "codeNumber: permit.isAdmitted && isRecipient ? codeNumber : 0",
    put: "codeNumber: isRecipient ? codeNumber : 0",
    red: ["registration_test.ts", "mail limit: over it the answer stays 202 and no mail leaves"],
  },
  {
    name: "the limit on mails holds for requests at the same moment",
    file: SENDING,
    find: "if (permit.record) change.check(mails).set(",
    put: "if (permit.record) change.set(",
    // The guesses that it holds are checked, too.
    also: [{ file: BUDGET, find: "  change.check(made, held);\n", put: "" }],
    red: [
      "registration_test.ts",
      "mail limit: of two requests at the same moment the one that comes later mails nothing",
    ],
  },
  {
    name: "no code leaves for an address without an account",
    file: SENDING,
    find: "  if (user?.codeEpoch !== codeEpoch) return false;\n",
    put: "",
    red: [
      "password_secrecy_test.ts",
      "password reset: known, unknown and disabled look and cost the same, with room for mail",
    ],
  },
  {
    name: "who registers a known address gets no code: its owner is told",
    file: SENDING,
    find: 'if (purpose === "registration" && await isEmailTaken(kv, email))',
    put: "if (email === '')",
    red: [
      "registration_test.ts",
      "register: a known address gets the same answer, no code, and its owner is told",
    ],
  },
  {
    name: "no code leaves for a new address that somebody else has",
    file: SENDING,
    find: 'return purpose !== "email_change" || !await isEmailTaken(kv, email);',
    put: "return true;",
    red: [
      "email_change_test.ts",
      "requestEmailChange: a taken address looks like a free one, and gets neither mail nor account",
    ],
  },
  {
    name: "a later change of address ends the earlier one of the same account",
    file: CHALLENGES,
    find: "if (isPresent(current)) change.remove(keys.challenge(current.value.challengeHash));",
    put: "",
    red: ["email_change_test.ts", "confirmEmailChange: refuses, and the address stays"],
  },
  {
    name: "an owner's challenge that has become void gets no new code",
    file: CHALLENGES,
    find: 'if (await isKnownVoid(kv, challenge)) return { outcome: "dead" };',
    put: "",
    red: ["email_change_test.ts", "confirmEmailChange: a password reset ends the change that was pending"],
  },
];
