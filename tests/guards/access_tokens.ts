// Guards around access tokens and the keys that sign them: what a token must be, and until when.

import type { Guard } from "./guard.ts";

const ACCESS = "src/access_token.ts";
const KEYRING = "src/keyring.ts";

export const accessTokens: readonly Guard[] = [
  {
    name: "an access token is signed with EdDSA and nothing else",
    file: ACCESS,
    find: '      algorithms: ["EdDSA"],\n',
    put: "",
    red: [
      "token_forgery_test.ts",
      "access token: what the server's own key has signed is none unless every part of it is right",
    ],
  },
  {
    name: "a token of another type is no access token",
    file: ACCESS,
    find: '      typ: "at+jwt",\n      issuer',
    put: "      issuer",
    red: [
      "token_forgery_test.ts",
      "access token: what the server's own key has signed is none unless every part of it is right",
    ],
  },
  {
    name: "a token of another issuer is refused",
    file: ACCESS,
    find: "      issuer: config.publicUrl,\n",
    put: "",
    red: [
      "token_forgery_test.ts",
      "access token: what the server's own key has signed is none unless every part of it is right",
    ],
  },
  {
    name: "a token for another audience is refused",
    file: ACCESS,
    find: "      audience: config.publicUrl,\n",
    put: "",
    red: [
      "token_forgery_test.ts",
      "access token: what the server's own key has signed is none unless every part of it is right",
    ],
  },
  {
    name: "a token without its claims is refused",
    file: ACCESS,
    find: '      requiredClaims: ["iss", "aud", "sub", "sid", "role", "iat", "exp", "jti"],\n',
    put: "",
    also: [{
      file: ACCESS,
      find: "const claims = claimsForm.safeParse(payload).data;",
      put: "const claims = payload as unknown as AccessClaims;",
    }],
    red: [
      "token_forgery_test.ts",
      "access token: what the server's own key has signed is none unless every part of it is right",
    ],
  },
  {
    name: "a token that has passed once is over on the second all the same",
    file: ACCESS,
    find: "return now < exp && iat",
    put: "return iat",
    red: [
      "access_token_test.ts",
      "access token: ends on the second, and is refused from before a step back of the clock",
    ],
  },
  {
    name: "a token from the future is refused: a clock set back makes none immortal",
    file: ACCESS,
    find: "now < exp && iat <= now + CLOCK_SKEW_SECONDS",
    put: "now < exp",
    red: [
      "access_token_test.ts",
      "access token: ends on the second, and is refused from before a step back of the clock",
    ],
  },
  {
    name: "a revoked key takes along the tokens that had passed already",
    file: ACCESS,
    find: "if (!await keyring.findVerificationKey(passed.kid)) return null;",
    put: "",
    red: [
      "cli_keys_test.ts",
      "rotation: verifyToken tells the truth about a revoked key, although the token passed before",
    ],
  },
  {
    name: "a token is verified with the key that it names, and with no other",
    file: KEYRING,
    find: "const isNamed = ({ record }: LoadedKey): boolean => record.kid === kid;",
    put: "const isNamed = (_: LoadedKey): boolean => kid !== '';",
    red: [
      "cli_keys_test.ts",
      "rotation: verifyToken tells the truth about a revoked key, although the token passed before",
    ],
  },
  {
    name: "keys that another process has revoked count here within a second",
    file: KEYRING,
    find: "const AGE_MAX_MS = 1_000;",
    put: "const AGE_MAX_MS = Infinity;",
    red: [
      "cli_keys_test.ts",
      "rotation: another instance takes a token of the new key at once, and refuses a revoked one's within a second",
    ],
  },
  {
    name: "the old key verifies until the last token that it signed is over",
    file: KEYRING,
    find: "signsAtMs + accessTtlMs + CLOCK_SLACK_MS",
    put: "signsAtMs",
    red: [
      "cli_keys_test.ts",
      "rotation: the old key verifies until its last token has expired, then it is gone",
    ],
  },
  {
    name: "of many rotations at once each leaves one key that signs",
    file: "src/store/signing_keys.ts",
    find: "kv.change().check(...newest).set(",
    put: "kv.change().set(",
    // The events of rotations stand in one chain, whose head is checked, too.
    also: [{
      file: "src/store/audit.ts",
      find: "change.check(head, ...owners);",
      put: "change.check(...owners);",
    }],
    red: ["cli_keys_test.ts", "rotation: of many at once each leaves one key that signs"],
  },
  {
    name: "no key is written under another SECRET_KEY than the store's",
    file: KEYRING,
    find: "  await openKeyring(kv, secrets);\n  const key",
    put: "  const key",
    red: ["cli_keys_test.ts", "rotation under another SECRET_KEY is refused before anything is written"],
  },
  {
    name: "two servers that start on an empty store keep one of their two keys",
    file: "src/store/signing_keys.ts",
    find: "    .check(marker)\n",
    put: "",
    red: [
      "keyring_test.ts",
      "keyring: of two servers that start on an empty store both sign with the one key that is kept",
    ],
  },
  {
    name: "a new key signs nothing before every cache of the published keys has it",
    file: KEYRING,
    find: "isReady(record, kv.nowMs())",
    put: "record.expiresAtMs === undefined",
    red: [
      "keyring_test.ts",
      "keyring: announced, no token is signed with a key that a cache of the published ones lacks",
    ],
  },
  {
    name: "an access token ends with its session",
    file: ACCESS,
    find: "Math.max(issuedAt, Math.floor(sessionEndsAtMs / 1000)),",
    put: "Infinity,",
    red: [
      "sessions_test.ts",
      "refreshTokens: an access token ends with its session, also for who reads nothing but the token",
    ],
  },
];
