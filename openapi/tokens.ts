// What a client holds while it is signed in: a short signed access token, and a refresh token that works once.

import { z } from "@hono/zod-openapi";
import { accessToken, refreshToken, seconds } from "./fields.ts";
import { headers, privateAnswer } from "./headers.ts";
import { User } from "./user.ts";

export const Tokens = z.object({
  access_token: accessToken.regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/),
  refresh_token: refreshToken,
  token_type: z.literal("Bearer").openapi({
    description: "How the access token is sent (RFC 6750).",
    example: "Bearer",
  }),
  expires_in: seconds("Until the access token ends; never later than its session.", 1800),
  refresh_expires_in: seconds("Until the refresh token ends, unless it is used before.", 86400),
}).openapi("Tokens", { description: "An access token, and the refresh token that gives the next pair." });

export const SignedIn = Tokens.extend({ user: User }).openapi("SignedIn", {
  description: "Tokens of a new session, and whose it is.",
});

/** The answer of an operation that opens a session. */
export const signedInAnswer = {
  description: "Signed in. Keep both tokens; `refreshTokens` gives the next pair.",
  headers: headers(...privateAnswer),
  content: { "application/json": { schema: SignedIn } },
};
