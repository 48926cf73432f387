// A session as its owner sees it, field by field: no hash of its tokens leaves the server.

import type { z } from "@hono/zod-openapi";
import type { Session } from "../openapi/sessions.ts";
import type { SessionRecord } from "./store/keys.ts";
import { rfc3339 } from "./user_view.ts";

/** The `Session` of the contract; `current` is the session of the request itself. */
export function viewSession(session: SessionRecord, current: SessionRecord): z.output<typeof Session> {
  return {
    id: session.id,
    created_at: rfc3339(session.createdAtMs),
    last_used_at: rfc3339(session.lastUsedAtMs),
    user_agent: session.userAgent,
    ip: session.ip,
    current: session.id === current.id,
  };
}
