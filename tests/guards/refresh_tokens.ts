// Guards around refresh and reset tokens: each works once, has an end, and is stored as a hash.

import type { Guard } from "./guard.ts";

const ROTATION = "src/store/rotation.ts";

export const refreshTokens: readonly Guard[] = [
  {
    name: "a refresh token's secret is compared, not only its session found",
    file: ROTATION,
    find: "if (!isSameHash(session.value.refreshHash, hash)) return",
    put: "if (hash === '') return",
    red: ["sessions_test.ts", "refreshTokens: refuses"],
  },
  {
    name: "a refresh token has an end of its own",
    file: ROTATION,
    find: 'if (nowMs >= session.value.refreshExpiresAtMs) return { outcome: "invalid" };',
    put: "",
    red: [
      "sessions_test.ts",
      "refreshTokens: ends on its own second, though access tokens of the session live longer",
    ],
  },
  {
    name: "a session ends after thirty days, however often it is refreshed",
    file: "src/store/sessions.ts",
    find: "refreshExpiresAtMs: Math.min(nowMs + refreshTtlMs, endsAtMs),",
    put: "refreshExpiresAtMs: nowMs + refreshTtlMs,",
    also: [{
      file: "src/store/sessions.ts",
      find: "expiresAtMs: Math.min(nowMs + Math.max(refreshTtlMs, accessTtlMs), endsAtMs),",
      put: "expiresAtMs: nowMs + Math.max(refreshTtlMs, accessTtlMs),",
    }],
    red: ["sessions_test.ts", "refreshTokens: the session ends after 30 days, however often it is refreshed"],
  },
  {
    name: "a refresh token is rotated once: never a fork",
    file: ROTATION,
    find: "    .check(session)\n    .set(session.key, rotated)",
    put: "    .set(session.key, rotated)",
    red: [
      "sessions_test.ts",
      "refreshTokens: within ten seconds 50 parallel callers get the same successor, also after a restart",
    ],
  },
  {
    name: "a used refresh token is known as used",
    file: ROTATION,
    find: "  if (isPresent(used)) {\n    const {",
    put: "  if (isPresent(used) && used.value.rotatedAtMs < 0) {\n    const {",
    red: ["sessions_test.ts", "refreshTokens: used later it ends the session, once, and tells the owner"],
  },
  {
    name: "the grace for a lost answer has an end",
    file: ROTATION,
    find: "if (nowMs - rotatedAtMs >= config.refreshGraceMs) {",
    put: "if (nowMs < 0) {",
    red: ["sessions_test.ts", "refreshTokens: used later it ends the session, once, and tells the owner"],
  },
  {
    name: "a replayed refresh token ends its session",
    file: ROTATION,
    find: "deps.kv.change().check(session).remove(session.key);",
    put: "deps.kv.change().check(session);",
    red: ["sessions_test.ts", "refreshTokens: used later it ends the session, once, and tells the owner"],
  },
  {
    name: "of many replays at once one is told to the owner",
    file: ROTATION,
    find: "deps.kv.change().check(session).remove(session.key);",
    put: "deps.kv.change().remove(session.key);",
    red: ["sessions_test.ts", "refreshTokens: used later it ends the session, once, and tells the owner"],
  },
  {
    name: "a disabled account gets no new tokens",
    file: ROTATION,
    find: 'if (user.value?.status === "disabled") {',
    put: "if (user.value === undefined) {",
    red: ["sessions_test.ts", "refreshTokens: refuses"],
  },
  {
    name: "refresh tokens are stored as hashes only",
    file: "src/refresh_token.ts",
    find: "return digest(plainToken);",
    put: "return plainToken;",
    red: ["sessions_test.ts", "refreshTokens: tokens stand nowhere in the store"],
  },
  {
    name: "reset tokens are stored as hashes only",
    file: "src/store/passwords.ts",
    find: "change.set(keys.resetToken(digest(plainToken)), {",
    put: "change.set(keys.resetToken(plainToken), {",
    also: [{
      file: "src/store/passwords.ts",
      find: "const tokenHash = digest(plainToken);",
      put: "const tokenHash = plainToken;",
    }],
    red: [
      "password_secrecy_test.ts",
      "password reset: no code, token or password stands in the store or the log, at no step",
    ],
  },
];
