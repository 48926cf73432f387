// Signing in, staying signed in, and signing out. A session is one device; each refresh gives it new tokens.

import { createRoute, z } from "@hono/zod-openapi";
import { accessToken, email, id, ip, password, refreshToken, time, userAgent, userId } from "./fields.ts";
import { headers, privateAnswer } from "./headers.ts";
import { listOf, listQuery } from "./list.ts";
import { anyRoute, bodyRoute, problems, signedInRoute } from "./problem.ts";
import { signedInAnswer, Tokens } from "./tokens.ts";
import { role } from "./user.ts";

export const login = createRoute({
  method: "post",
  path: "/api/v1/auth/login",
  operationId: "login",
  tags: ["Sessions"],
  summary: "Sign in",
  description:
    `Opens a session on this device. Send \`access_token\` with each request, and exchange \`refresh_token\` at
\`refreshTokens\` before \`expires_in\` seconds are over.

An unknown address, one that was never confirmed and a wrong password get the same 401, after the same time; offer
\`requestPasswordReset\` and \`register\` there. Only the right password learns that the account is disabled (403). Five
attempts a minute, by network and by account.`,
  security: [],
  request: {
    body: {
      required: true,
      content: { "application/json": { schema: z.strictObject({ email, password }) } },
    },
  },
  responses: {
    200: signedInAnswer,
    ...problems(...anyRoute, ...bodyRoute, "credentials_invalid", "account_disabled"),
  },
});

export const refreshTokens = createRoute({
  method: "post",
  path: "/api/v1/auth/token/refresh",
  operationId: "refreshTokens",
  tags: ["Sessions"],
  summary: "Exchange a refresh token for new tokens",
  description:
    `Call it shortly before the access token ends, or when a request gets 401 \`token_invalid\`; then send that request
again. On any 401 from here the session is over: go to \`login\`.

A refresh token works once. Presented again within ten seconds (an answer that got lost, two tabs) it gives
the same successor. Presented later it is taken for a stolen copy: 401 \`refresh_token_reused\`, the session ends at once,
and its owner is mailed.

Store the new pair before you use it. A session ends 30 days after sign-in, however often it is refreshed.`,
  security: [],
  request: {
    body: {
      required: true,
      content: { "application/json": { schema: z.strictObject({ refresh_token: refreshToken }) } },
    },
  },
  responses: {
    200: {
      description: "New tokens of the same session. The refresh token that was sent is used up.",
      headers: headers(...privateAnswer),
      content: { "application/json": { schema: Tokens } },
    },
    ...problems(
      ...anyRoute,
      ...bodyRoute,
      "refresh_token_invalid",
      "refresh_token_reused",
      "account_disabled",
    ),
  },
});

const sessionId = id().openapi({ description: "The id of the session." });

const numericDate = (description: string): z.ZodInt =>
  // The end of the year 9999, where RFC 3339 ends too.
  z.int().min(0).max(253_402_300_799).openapi({
    format: "int64",
    description: `${description}, in seconds since 1970.`,
    example: 1_795_253_400,
  });

const serverUrl = (description: string): z.ZodURL =>
  z.url().max(2048).openapi({ description, example: "https://auth.example.com" });

export const InactiveToken = z.object({
  active: z.literal(false).openapi({
    description: "No access token of a session that lives.",
    example: false,
  }),
}).openapi("InactiveToken", {
  description: "Whatever is the matter with the token, no more is said. A refresh token is also none.",
});

export const ActiveToken = z.object({
  active: z.literal(true).openapi({ description: "The token is good now.", example: true }),
  sub: userId,
  sid: sessionId,
  role,
  exp: numericDate("When the token ends"),
  iat: numericDate("When the token was issued"),
  iss: serverUrl("Who issued it: this server."),
  aud: serverUrl("Whom it is for: this server, and services that belong to it."),
  token_type: z.literal("Bearer").openapi({ description: "How the token is sent.", example: "Bearer" }),
}).openapi("ActiveToken", {
  description: "The claims of an access token whose session lives (RFC 7662 §2.2).",
});

