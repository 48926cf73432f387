// Guards around who is signed in: what a gate asks, whose a session is, and what ends it.

import type { Guard } from "./guard.ts";

const GATE = "src/gate.ts";
const SESSIONS = "src/store/sessions.ts";
const LOGIN = "src/routes/sessions.ts";
const PASSWORDS = "src/store/passwords.ts";

export const sessions: readonly Guard[] = [
  {
    name: "an access token is worth nothing once its session has ended",
    file: GATE,
    find: 'if (!user || !session) return { state: "invalid" };',
    put: 'if (!user) return { state: "invalid" };',
    also: [{
      file: GATE,
      find: 'return { state: "signed_in", user, session, claims };',
      put:
        "const ghost = { value: { id: claims.sid, lastUsedAtMs: Infinity } } as Present<SessionRecord>;\n" +
        '  return { state: "signed_in", user, session: session ?? ghost, claims };',
    }],
    red: ["sessions_test.ts", "logout: ends this session at once, also after a restart, and no other"],
  },
  {
    name: "a disabled account's token is refused, and says why",
    file: GATE,
    find: 'if (user?.value.status === "disabled") return { state: "disabled" };',
    put: "",
    red: [
      "sessions_test.ts",
      "a disabled account's token: 403, and enabled again it works no more than its session does",
    ],
  },
  {
    name: "the token of a demoted admin is refused",
    file: GATE,
    find: 'if (claims.role === "admin" && user.value.role !== "admin") return { state: "invalid" };',
    put: "",
    red: ["events_test.ts", "event demotion: each cell of the table is true, at once and after a restart"],
  },
  {
    name: "an operation for admins asks for the role",
    file: GATE,
    find: 'if (isAdminOnly && user.value.role !== "admin") throw new Problem("role_insufficient");',
    put: "",
    red: ["roles_test.ts", "roles: every caller meets at every operation what the matrix says"],
  },
  {
    name: "the operations on users are for admins",
    file: "src/routes/users.ts",
    find: 'import { requireAdmin } from "../gate.ts";',
    put: 'import { requireUser as requireAdmin } from "../gate.ts";',
    red: ["users_test.ts", "updateUser: refuses, before it looks at the request"],
  },
  {
    name: "the audit trail is for admins",
    file: "src/routes/audit.ts",
    find: 'import { requireAdmin } from "../gate.ts";',
    put: 'import { requireUser as requireAdmin } from "../gate.ts";',
    red: [
      "audit_list_test.ts",
      "listAuditEvents: is for admins only, and refuses others before it looks at the request",
    ],
  },
  {
    name: "the outbox is for admins",
    file: "src/routes/mails.ts",
    find: 'import { requireAdmin } from "../gate.ts";',
    put: 'import { requireUser as requireAdmin } from "../gate.ts";',
    red: [
      "mails_test.ts",
      "listMails: is for admins only, and refuses others before it looks at the request",
    ],
  },
  {
    name: "somebody else's refresh token is not signed out along",
    file: LOGIN,
    find: "if (named?.userId === userId) await",
    put: "if (named !== null) await",
    red: ["sessions_test.ts", "logout: needs no body, and somebody else's refresh token is left alone"],
  },
  {
    name: "a session lies under its owner: nobody ends another one's",
    file: "src/store/keys.ts",
    find: 'key<SessionRecord>("sessions", userId, sessionId)',
    put: 'key<SessionRecord>("sessions", "everybody", sessionId)',
    red: [
      "session_list_test.ts",
      "endSession: somebody else's session answers like one that never was, byte for byte, and lives on",
    ],
  },
  {
    name: "of many who end a session at once one has ended it",
    file: SESSIONS,
    find: "deps.kv.change().check(session).remove(session.key);\n    const details",
    put: "deps.kv.change().remove(session.key);\n    const details",
    // Its event checks the account, and the head of the account's chain.
    also: [{ file: "src/store/audit.ts", find: "  change.check(head, ...owners);\n", put: "" }],
    red: ["session_list_test.ts", "endSession: of 20 parallel ones one ends it"],
  },
  {
    name: "noting that a session is in use never brings back one that has ended",
    file: SESSIONS,
    find: "kv.change().check(session).set(session.key, used)",
    put: "kv.change().set(session.key, used)",
    red: ["sessions_test.ts", "session: one that ends while its use is noted has ended"],
  },
  {
    name: "another password ends every other session",
    file: PASSWORDS,
    find: "  await addSessionsEnd(kv, change, { userId: user.value.id, keptSessionId });\n",
    put: "",
    red: [
      "events_test.ts",
      "event password reset: each cell of the table is true, at once and after a restart",
    ],
  },
  {
    name: "a password change ends pending codes and reset tokens",
    file: PASSWORDS,
    find: "change.set(user.key, nextEpoch(deps, user.value));",
    put: "change.set(user.key, user.value);",
    red: [
      "events_test.ts",
      "event password change: each cell of the table is true, at once and after a restart",
    ],
  },
  {
    name: "a password reset ends pending codes and reset tokens",
    file: PASSWORDS,
    find: "change.set(user.key, { ...nextEpoch(deps, user.value), isEmailVerified: true });",
    put: "change.set(user.key, { ...user.value, isEmailVerified: true });",
    red: [
      "events_test.ts",
      "event password reset: each cell of the table is true, at once and after a restart",
    ],
  },
  {
    name: "another address ends every other session",
    file: "src/store/email_change.ts",
    find: "  await addSessionsEnd(kv, change, { userId, keptSessionId });\n",
    put: "",
    red: [
      "events_test.ts",
      "event e-mail change: each cell of the table is true, at once and after a restart",
    ],
  },
  {
    name: "another address ends pending codes and reset tokens",
    file: "src/store/email_change.ts",
    find: "{ ...nextEpoch(deps, user.value), email: newEmail",
    put: "{ ...user.value, email: newEmail",
    red: [
      "events_test.ts",
      "event e-mail change: each cell of the table is true, at once and after a restart",
    ],
  },
  {
    name: "disabling ends every session, so that enabling revives none",
    file: "src/store/users.ts",
    find: "if (isShutOut) await addShutOut(kv, change, userId);",
    put: "",
    red: ["events_test.ts", "event disable: each cell of the table is true, at once and after a restart"],
  },
  {
    name: "disabling ends pending codes and reset tokens, so that enabling revives none",
    file: "src/store/users.ts",
    find: "const after = isShutOut ? nextEpoch(deps, patched) : patched;",
    put: "const after = patched;",
    red: ["events_test.ts", "event disable: each cell of the table is true, at once and after a restart"],
  },
];
