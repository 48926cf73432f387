// "Why can this person not sign in?": everything that a support desk looks up, in one answer.

import { createRoute, z } from "@hono/zod-openapi";
import { AuditEvent } from "./audit.ts";
import { count, ip, time, userId } from "./fields.ts";
import { headers, privateAnswer } from "./headers.ts";
import { Mail } from "./mails.ts";
import { anyRoute, problems, signedInRoute } from "./problem.ts";
import { User } from "./user.ts";

/** What stands in the way, or may. Each with the words that an admin reads. */
const FINDINGS = {
  account_disabled: "The account is disabled: an admin can enable it.",
  email_unverified: "The address was imported unverified: a password reset proves it.",
  password_missing: "The account was imported without a password: a password reset sets one.",
  limit_in_force: "A limit refuses attempts until `ends_at`.",
  password_wrong_lately: "The last attempt to sign in had a wrong password.",
  mail_dead: "The newest mail was given up: see its `reason`.",
  mail_waiting: "A mail has been waiting for over a minute: see its `reason`, and the mail server.",
} as const;

export type FindingCode = keyof typeof FINDINGS;

/** What is said of a finding. */
export function messageOf(code: FindingCode): string {
  return FINDINGS[code];
}

const Finding = z.object({
  code: z.enum(Object.keys(FINDINGS) as [FindingCode, ...FindingCode[]]).openapi({
    description: "What it is; clients match this.",
    example: "account_disabled",
  }),
  message: z.string().max(200).openapi({
    description: "What it means and what helps, in plain words.",
    example: FINDINGS.account_disabled,
  }),
}).openapi("SignInFinding", { description: "What stands in the way of a sign-in, or may." });

const LimitInForce = z.object({
  policy: z.enum(["login", "otp", "password_reset", "password", "mail", "anonymous", "user"]).openapi({
    description: "The limit, as `RateLimit-Policy` names it.",
    example: "login",
  }),
  scope: z.enum(["account", "address", "network"]).openapi({
    description:
      "For whom it counts: this account, its address whoever names it, or everybody in a network that it was used from.",
    example: "account",
  }),
  ip: ip.nullable().openapi({
    description:
      "An address in the network that it counts for; null when it counts for all, or when the address is not known any more.",
  }),
  ends_at: time("When the next request is admitted."),
}).openapi("LimitInForce", { description: "A limit that refuses now." });

export const SignInReport = z.object({
  user_id: userId,
  can_sign_in: z.boolean().openapi({
    description:
      "Whether the right password signs in, apart from limits: the account is active, its address verified, and it has a password.",
    example: true,
  }),
  findings: z.array(Finding).max(10).openapi({
    description: "What stands in the way or may, the worst first; empty when nothing does.",
  }),
  email_verified: User.shape.email_verified,
  status: User.shape.status,
  has_password: z.boolean().openapi({
    description: "False for an account that was imported without one, until a password reset.",
    example: true,
  }),
  last_login_at: User.shape.last_login_at,
  session_count: count("How many devices are signed in now.", 2),
  attempts: z.array(AuditEvent).max(20).openapi({
    description:
      "The last twenty events of signing in, proving a password and trying codes, newest first, with their causes.",
  }),
  limits: z.array(LimitInForce).max(100).openapi({ description: "The limits that refuse now." }),
  long_codes_until: time(
    "Until then mailed codes have ten characters, because fewer than five of a day's ten wrong guesses are left; null otherwise.",
  ).nullable(),
  mails: z.array(Mail).max(20).openapi({
    description: "The last twenty mails to the account, newest first, with what became of them.",
  }),
}).openapi("SignInReport", { description: "Why a person can or cannot sign in." });

export const readSignInReport = createRoute({
  method: "get",
  path: "/api/v1/users/{user_id}/sign-in-report",
  operationId: "readSignInReport",
  tags: ["Administration"],
  summary: "Find out why a person cannot sign in",
  description:
    `One answer to "I cannot get in": the state of the account, the last attempts and why they failed, the limits that refuse
now and when they end, and what became of the mails. \`findings\` says it in words, the worst first.

What it does not know: attempts with a mistyped address belong to no account. Look for them with \`listAuditEvents\`, type
\`sign_in_failed\`, cause \`account_unknown\`.`,
  security: [{ bearer: [] }],
  request: { params: z.strictObject({ user_id: userId }) },
  responses: {
    200: {
      description: "The report.",
      headers: headers(...privateAnswer),
      content: { "application/json": { schema: SignInReport } },
    },
    ...problems(...anyRoute, ...signedInRoute, "role_insufficient", "user_not_found", "validation_failed"),
  },
});