export const verifyToken = createRoute({
  method: "post",
  path: "/api/v1/auth/token/verify",
  operationId: "verifyToken",
  tags: ["Sessions"],
  summary: "Ask whether an access token is good now",
  description:
    `For services that get tokens from their own callers and must know of a sign-out at once (RFC 7662 terms). Those that
can live with up to 30 minutes check the signature themselves, with the keys of \`readKeys\`, and ask nobody.

A token that is not good is no error here: the answer is 200 with \`active: false\`.`,
  security: [],
  request: {
    body: {
      required: true,
      content: { "application/json": { schema: z.strictObject({ token: accessToken }) } },
    },
  },
  responses: {
    200: {
      description: "The claims of a good token, or `active: false` and nothing else.",
      headers: headers(...privateAnswer),
      content: {
        "application/json": { schema: z.discriminatedUnion("active", [ActiveToken, InactiveToken]) },
      },
    },
    ...problems(...anyRoute, ...bodyRoute),
  },
});

export const logout = createRoute({
  method: "post",
  path: "/api/v1/auth/logout",
  operationId: "logout",
  tags: ["Sessions"],
  summary: "Sign out",
  description:
    `Ends the session of the access token at once, on every instance: neither its access token nor its refresh
token is good from now on, so forget both. Other sessions go on: see \`endOtherSessions\`.

The body may be left out. A \`refresh_token\` in it that belongs to another session of the same account ends that session
too; one that is not good is no error (RFC 7009 §2.2).`,
  security: [{ bearer: [] }],
  request: {
    body: {
      required: false,
      content: { "application/json": { schema: z.strictObject({ refresh_token: refreshToken.optional() }) } },
    },
  },
  responses: {
    204: { description: "Signed out.", headers: headers(...privateAnswer) },
    ...problems(...anyRoute, ...bodyRoute, ...signedInRoute),
  },
});

export const Session = z.object({
  id: sessionId,
  created_at: time("When the person signed in on this device."),
  last_used_at: time("When it was last in use, give or take a minute."),
  user_agent: userAgent.nullable().openapi({
    description: "What the program called itself at sign-in, in printable ASCII; null when it did not.",
  }),
  ip: ip.openapi({ description: "The network address that the sign-in came from." }),
  current: z.boolean().openapi({
    description: "Whether the access token of this very request belongs to it.",
    example: true,
  }),
}).openapi("Session", { description: "A device that is signed in." });

export const listSessions = createRoute({
  method: "get",
  path: "/api/v1/me/sessions",
  operationId: "listSessions",
  tags: ["Sessions"],
  summary: "List your sessions",
  description:
    `Where the account is signed in now, the newest sign-in first. Is one among them that the person does not know? End
it with \`endSession\`, and change the password.

An account has at most 50 sessions: one more sign-in ends the oldest.`,
  security: [{ bearer: [] }],
  request: { query: z.strictObject(listQuery) },
  responses: {
    200: {
      description: "One page of the caller's sessions.",
      headers: headers(...privateAnswer),
      content: {
        "application/json": {
          schema: listOf(Session).openapi("SessionList", { description: "One page of sessions." }),
        },
      },
    },
    ...problems(...anyRoute, ...signedInRoute, "validation_failed"),
  },
});

export const endSession = createRoute({
  method: "delete",
  path: "/api/v1/me/sessions/{session_id}",
  operationId: "endSession",
  tags: ["Sessions"],
  summary: "End one of your sessions",
  description:
    `Signs that device out at once, on every instance: neither its access token nor its refresh token is good from now
on. The session of this very request may be ended too, which is a \`logout\`.

A session that has ended, never existed or belongs to somebody else is the same 404 \`session_not_found\`.`,
  security: [{ bearer: [] }],
  request: { params: z.strictObject({ session_id: sessionId }) },
  responses: {
    204: { description: "The session has ended.", headers: headers(...privateAnswer) },
    ...problems(...anyRoute, ...signedInRoute, "validation_failed", "session_not_found"),
  },
});

export const endOtherSessions = createRoute({
  method: "delete",
  path: "/api/v1/me/sessions",
  operationId: "endOtherSessions",
  tags: ["Sessions"],
  summary: "End all your other sessions",
  description:
    `Signs every device out but this one, at once, on every instance. It is no error when there is no other. The
password stays as it is: whoever knows it can sign in again, so change it if that may be somebody else.`,
  security: [{ bearer: [] }],
  responses: {
    204: { description: "This session is the only one left.", headers: headers(...privateAnswer) },
    ...problems(...anyRoute, ...signedInRoute),
  },
});
