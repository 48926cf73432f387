// Another password: for who forgot theirs, by way of the mailbox; and for who is signed in and knows it.

import { createRoute, z } from "@hono/zod-openapi";
import { challengeAnswer, guessesAt } from "./challenge.ts";
import { faultCode } from "./fault.ts";
import {
  challengeId,
  code,
  email,
  newPassword,
  password,
  passwordConfirm,
  resetToken,
  seconds,
} from "./fields.ts";
import { headers, privateAnswer } from "./headers.ts";
import { anyRoute, bodyRoute, problems, signedInRoute } from "./problem.ts";

const chosenPassword = {
  new_password: newPassword.openapi({ example: "seven otters paddle upstream" }),
  new_password_confirm: passwordConfirm.openapi({ example: "seven otters paddle upstream" }),
};

const mismatch = {
  path: ["new_password_confirm"],
  error: "Must be the same as new_password",
  ...faultCode("confirmation_differs"),
};

export const requestPasswordReset = createRoute({
  method: "post",
  path: "/api/v1/auth/password/reset",
  operationId: "requestPasswordReset",
  tags: ["Passwords"],
  summary: "Start a password reset",
  description:
    `Mails a code to the address, if it has an account, and answers with a challenge in any case: same status, same
body, same time. Send the code and the \`challenge_id\` to \`verifyPasswordResetOtp\`. When no mail comes, \`resendOtp\` sends
another.

Nothing changes yet: the password stays, sessions stay, and earlier resets of the address go on. Three requests an hour,
by network and by address.`,
  security: [],
  request: {
    body: { required: true, content: { "application/json": { schema: z.strictObject({ email }) } } },
  },
  responses: {
    202: challengeAnswer,
    ...problems(...anyRoute, ...bodyRoute),
  },
});

export const PasswordReset = z.object({
  reset_token: resetToken,
  expires_in: seconds("Until the reset token ends.", 600),
}).openapi("PasswordReset", { description: "The right to set a new password, once." });

export const verifyPasswordResetOtp = createRoute({
  method: "post",
  path: "/api/v1/auth/password/reset/verify-otp",
  operationId: "verifyPasswordResetOtp",
  tags: ["Passwords"],
  summary: "Exchange the code for a reset token",
  description: `The code is used up, and the reset token takes its place: send it with the new password to
\`confirmPasswordReset\` within ten minutes.

${guessesAt("requestPasswordReset")} Three attempts a minute, by network and by challenge.`,
  security: [],
  request: {
    body: {
      required: true,
      content: { "application/json": { schema: z.strictObject({ challenge_id: challengeId, code }) } },
    },
  },
  responses: {
    200: {
      description: "The code was right. Keep the token in memory only.",
      headers: headers(...privateAnswer),
      content: { "application/json": { schema: PasswordReset } },
    },
    ...problems(...anyRoute, ...bodyRoute, "otp_invalid", "otp_expired"),
  },
});

export const confirmPasswordReset = createRoute({
  method: "post",
  path: "/api/v1/auth/password/reset/confirm",
  operationId: "confirmPasswordReset",
  tags: ["Passwords"],
  summary: "Set a new password with a reset token",
  description:
    `From now on only the new password signs in. Every session of the account ends at once, and so does every code and
reset token that still waits, of whatever flow. The owner is mailed. Nobody is signed in by this: go on with \`login\`.

A password that is refused (422) does not use the reset token up. One that is used, unknown or expired is 410
\`otp_expired\`: start again at \`requestPasswordReset\`.`,
  security: [],
  request: {
    body: {
      required: true,
      content: {
        "application/json": {
          schema: z.strictObject({ reset_token: resetToken, ...chosenPassword }).refine(
            isConfirmed,
            mismatch,
          ),
        },
      },
    },
  },
  responses: {
    204: { description: "The password is set.", headers: headers(...privateAnswer) },
    ...problems(...anyRoute, ...bodyRoute, "otp_expired"),
  },
});

export const changePassword = createRoute({
  method: "post",
  path: "/api/v1/me/password",
  operationId: "changePassword",
  tags: ["Passwords"],
  summary: "Change your password",
  description:
    `This session goes on, with the tokens it has. Every other session of the account ends at once, and so does every
code and reset token that still waits: whoever else knew the old password is out. The owner is mailed.

A wrong \`current_password\` is 401 \`password_invalid\`; it ends nothing. Five attempts a minute, counted together with the
other operations that take the current password.`,
  security: [{ bearer: [] }],
  request: {
    body: {
      required: true,
      content: {
        "application/json": {
          schema: z.strictObject({ current_password: password, ...chosenPassword }).refine(
            isConfirmed,
            mismatch,
          ),
        },
      },
    },
  },
  responses: {
    204: { description: "The password is changed.", headers: headers(...privateAnswer) },
    ...problems(...anyRoute, ...bodyRoute, ...signedInRoute, "password_invalid"),
  },
});

function isConfirmed(
  { new_password, new_password_confirm }: {
    readonly new_password: string;
    readonly new_password_confirm?: string | undefined;
  },
): boolean {
  return new_password_confirm === undefined || new_password_confirm === new_password;
}
