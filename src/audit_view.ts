// An event of the audit trail as admins see it, field by field: what proves it stays inside.

import type { z } from "@hono/zod-openapi";
import type { AuditEvent } from "../openapi/audit.ts";
import type { AuditEventRecord } from "./store/audit_event.ts";
import { rfc3339 } from "./user_view.ts";

/** The `AuditEvent` of the contract. */
export function viewAuditEvent(event: AuditEventRecord): z.output<typeof AuditEvent> {
  return {
    id: event.id,
    type: event.type,
    actor_kind: event.actorKind,
    actor_id: event.actorId,
    user_id: event.userId,
    cause: event.cause,
    details: { ...event.details },
    ip: event.origin?.ip ?? null,
    user_agent: event.origin?.userAgent ?? null,
    request_id: event.requestId,
    created_at: rfc3339(event.atMs),
  };
}

/**
 * The same as one who took part in it may see it: nothing of whoever else did, and of a change to another address not
 * whether its code left, which would tell whether somebody has that address.
 */
export function viewAuditEventFor(
  userId: string,
  event: AuditEventRecord,
): z.output<typeof AuditEvent> {
  const view = viewAuditEvent(event);
  const isByAnother = view.actor_id !== null && view.actor_id !== userId;
  const { purpose } = event.details;
  const isCodeElsewhere = purpose === "email_change" && /^code_(sent|withheld)$/.test(event.type);
  return {
    ...view,
    user_id: view.user_id === userId ? userId : null,
    ...(isCodeElsewhere && { type: "code_sent", cause: null, details: { purpose } }),
    ...(isByAnother && { actor_id: null, ip: null, user_agent: null, request_id: null }),
  };
}
