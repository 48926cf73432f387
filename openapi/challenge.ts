// A challenge: a flow that waits for its mailed code. One mechanism for every code, and one form of answer for every
// operation that mails one; it looks the same whether or not the address has an account.

import { z } from "@hono/zod-openapi";
import { challengeId, seconds } from "./fields.ts";
import { headers, privateAnswer } from "./headers.ts";

export const Challenge = z.object({
  challenge_id: challengeId,
  purpose: z.enum(["registration", "password_reset", "email_change", "account_deletion"]).openapi({
    description: "Which flow it belongs to. The code opens nothing at another flow's operation.",
    example: "registration",
  }),
  expires_in: seconds("Until the mailed code ends.", 600),
  resend_after: seconds("Until `POST /api/v1/auth/resend-otp` mails a new code for this challenge.", 60),
}).openapi("Challenge", { description: "A flow that waits for its mailed code." });

/** The answer of an operation that mails a code. */
export const challengeAnswer = {
  description:
    "A code is on its way, if there is somebody to mail it to. Send it back together with `challenge_id`.",
  headers: headers(...privateAnswer),
  content: { "application/json": { schema: Challenge } },
};

/** What an operation that takes a code says of guesses; `start` is the operation that begins its flow. */
export function guessesAt(start: string): string {
  return `A code stands five wrong guesses at most: each answers 400 \`otp_invalid\` with \`attempts_remaining\`. When none
remains the answer is 410, and the flow starts again at \`${start}\`.`;
}
