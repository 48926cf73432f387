// The whole server as one Hono app: what every answer has in common, and the stems. No work happens here at import;
// createApp(deps) gives an app that answers with nothing but what it got.

import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { cors } from "hono/cors";
import { methodNotAllowed } from "hono/method-not-allowed";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import type { App, AppEnv } from "./app_env.ts";
import { createClientReader } from "./client.ts";
import type { Deps } from "./deps.ts";
import { observeRequests } from "./observe.ts";
import { Problem, renderProblem, toProblem } from "./problem.ts";
import { registerAccount } from "./routes/account.ts";
import { registerAudit } from "./routes/audit.ts";
import { registerMails } from "./routes/mails.ts";
import { registerNotes } from "./routes/notes.ts";
import { registerPasswords } from "./routes/passwords.ts";
import { registerRegistration } from "./routes/registration.ts";
import { registerService } from "./routes/service.ts";
import { registerSessions } from "./routes/sessions.ts";
import { registerUsers } from "./routes/users.ts";
import { toFaults } from "./validation.ts";

const CSP = "Content-Security-Policy";
/** For who follows the address that the server has told. */
const WAY_IN = { detail: "Operations begin with /api/v1; /docs describes them" };
const HSTS = "max-age=63072000; includeSubDomains";

/** Answers every request; give the whole ServeHandlerInfo as the second argument of `fetch`. */
export function createApp(deps: Deps): App {
  const app: App = new OpenAPIHono<AppEnv>({
    // Tolerates a trailing slash.
    strict: false,
    defaultHook: (result) => {
      if (!result.success) throw new Problem("validation_failed", { errors: toFaults(result) });
    },
  });

  app.use(requestId({ limitLength: 128 }));
  app.use(observeRequests(deps));
  app.use(secureHeaders({
    xFrameOptions: "DENY",
    referrerPolicy: "no-referrer",
    strictTransportSecurity: deps.config.publicUrl.startsWith("https:") && HSTS,
    crossOriginResourcePolicy: "cross-origin",
    crossOriginOpenerPolicy: false,
    xPermittedCrossDomainPolicies: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xXssProtection: false,
  }));
  app.use(async (c, next) => {
    await next();
    // Pages bring a policy of their own.
    if (!c.res.headers.has(CSP)) c.res.headers.set(CSP, "default-src 'none'; frame-ancestors 'none'");
  });
  if (deps.config.corsOrigins.length > 0) app.use(allowOrigins(deps.config.corsOrigins));
  app.use(methodNotAllowed({
    app,
    onMethodNotAllowed: (c, methods) => {
      c.header("Allow", methods.join(", "));
      return refuse(c, deps, new Problem("method_not_allowed"));
    },
  }));
  const readClient = createClientReader(deps);
  app.use("/api/*", async (c, next) => {
    c.set("client", readClient(c));
    // Tokens and personal data: nothing under /api is for a cache.
    c.header("Cache-Control", "no-store");
    await next();
    // Nobody reads what hono leaves out of the answer to HEAD: an answer in pieces must not wait for it.
    if (c.req.method === "HEAD") await c.res.body?.cancel();
  });

  registerRegistration(app, deps);
  registerSessions(app, deps);
  registerPasswords(app, deps);
  registerAccount(app, deps);
  registerNotes(app, deps);
  registerUsers(app, deps);
  registerMails(app, deps);
  registerAudit(app, deps);
  registerService(app, deps);

  app.notFound((c) => refuse(c, deps, new Problem("route_unknown", isDoorway(c.req.path) ? WAY_IN : {})));
  app.onError((error, c) => {
    const problem = toProblem(error);
    if (problem.cause !== undefined) logCause(deps, c.var.requestId, problem);
    return refuse(c, deps, problem);
  });
  return app;
}

function isDoorway(path: string): boolean {
  return /^\/(api(\/v1)?\/?)?$/.test(path);
}

/** Every error answer of the app is made here. */
function refuse(c: Context<AppEnv>, deps: Deps, problem: Problem): Response {
  c.set("problem", problem);
  return renderProblem(c, deps, problem);
}

function allowOrigins(origins: readonly string[]): ReturnType<typeof cors> {
  return cors({
    origin: [...origins],
    allowMethods: ["GET", "POST", "PATCH", "DELETE"],
    allowHeaders: ["Authorization", "Content-Type", "If-None-Match", "X-Request-Id"],
    exposeHeaders: ["ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"],
    maxAge: 600,
  });
}

function logCause({ log }: Deps, requestId: string, { code, cause }: Problem): void {
  const fields = {
    request_id: requestId,
    code,
    cause: cause instanceof Error ? cause.message : typeof cause,
  };
  if (code !== "internal_error") return log.warn("refused", fields);
  log.error("failed", { ...fields, stack: cause instanceof Error ? cause.stack : undefined });
}
