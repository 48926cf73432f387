// The type of the app and of what its handlers find in their context: apart from app.ts, so that routes do not import
// what imports them.

import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Client } from "./store/client.ts";

/** What every handler finds in `c.var`; `client` under /api only. */
export interface AppEnv {
  Variables: { requestId: string; client: Client };
}

export type App = OpenAPIHono<AppEnv>;
