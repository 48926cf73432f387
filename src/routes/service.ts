// The service itself: is it well, what does it offer, with which keys does it sign; and its pages for people.

import type { Context, MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import openApiDocument from "../../openapi/openapi.json" with { type: "json" };
import { isProblemCode } from "../../openapi/problem.ts";
import {
  readDocs,
  readDocument,
  readHealth,
  readKeys,
  readMailbox,
  readMetrics,
  readProblem,
  readReadiness,
} from "../../openapi/service.ts";
import type { App, AppEnv } from "../app_env.ts";
import type { Deps } from "../deps.ts";
import { PUBLISHED_MAX_AGE_SECONDS } from "../keyring.ts";
import { collectMailbox } from "../mail/mailbox.ts";
import { renderDocsPage } from "../pages/docs.ts";
import { renderMailboxPage } from "../pages/mailbox.ts";
import { pagePolicy } from "../pages/page.ts";
import { describeProblem, renderProblemPage } from "../pages/problem.ts";
import { Problem } from "../problem.ts";
import { digest, isSameHash, randomText } from "../secrets.ts";
import { measureOutbox } from "../store/outbox_depth.ts";
import { createWriteProbe } from "../store/readiness.ts";
import { hasViewer, readViewer } from "../viewer.ts";

export function registerService(app: App, deps: Deps): void {
  app.openapi(readHealth, (c) => c.json({ status: "ok" as const }, 200));

  const proveReady = createWriteProbe(deps.kv);
  app.openapi(readReadiness, async (c) => {
    await proveReady().catch((cause: unknown) => {
      throw new Problem("unavailable", { retry_after: 2, cause });
    });
    return c.json({ status: "ready" as const }, 200);
  });

  app.openapi(readKeys, async (c) => {
    c.header("Cache-Control", `public, max-age=${PUBLISHED_MAX_AGE_SECONDS}`);
    return c.json(await deps.accessTokens.publicKeys(), 200);
  });

  // Printed once: it is large, and anybody may ask for it as often as they like.
  const documentText = JSON.stringify(openApiDocument);
  app.get(readDocument.path, (c) => c.body(documentText, 200, { "Content-Type": "application/json" }));

  app.openapi(readDocs, async (c) => {
    const { appName } = deps.config;
    const page = renderDocsPage({ appName, nonce: randomText(16), hasViewer: await hasViewer() });
    c.header("Content-Security-Policy", page.policy);
    return c.html(page.html, 200);
  });

  // Part of the page, not of the contract.
  app.get("/docs/scalar.js", async (c) => {
    const script = await readViewer();
    if (!script) throw new Problem("route_unknown");
    c.header("Content-Type", "text/javascript; charset=utf-8");
    // Kept compressed; there is no browser that the page runs in and that cannot read it.
    c.header("Content-Encoding", "gzip");
    c.header("Cache-Control", "public, max-age=86400");
    return c.body(script);
  });

  app.openapi(readProblem, (c) => {
    const { code } = c.req.valid("param");
    if (!isProblemCode(code)) throw new Problem("route_unknown");
    if (wantsHtml(c)) {
      c.header("Content-Security-Policy", pagePolicy());
      return c.html(renderProblemPage({ appName: deps.config.appName, code }), 200);
    }
    return c.json(describeProblem(code), 200);
  });

  const { metrics, config: { metricsToken } } = deps;
  if (metrics && metricsToken) {
    app.openapi({ ...readMetrics, middleware: requireMetricsToken(metricsToken) }, async (c) => {
      // A store that is away is no reason to be silent about everything else.
      const outbox = await measureOutbox(deps.kv).catch(() => null);
      c.header("Cache-Control", "no-store");
      return c.text(await metrics.print({ hashes: deps.hasher.load(), outbox }), 200, {
        "Content-Type": metrics.mediaType,
      });
    });
  }

  // Only where mails go to the mailbox: elsewhere the path is as unknown as any other.
  if (deps.config.isProduction || deps.config.smtp) return;
  app.openapi(readMailbox, async (c) => {
    const mails = await collectMailbox(deps.kv, deps.secrets);
    c.header("Cache-Control", "no-store");
    if (!wantsHtml(c)) return c.json({ data: mails, next_cursor: null }, 200);
    c.header("Content-Security-Policy", pagePolicy());
    return c.html(renderMailboxPage(deps.config, mails), 200);
  });
}

/** Who scrapes has no account: one token, from the settings. */
function requireMetricsToken(metricsToken: string): MiddlewareHandler<AppEnv> {
  return createMiddleware<AppEnv>(async (c, next) => {
    const authorization = c.req.header("authorization");
    if (authorization === undefined) throw new Problem("token_missing");
    const [, token = ""] = /^Bearer +(\S+) *$/i.exec(authorization) ?? [];
    if (!isSameHash(digest(token), digest(metricsToken))) throw new Problem("token_invalid");
    await next();
  });
}

/** A browser names text/html; programs get JSON unless they do the same. */
function wantsHtml(c: Context<AppEnv>): boolean {
  return /\btext\/html\b/.test(c.req.header("accept") ?? "");
}
