// What is told of every request: a line of the log, a count for Prometheus, a name for its span. All three say the
// pattern of the route, never the path: a path can hold anything that somebody typed.

import type { Context, MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import type { AppEnv } from "./app_env.ts";
import type { Deps } from "./deps.ts";

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Stands for every path that is no route and every method that is none, so that nobody can invent names. */
const UNKNOWN = "unknown";

/** Stands before everything but the request id. */
export function observeRequests(
  { log, metrics, nameSpan }: Pick<Deps, "log" | "metrics" | "nameSpan">,
): MiddlewareHandler<AppEnv> {
  return createMiddleware<AppEnv>(async (c, next) => {
    const startMs = performance.now();
    const method = METHODS.has(c.req.method) ? c.req.method : UNKNOWN;
    const route = routeOf(c);
    // A path that is no route leaves the span its method as name, as the conventions of OpenTelemetry want it.
    if (route !== UNKNOWN) nameSpan?.({ method, route });
    metrics?.beginRequest();
    await next();
    const { status } = c.res;
    const durationMs = performance.now() - startMs;
    metrics?.endRequest({ method, route, status, problem: c.get("problem"), durationMs });
    log.info("request", {
      request_id: c.get("requestId"),
      method,
      route,
      status,
      duration_ms: Math.round(durationMs * 100) / 100,
    });
  });
}

/** Where no route matches, the last match is a middleware of all paths. */
function routeOf(c: Context): string {
  const pattern = routePath(c, -1);
  return pattern.endsWith("*") ? UNKNOWN : pattern;
}
