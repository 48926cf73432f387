// The type of the app and of what its handlers find in their context: apart from app.ts, so that routes do not import
// what imports them.

import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Problem } from "./problem.ts";
import type { Client } from "./store/client.ts";

/** What is found in `c.var`: `client` under /api only, `problem` once the request has been refused. */
export interface AppEnv {
  Variables: { requestId: string; client: Client; problem?: Problem };
}

export type App = OpenAPIHono<AppEnv>;
