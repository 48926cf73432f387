// Guards around accounts: who has which address and name, who is the last admin, and what is shown of each.

import type { Guard } from "./guard.ts";

const USERS = "src/store/users.ts";
const USERNAMES = "src/store/usernames.ts";
const EMAIL_CHANGE = "src/store/email_change.ts";

export const accounts: readonly Guard[] = [
  {
    name: "an address has one account",
    file: USERS,
    find: "if (isPresent(index)) return null;",
    put: "",
    red: ["registration_test.ts", "verifyOtp: one confirmed registration voids the others of its address"],
  },
  {
    name: "an address has one account, whoever comes at the same moment",
    file: USERS,
    find: "  change.check(index)\n    .set(index.key",
    put: "  change\n    .set(index.key",
    also: [{ file: EMAIL_CHANGE, find: "change.check(user, newIndex)", put: "change.check(user)" }],
    red: [
      "email_change_test.ts",
      "confirmEmailChange: of two accounts and a registration for one address, one gets it",
    ],
  },
  {
    name: "an address that got an account meanwhile is nobody else's new address",
    file: EMAIL_CHANGE,
    find: " || isPresent(newIndex)) return null;",
    put: ") return null;",
    red: [
      "email_change_test.ts",
      "confirmEmailChange: of two accounts and a registration for one address, one gets it",
    ],
  },
  {
    name: "the address from before a change leads nowhere",
    file: EMAIL_CHANGE,
    find: "    .remove(keys.userIdByEmail(hashEmail(oldEmail)));",
    put: "    .remove();",
    red: [
      "email_change_test.ts",
      "confirmEmailChange: the old address is free for others, and for its owner again",
    ],
  },
  {
    name: "a change of address that has become void sets nothing",
    file: EMAIL_CHANGE,
    find: "user.value.codeEpoch !== codeEpoch || ",
    put: "",
    red: ["email_change_test.ts", "confirmEmailChange: a password reset ends the change that was pending"],
  },
  {
    name: "a change of address loses nothing that changed a moment before",
    file: EMAIL_CHANGE,
    find: "change.check(user, newIndex)",
    put: "change.check(newIndex)",
    // Its event checks the account, too.
    // Its event checks the account, and the head of the account's chain.
    also: [{ file: "src/store/audit.ts", find: "  change.check(head, ...owners);\n", put: "" }],
    red: ["email_change_test.ts", "confirmEmailChange: loses nothing that changed a moment before it"],
  },
  {
    name: "a username is one person's",
    file: USERNAMES,
    find: 'if (entry.value.owner === "user") return null;',
    put: "",
    also: [{
      file: "src/store/usernames.ts",
      find: "return entry.value.emailHash === hashEmail(email) ? entry : null;",
      put: "return entry;",
    }],
    red: ["account_test.ts", "updateMe: refuses a username that is taken"],
  },
  {
    name: "a username is one person's, without regard to case",
    file: USERNAMES,
    find: "const entry = await kv.find(keys.username(username.toLowerCase()));",
    put: "const entry = await kv.find(keys.username(username));",
    red: [
      "registration_test.ts",
      "register: a username is reserved while a registration is pending, without regard to case",
    ],
  },
  {
    name: "of many who want a username at once one gets it",
    file: USERNAMES,
    find: 'change.check(username).set(username.key, { owner: "user", userId });',
    put: 'change.set(username.key, { owner: "user", userId });',
    red: ["account_test.ts", "updateMe: of 20 people who want one username at the same moment, one gets it"],
  },
  {
    name: "of many who reserve a username at once one has it",
    file: USERNAMES,
    find: 'change.check(entry).set(entry.key, {\n    owner: "registration",',
    put: 'change.set(entry.key, {\n    owner: "registration",',
    red: [
      "registration_test.ts",
      "register: of two that reserve a username at the same moment the one that comes later is refused",
    ],
  },
  {
    name: "a pending registration reserves its username",
    file: USERNAMES,
    find: "return entry.value.emailHash === hashEmail(email) ? entry : null;",
    put: "return entry;",
    red: [
      "registration_test.ts",
      "register: a username is reserved while a registration is pending, without regard to case",
    ],
  },
  {
    name: "of many changes to an account at once none is lost",
    file: USERS,
    find: "kv.change().check(entry).set(entry.key, after);",
    put: "kv.change().set(entry.key, after);",
    red: [
      "account_test.ts",
      "updateMe: of many changes at the same moment none is lost, and one username is left",
    ],
  },
  {
    name: "the last active admin can be neither demoted, disabled nor deleted",
    file: "src/store/admins.ts",
    find: "if (difference < 0 && count < 1) return false;",
    put: "",
    red: ["last_admin_test.ts", "the last active admin withstands demoting"],
  },
  {
    name: "admins who demote each other at the same moment leave one",
    file: "src/store/admins.ts",
    find: "change.check(entry).set(entry.key, { count });",
    put: "change.set(entry.key, { count });",
    red: [
      "last_admin_test.ts",
      "updateUser: of five admins who demote each other all at once, exactly one remains",
    ],
  },
  {
    name: "what of a user leaves the server is named field by field",
    file: "src/user_view.ts",
    find: "  return {\n    id: user.id,",
    put: "  return {\n    ...user,\n    id: user.id,",
    red: ["http_test.ts", "readMe: answers nothing that the contract does not name"],
  },
  {
    name: "what of a session leaves the server is named field by field",
    file: "src/session_view.ts",
    find: "  return {\n    id: session.id,",
    put: "  return {\n    ...session,\n    id: session.id,",
    red: [
      "session_list_test.ts",
      "listSessions: each device with what its owner needs to recognise it, and no more",
    ],
  },
];
