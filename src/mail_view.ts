// A mail as admins see it, field by field: neither recipient nor content leaves the server.

import type { z } from "@hono/zod-openapi";
import type { Mail } from "../openapi/mails.ts";
import type { MailRecord } from "./store/keys.ts";
import { rfc3339 } from "./user_view.ts";

/** The `Mail` of the contract. */
export function viewMail(mail: MailRecord): z.output<typeof Mail> {
  const isDone = mail.state === "sent" || mail.state === "dead";
  return {
    id: mail.id,
    kind: mail.kind,
    user_id: mail.userId,
    state: mail.state,
    attempts: mail.attempts,
    reason: mail.reason,
    created_at: rfc3339(mail.createdAtMs),
    due_at: isDone ? null : rfc3339(mail.dueAtMs),
    sent_at: mail.sentAtMs === null ? null : rfc3339(mail.sentAtMs),
  };
}
