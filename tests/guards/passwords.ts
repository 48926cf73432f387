// Guards around passwords: which are good, who may set one, and which of two that come at once.

import type { Guard } from "./guard.ts";

const PASSWORDS = "src/store/passwords.ts";

export const passwords: readonly Guard[] = [
  {
    name: "a wrong current password changes nothing",
    file: "src/current_password.ts",
    find: "if (credential && isRight) return credential;",
    put: "if (credential) return credential;",
    red: ["password_change_test.ts", "changePassword: refuses"],
  },
  {
    name: "a change of the password commits only on the one that was proved",
    file: PASSWORDS,
    find:
      "!isPresent(user) || credential.value?.changedAtMs !== verified.changedAtMs || !isPresent(credential)",
    put: "!isPresent(user) || !isPresent(credential)",
    red: [
      "password_races_test.ts",
      "changePassword: of 20 parallel ones with the same current password one wins",
    ],
  },
  {
    name: "two passwords of one millisecond are told apart",
    file: PASSWORDS,
    find: "Math.max(kv.nowMs(), credential.value.changedAtMs + 1)",
    put: "kv.nowMs()",
    red: [
      "password_races_test.ts",
      "changePassword: of 20 parallel ones with the same current password one wins",
    ],
  },
  {
    name: "a reset token works once",
    file: PASSWORDS,
    find: "const change = kv.change().check(token).remove(token.key);",
    put: "const change = kv.change().check(token);",
    also: [
      {
        file: PASSWORDS,
        find: "return user?.codeEpoch === token.codeEpoch ? { user, tokenHash } : null;",
        put: "return user === null ? null : { user, tokenHash };",
      },
      { file: PASSWORDS, find: "if (token.value.codeEpoch !== user.value.codeEpoch) return false;", put: "" },
    ],
    red: [
      "passwords_test.ts",
      "confirmPasswordReset: refuses what is no reset token that counts, with one answer",
    ],
  },
  {
    name: "of many who use a reset token at once one sets the password",
    file: PASSWORDS,
    find: "const change = kv.change().check(token).remove(token.key);",
    put: "const change = kv.change().remove(token.key);",
    // The password and the event check the account, too.
    // The password checks the account, its event the account and the head of the account's chain.
    also: [
      {
        file: PASSWORDS,
        find: "change.check(user, credential).set(credential.key",
        put: "change.set(credential.key",
      },
      { file: "src/store/audit.ts", find: "  change.check(head, ...owners);\n", put: "" },
    ],
    red: [
      "password_races_test.ts",
      "confirmPasswordReset: one that looked before another one commits sets no password after it",
    ],
  },
  {
    name: "a reset that was confirmed voids the reset tokens that were not",
    file: PASSWORDS,
    find: "return user?.codeEpoch === token.codeEpoch ? { user, tokenHash } : null;",
    put: "return user === null ? null : { user, tokenHash };",
    also: [{
      file: PASSWORDS,
      find: "if (token.value.codeEpoch !== user.value.codeEpoch) return false;",
      put: "",
    }],
    red: [
      "password_races_test.ts",
      "confirmPasswordReset: of two reset tokens of one account used at once one wins",
    ],
  },
  {
    name: "a reset that was confirmed voids the codes that were mailed before",
    file: PASSWORDS,
    find: "if (user?.codeEpoch !== codeEpoch) return null;\n  const plainToken",
    put: "const plainToken",
    red: [
      "passwords_test.ts",
      "requestPasswordReset: leaves earlier ones alone; the first that is confirmed voids all the others",
    ],
  },
  {
    name: "a common password is refused",
    file: "src/password.ts",
    find: "if (isCommon(password)) {",
    put: "if (isCommon('')) {",
    red: ["registration_test.ts", "register: refuses what does not fit, and says where"],
  },
  {
    name: "a password built from the person's own words is refused",
    file: "src/password.ts",
    find: "const part = likenessOf(password, context);",
    put: "const part = likenessOf(' '.repeat(20), context);",
    red: ["registration_test.ts", "register: refuses what does not fit, and says where"],
  },
  {
    name: "a reset asks of a password what a registration does",
    file: "src/routes/passwords.ts",
    find: "await requireNewPassword(deps, newPassword, permit.user);",
    put: "",
    also: [{
      file: "src/routes/passwords.ts",
      find: "await requireNewPassword(deps, newPassword, ANYBODY);",
      put: "void ANYBODY;",
    }],
    red: ["passwords_test.ts", "confirmPasswordReset: a refused password does not use the token up"],
  },
  {
    name: "a change asks of a password what a registration does",
    file: "src/routes/passwords.ts",
    find: 'await requireNewPassword(deps, { member: "new_password", plainPassword }, user);',
    put: "",
    red: ["password_change_test.ts", "changePassword: refuses"],
  },
];
