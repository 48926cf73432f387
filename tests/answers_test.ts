// What holds for the answers of every operation, whoever asks: nothing that a browser, a cache or another site could
// make use of, and no secret in an address.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import { routes } from "../openapi/document.ts";
import document from "../openapi/openapi.json" with { type: "json" };
import { startServer, type TestServer, UNLIMITED } from "./harness.ts";

const METRICS_TOKEN = "7Vb2xk0Qm9ZtRrY4sWcL1pHdJ8gNfEuA";
const ID = "01981f6e-7a4c-7d1e-9b60-2f5d1c8e4a10";
/** All that paths and queries may hold. `q` is the beginning of an address or a name, and for admins only. */
const PARAMETERS = [
  "code",
  "cursor",
  "limit",
  "mail_id",
  "note_id",
  "plan",
  "q",
  "role",
  "session_id",
  "status",
  "state",
  "type",
  "user_id",
];

Deno.test("answers: none sets a cookie, redirects, can be framed, or leaves its media type open", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, METRICS_TOKEN } });
  for (const route of routes) {
    const { status, headers, text } = await ask(server, route);
    const what = `${route.operationId}: ${status} ${text.slice(0, 200)}`;
    assert.equal(headers.get("set-cookie"), null, what);
    assert(status < 300 || status === 304 || status >= 400, what);
    assert.equal(headers.get("location"), null, what);
    assert.match(
      headers.get("content-security-policy") ?? "",
      /^default-src 'none';.*frame-ancestors 'none'/,
      what,
    );
    assert.equal(headers.get("x-content-type-options"), "nosniff", what);
    if (text !== "") {
      assert.match(
        headers.get("content-type") ?? "",
        /^application\/(problem\+)?json|; ?charset=utf-8/i,
        what,
      );
    }
  }
});

Deno.test("answers: under /api none is for a cache", async () => {
  await using server = await startServer({ env: UNLIMITED });
  for (const route of routes.filter(({ path }) => path.startsWith("/api/"))) {
    const { headers } = await ask(server, route);
    assert.equal(headers.get("cache-control"), "no-store", route.path);
  }
});

Deno.test("answers: the contract has no redirect, and asks for no secret in a path or query", () => {
  const names = new Set<string>();
  for (const operations of Object.values(document.paths)) {
    for (const operation of Object.values(operations)) {
      // Parameters beside the operations, which the document does not use, have no `responses`.
      const { parameters = [], responses } = operation as Operation;
      for (const { name, in: place } of parameters) if (place !== "header") names.add(String(name));
      assert.deepEqual(Object.keys(responses).filter((status) => /^3(?!04)/.test(status)), []);
    }
  }
  assert.deepEqual([...names].filter((name) => !PARAMETERS.includes(name)), []);
});

interface Operation {
  readonly parameters?: readonly { readonly name?: string; readonly in?: string }[];
  readonly responses: Readonly<Record<string, unknown>>;
}

/** One request without a token, as a page would load it. */
async function ask(
  server: TestServer,
  { method, path }: RouteConfig,
): Promise<{ readonly status: number; readonly headers: Headers; readonly text: string }> {
  const target = path.replace("{code}", "otp_invalid").replaceAll(/\{\w+\}/g, ID);
  const hasBody = method === "post" || method === "patch";
  const response = await server.request(target, {
    method: method.toUpperCase(),
    headers: { accept: "text/html,*/*", ...(hasBody ? { "content-type": "application/json" } : {}) },
    ...(hasBody ? { body: "{}" } : {}),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}
