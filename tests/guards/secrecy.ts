// Guards around whether an address has an account, and whether one is disabled: strangers are not to know.

import type { Guard } from "./guard.ts";

const CODES = "guess_budget_test.ts";
const SAME = "address_secrecy_test.ts";
const same = (what: string): string => `known or unknown: the same answers, byte for byte, to ${what}`;

export const secrecy: readonly Guard[] = [
  {
    name: "guesses at registrations of an address and at resets of its account are counted apart",
    file: "src/store/subjects.ts",
    find: 'secrets.mac("guesses", purpose, email)',
    put: 'secrets.mac("guesses", email)',
    red: [
      CODES,
      "codes: registrations of an address count for themselves, and hold nothing while they wait",
    ],
  },
  {
    name: "the headers do not tell what is left of an address",
    file: "src/rate_limit.ts",
    find: "return { subject: addressSubject(secrets, email.data), userId, isOnlyNamed: true };",
    put: "return { subject: addressSubject(secrets, email.data), userId };",
    red: [SAME, same("a reset, soon after the owner has asked for one")],
  },
  {
    name: "the headers do not tell where the owner of an account signed in",
    file: "src/rate_limit.ts",
    find: "return { subject, userId, isOnlyNamed: true };",
    put: "return { subject, userId };",
    red: [SAME, same("sign-ins from elsewhere, and then from the owner's network")],
  },
  {
    name: "an export does not tell whether a code for another address left",
    file: "src/audit_view.ts",
    find: "...(isCodeElsewhere && {",
    put: "...(!isCodeElsewhere && {",
    red: [SAME, same("a change to the address, and what is kept of it")],
  },
  {
    name: "an export does not tell whether there is a mail to another address",
    file: "src/account_export.ts",
    find: "mails.filter(({ kind }) => kind !== CODE_ELSEWHERE)",
    put: "mails",
    red: [SAME, same("a change to the address, and what is kept of it")],
  },
  {
    name: "what was registered before an account left its address stays void",
    file: "src/store/freed_addresses.ts",
    find: "if (isVoid(freed.value, createdAtMs)) return false;",
    put: "",
    red: [
      "void_registrations_test.ts",
      "verifyOtp: a void registration stays void when its owner deletes the account, and a later one is good",
    ],
  },
  {
    name: "no registration slips through in the moment in which an account comes and goes",
    file: "src/store/freed_addresses.ts",
    find: "  change.check(freed);\n",
    put: "",
    red: [
      "void_registrations_test.ts",
      "verifyOtp: a registration that comes to an account's end in the very moment does not slip through",
    ],
  },
  {
    name: "an account that moves to another address leaves no registration of the old one behind",
    file: "src/store/email_change.ts",
    find: "  addRelease(deps, change, oldEmail);\n",
    put: "",
    red: [
      "void_registrations_test.ts",
      "verifyOtp: a void registration stays void when the account moves to another address, and a later one is good",
    ],
  },
  {
    name: "no code of a void registration leaves",
    file: "src/store/code_sending.ts",
    find: "return !isVoid(freed, createdAtMs);",
    put: "return true;",
    red: [
      "void_registrations_test.ts",
      "verifyOtp: a void registration stays void when an admin deletes the account, and a later one is good",
    ],
  },
  {
    name: "who makes a refresh token up is not told that the account is disabled",
    file: "src/store/rotation.ts",
    find: 'return { outcome: isOwn ? "disabled" : "invalid" };',
    put: 'return { outcome: "disabled" };',
    red: [
      "sessions_test.ts",
      "refreshTokens: that an account is disabled is told to who has a token of it, and to nobody else",
    ],
  },
  {
    name: "the blacklist entry of a disabled account's token gives no tokens when it is enabled again",
    file: "src/store/rotation.ts",
    find: 'if (successorNonce === null) return { outcome: "invalid" };',
    put: "if (successorNonce === null) throw new Error();",
    red: [
      "sessions_test.ts",
      "refreshTokens: that an account is disabled is told to who has a token of it, and to nobody else",
    ],
  },
];
