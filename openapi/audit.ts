// The audit trail, for admins: who did what to whom, when and from where. It holds ids; no address, code, token or
// anything else that somebody typed.

import { createRoute, z } from "@hono/zod-openapi";
import { id, ip, requestId, time, userAgent, userId, word } from "./fields.ts";
import { headers, privateAnswer } from "./headers.ts";
import { listOf, listQuery } from "./list.ts";
import { anyRoute, problems, signedInRoute } from "./problem.ts";

/** Every type of event, with its causes and details. */
const MEANINGS = {
  account_created: "A registration was confirmed (`session_id`), or an operator made an account (`role`).",
  account_deleted: "By its owner, or by an admin.",
  code_failed:
    "A mailed code was refused, as long as the server knows its challenge. Causes `wrong`, `expired` (or guessed too " +
    "often); `purpose`.",
  code_sent:
    "A code was mailed: `purpose`, `mail_id`. Of a registration it can be the mail to somebody who has an account " +
    "already, which has no code.",
  code_withheld:
    "A code was asked for, and none was mailed. Causes `no_recipient` (there is no such account, or somebody else has " +
    "the new address), `mail_limit`; `purpose`.",
  data_exported: "Its owner took everything along that is kept about an account.",
  email_changed: "The account has another address, which a code has proved.",
  limit_reached:
    "The last request that a limit allows was admitted: until one leaves the window the next ones are refused. Told " +
    "once in the length of the window. The cause is the policy; `window_seconds`.",
  mail_retried: "A dead mail was queued again: `mail_id`.",
  password_changed: "By who knew the old one.",
  password_failed: "A signed-in caller gave a wrong current password. Cause `password_wrong`.",
  password_reset: "By who could read the mailbox.",
  plan_changed: "`from`, `to`.",
  profile_changed: "Username, name or locale, as `members` says.",
  refresh_token_reused: "A used refresh token was presented again, and its session ended: `session_id`.",
  role_changed: "`from`, `to`.",
  session_ended:
    "Signed out, here or from afar: `session_id`. Cause `session_limit`: a sign-in too many has ended the oldest one.",
  sessions_ended:
    "Every other session of an account was ended by its owner, all by an admin, or those of all accounts by an operator.",
  sign_in_failed:
    "Causes `account_unknown`, `password_wrong`, `email_unverified` (imported so), `account_disabled`, `account_changed` " +
    "(while it was signing in).",
  signed_in: "With the password: `session_id`.",
  signing_key_rotated:
    "`kid` signs from then on; `older_keys` are `kept` or `revoked`. A rotation that revokes them tells both, one after " +
    "the other.",
  status_changed: "`from`, `to`.",
  store_backed_up: "An operator took a copy of the whole store. The copy has this event too.",
  store_restored: "An operator put a backup in the store's place.",
  users_exported: "An operator wrote all accounts to a file, password hashes included.",
  users_imported: "An operator took accounts over from another system: `accounts`.",
} as const;

type Type = keyof typeof MEANINGS;

const type = z.enum(Object.keys(MEANINGS) as [Type, ...Type[]]).openapi({
  description: `What happened.\n\n${
    Object.entries(MEANINGS).map(([name, meaning]) => `- \`${name}\`: ${meaning}`).join("\n")
  }`,
  example: "sign_in_failed",
});

export const AuditEvent = z.object({
  id: id().openapi({ description: "The id of the event; ids sort by time." }),
  type,
  actor_kind: z.enum(["anyone", "user", "admin", "operator"]).openapi({
    description:
      "Who did it: somebody who had not shown who they are, an account in its own affairs, an admin in " +
      "another's, or an operator on the command line.",
    example: "anyone",
  }),
  actor_id: userId.nullable().openapi({ description: "The account that did it; null when it was none." }),
  user_id: userId.nullable().openapi({
    description: "The account that it happened to; null when there is none. It may have been deleted since.",
  }),
  cause: word("Why something failed or was withheld; null otherwise.", "password_wrong").nullable(),
  details: z.record(z.string().max(64), z.string().max(200).regex(/^[\x20-\x7E]*$/)).openapi({
    description: "What else belongs to events of this type: ids, names and counts.",
    example: {},
  }),
  ip: ip.nullable().openapi({
    description:
      "The network address it came from; null for operators, and once the account that it belongs to is deleted.",
  }),
  user_agent: userAgent.nullable().openapi({
    description: "The client's own words about itself; null like `ip`, or when it said nothing.",
  }),
  request_id: requestId.nullable().openapi({
    description: "The `X-Request-Id` of the request, as it stands in the log; null for operators.",
  }),
  created_at: time("When it happened."),
}).openapi("AuditEvent", { description: "One event of the audit trail." });

export const listAuditEvents = createRoute({
  method: "get",
  path: "/api/v1/audit-events",
  operationId: "listAuditEvents",
  tags: ["Administration"],
  summary: "List audit events",
  description:
    `Who did what to whom, when and from where, newest first, as long as \`AUDIT_RETENTION\` says (a year, unless it is
set); what strangers do that concerns no account, for a week. Events are only ever added; each is bound to the one before
it, and \`deno task audit:verify\` proves that none was altered or taken out.

\`user_id\` finds what an account did and what happened to it, also after it was deleted. With both filters a page can be
short although there is a next one: go on until \`next_cursor\` is null.`,
  security: [{ bearer: [] }],
  request: {
    query: z.strictObject({
      user_id: userId.optional().openapi({ description: "Only events of this account." }),
      type: type.optional().openapi({ description: "Only events of this type." }),
      ...listQuery,
    }),
  },
  responses: {
    200: {
      description: "One page of events.",
      headers: headers(...privateAnswer),
      content: {
        "application/json": {
          schema: listOf(AuditEvent).openapi("AuditEventList", { description: "One page of audit events." }),
        },
      },
    },
    ...problems(...anyRoute, ...signedInRoute, "role_insufficient", "validation_failed"),
  },
});
