// The outbox, for admins: what is on its way, what arrived, and what was given up and why. Never a code, a body or an
// address.

import { createRoute, z } from "@hono/zod-openapi";
import { count, id, time, userId, word } from "./fields.ts";
import { headers, privateAnswer } from "./headers.ts";
import { listOf, listQuery } from "./list.ts";
import { anyRoute, bodyRoute, problems, signedInRoute } from "./problem.ts";

const mailId = id().openapi({ description: "The id of the mail; ids sort by the time of creation." });

const state = z.enum(["queued", "sending", "sent", "dead"]).openapi({
  description:
    "How far it got: waiting for its next attempt, under way, taken by the mail server, or given up for good.",
  example: "dead",
});

export const Mail = z.object({
  id: mailId,
  kind: word("What it is about.", "password_changed"),
  user_id: userId.nullable().openapi({ description: "The account it is about; null when there is none." }),
  state,
  attempts: count("How often it was tried.", 3),
  reason: z.string().max(500).nullable().openapi({
    description:
      "Why the last attempt failed, or why it was given up, without the recipient; null otherwise.",
    example: "550 5.1.1 No such mailbox",
  }),
  created_at: time("When it was decided on."),
  due_at: time("When it is tried next, at the earliest; null once it is sent or dead.").nullable(),
  sent_at: time("When the mail server took it; null before that.").nullable(),
}).openapi("Mail", { description: "A mail of the outbox, without recipient and content." });

export const listMails = createRoute({
  method: "get",
  path: "/api/v1/mails",
  operationId: "listMails",
  tags: ["Administration"],
  summary: "List mails",
  description:
    `The outbox, newest first: what is on its way, and what was sent or given up within about 30 days. Neither recipient nor
content is shown, and none is kept once a mail is sent.`,
  security: [{ bearer: [] }],
  request: { query: z.strictObject({ state: state.optional(), ...listQuery }) },
  responses: {
    200: {
      description: "One page of mails.",
      headers: headers(...privateAnswer),
      content: {
        "application/json": {
          schema: listOf(Mail).openapi("MailList", { description: "One page of mails." }),
        },
      },
    },
    ...problems(...anyRoute, ...signedInRoute, "role_insufficient", "validation_failed"),
  },
});

export const retryMail = createRoute({
  method: "post",
  path: "/api/v1/mails/{mail_id}/retry",
  operationId: "retryMail",
  tags: ["Administration"],
  summary: "Send a dead mail after all",
  description: `Queues a dead mail once more, for 24 hours. The body may be left out.

Only a dead notice can come back: a mail that is queued, sent or under way, one whose code is dead, and the last one of a
deleted account are 422 \`validation_failed\`. An id that no mail has is 404 \`route_unknown\`: there is nothing under that
path.`,
  security: [{ bearer: [] }],
  request: {
    params: z.strictObject({ mail_id: mailId }),
    body: { required: false, content: { "application/json": { schema: z.strictObject({}) } } },
  },
  responses: {
    202: {
      description: "It is queued.",
      headers: headers(...privateAnswer),
      content: { "application/json": { schema: Mail } },
    },
    ...problems(...anyRoute, ...bodyRoute, ...signedInRoute, "role_insufficient", "route_unknown"),
  },
});
