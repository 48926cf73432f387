// The audit trail, for admins. It is read here; what it tells of writes it.

import { listAuditEvents } from "../../openapi/audit.ts";
import type { App } from "../app_env.ts";
import { viewAuditEvent } from "../audit_view.ts";
import { issueCursor, requirePosition } from "../cursor.ts";
import type { Deps } from "../deps.ts";
import { requireAdmin } from "../gate.ts";
import { collectAuditEvents } from "../store/audit_lists.ts";

export function registerAudit(app: App, deps: Deps): void {
  app.openapi({ ...listAuditEvents, middleware: requireAdmin(deps) }, async (c) => {
    const { limit, cursor, ...filters } = c.req.valid("query");
    const query = { operation: "listAuditEvents", userId: c.var.user.value.id, filters };
    const startId = requirePosition(deps.secrets, query, cursor);
    const { items, nextId } = await collectAuditEvents(
      deps.kv,
      { userId: filters.user_id, types: filters.type && [filters.type] },
      { limit, startId },
    );
    const data = items.map(viewAuditEvent);
    return c.json({ data, next_cursor: issueCursor(deps.secrets, query, nextId) }, 200);
  });
}
