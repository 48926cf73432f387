// Guards around a sign-in: what it must prove, when it commits, and what it must not tell.

import type { Guard } from "./guard.ts";

const SESSIONS = "src/store/sessions.ts";
const LOGIN = "src/routes/sessions.ts";

export const signIn: readonly Guard[] = [
  {
    name: "a wrong password signs nobody in",
    file: LOGIN,
    find: 'if (!isRight) return await refuse("credentials_invalid", "password_wrong");',
    put: "",
    red: ["sessions_test.ts", "login: refuses"],
  },
  {
    name: "an address that nobody has costs a hash, like one that somebody has",
    file: LOGIN,
    find: "const isRight = await deps.hasher.verify(",
    put: "const isRight = account !== null && await deps.hasher.verify(",
    red: ["sessions_test.ts", "login: unknown, unconfirmed and wrong take one hash each"],
  },
  {
    name: "a hash that nobody can read costs as much as one that anybody can",
    file: "src/hasher.ts",
    find: "const expected = known ?? DECOY;",
    put: "const expected = known;\n      if (expected === null) return false;",
    red: ["hasher_test.ts", "verify refuses no hash at all, for the price of one hash"],
  },
  {
    name: "where there is no hash no password is right",
    file: "src/hasher.ts",
    find: "return known !== null && isSame;",
    put: "return known === null || isSame;",
    red: ["hasher_test.ts", "verify refuses no hash at all, for the price of one hash"],
  },
  {
    name: "a disabled account is told so only after the right password",
    file: LOGIN,
    find: "    if (!isRight) return await refuse",
    put: '    if (account.user.value.status === "disabled") return await refuse("account_disabled", "");\n' +
      "    if (!isRight) return await refuse",
    red: ["sessions_test.ts", "login: refuses"],
  },
  {
    name: "an imported address that nobody has proved signs nobody in",
    file: LOGIN,
    find: "if (!account.user.value.isEmailVerified) return",
    put: "if (false as boolean) return",
    red: [
      "sign_in_report_test.ts",
      "readSignInReport: says what state of the account keeps the right password out",
    ],
  },
  {
    name: "a sign-in commits only on the password that it proved",
    file: SESSIONS,
    find: "if (credential.value?.changedAtMs !== verified.credential.changedAtMs) return null;",
    put: "",
    red: [
      "event_races_test.ts",
      "a password reset: a sign-in that read before it and commits after it is refused",
    ],
  },
  {
    name: "a sign-in commits only while the account is active",
    file: SESSIONS,
    find: 'if (!isPresent(user) || user.value.status !== "active") return null;',
    put: "if (!isPresent(user)) return null;",
    red: ["event_races_test.ts", "disabling: a sign-in that read before it and commits after it is refused"],
  },
  {
    name: "a sign-in commits only on the address that it was for",
    file: SESSIONS,
    find: "if (user.value.email !== verified.user.email) return null;",
    put: "",
    red: [
      "event_races_test.ts",
      "an e-mail change: a sign-in that read before it and commits after it is refused",
    ],
  },
  {
    name: "a sign-in and whatever ends it meanwhile do not both win",
    file: SESSIONS,
    find: "kv.change().check(user, credential).remove(",
    put: "kv.change().remove(",
    // Its event checks the account, too.
    // Its event checks the account, and the head of the account's chain.
    also: [{ file: "src/store/audit.ts", find: "  change.check(head, ...owners);\n", put: "" }],
    red: [
      "event_races_test.ts",
      "a password change: a sign-in that read before it and commits after it is refused",
    ],
  },
  {
    name: "an account has fifty sessions at most",
    file: SESSIONS,
    find: "Math.max(0, sessions.length + 1 - SESSIONS_MAX)",
    put: "0",
    red: ["sessions_test.ts", "login: at most 50 sessions, the oldest ends first, also in parallel"],
  },
  {
    name: "a sign-in from a new network is told to the owner",
    file: SESSIONS,
    find: "if (!isPresent(network) && hasSignedInHere(user.value)) {",
    put: "if (!isPresent(user)) {",
    red: [
      "sign_in_notice_test.ts",
      "login: from a new network its owner is told once, with when, from where and with what",
    ],
  },
];
