// From a stranger to an account: register, confirm the mailed code, and, when the mail does not come, ask again.

import { createRoute, z } from "@hono/zod-openapi";
import { challengeAnswer, guessesAt } from "./challenge.ts";
import { faultCode } from "./fault.ts";
import { challengeId, code, email, locale, name, newPassword, passwordConfirm, username } from "./fields.ts";
import { anyRoute, bodyRoute, problems } from "./problem.ts";
import { signedInAnswer } from "./tokens.ts";

const registration = z.strictObject({
  email,
  password: newPassword,
  password_confirm: passwordConfirm,
  username: username.optional(),
  name: name.optional(),
  locale: locale.optional(),
}).refine(
  ({ password, password_confirm }) => password_confirm === undefined || password_confirm === password,
  {
    path: ["password_confirm"],
    error: "Must be the same as password",
    ...faultCode("confirmation_differs"),
  },
);

export const register = createRoute({
  method: "post",
  path: "/api/v1/auth/register",
  operationId: "register",
  tags: ["Registration"],
  summary: "Start a registration",
  description:
    `Mails a code to the address and answers with a challenge. No account exists yet: send the code and the
\`challenge_id\` to \`verifyOtp\` to open it and be signed in. An unconfirmed registration ends after 24 hours, and reserves
its username until then, for registrations of the same address only.

The answer is the same when the address already has an account. Then no code is mailed, but a note to its owner.

A password that is refused is a 422; its \`errors\` say why, in plain words. Three registrations a minute, by network.`,
  security: [],
  request: { body: { required: true, content: { "application/json": { schema: registration } } } },
  responses: {
    202: challengeAnswer,
    ...problems(...anyRoute, ...bodyRoute, "username_taken"),
  },
});

export const verifyOtp = createRoute({
  method: "post",
  path: "/api/v1/auth/verify-otp",
  operationId: "verifyOtp",
  tags: ["Registration"],
  summary: "Confirm a registration and sign in",
  description:
    `Opens the account with what was sent to \`register\` for this challenge, and signs in: keep both tokens, as after
\`login\`. Every other pending registration of the address is void from now on.

${guessesAt("register")} A code works once, and ends after ten minutes; \`resendOtp\` mails
another. Three attempts a minute, by network and by challenge.`,
  security: [],
  request: {
    body: {
      required: true,
      content: { "application/json": { schema: z.strictObject({ challenge_id: challengeId, code }) } },
    },
  },
  responses: {
    201: signedInAnswer,
    ...problems(...anyRoute, ...bodyRoute, "otp_invalid", "otp_expired"),
  },
});

export const resendOtp = createRoute({
  method: "post",
  path: "/api/v1/auth/resend-otp",
  operationId: "resendOtp",
  tags: ["Registration"],
  summary: "Mail a new code",
  description:
    `For a challenge of any purpose whose mail did not come. The challenge stays the same; the code before dies at
once, and wrong guesses stay counted. Earlier than \`resend_after\` seconds it is a 429 with policy \`resend\`; after five times
a 410: start the flow again.`,
  security: [],
  request: {
    body: {
      required: true,
      content: { "application/json": { schema: z.strictObject({ challenge_id: challengeId }) } },
    },
  },
  responses: {
    202: challengeAnswer,
    ...problems(...anyRoute, ...bodyRoute, "otp_expired"),
  },
});
