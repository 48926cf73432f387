// An answer held against the contract of its route: status, media type, headers, body and the code of a problem. So each
// test proves, whatever else it looks at, that nothing is answered which the contract does not declare.

import assert from "node:assert/strict";
import type { RouteConfig, z } from "@hono/zod-openapi";

/** One answer, its body parsed. */
export interface Answer {
  readonly status: number;
  // What a body holds is what the test asserts on; the contract has checked its form.
  // deno-lint-ignore no-explicit-any
  readonly body: any;
  readonly headers: Headers;
  readonly text: string;
}

/** What a contract of ours says of a body. */
interface DeclaredContent {
  readonly schema: z.ZodType;
  /** Of problems one for each code, by its name. */
  readonly examples?: Readonly<Record<string, unknown>>;
}

/** Fails unless the contract of `route` declares this status, media type, headers, body and code. */
export async function requireDeclared(route: RouteConfig, response: Response): Promise<Answer> {
  const text = await response.text();
  const what = `${route.operationId} answered ${response.status}: ${text.slice(0, 500)}`;
  const declaration = route.responses[response.status];
  assert(declaration && !("$ref" in declaration), `${what}, which the contract does not declare`);
  for (const name of Object.keys(declaration.headers ?? {})) {
    const isOptional = name.startsWith("RateLimit") || name === "WWW-Authenticate" && response.status !== 401;
    assert(isOptional || response.headers.has(name), `${what}, without ${name}`);
  }
  const isAnnounced = response.status >= 500 || "RateLimit" in (declaration.headers ?? {});
  assert(isAnnounced || !response.headers.has("RateLimit"), `${what}, with limits that it does not declare`);
  if (!declaration.content) {
    assert.equal(text, "", what);
    return { status: response.status, body: null, headers: response.headers, text };
  }
  const mediaType = (response.headers.get("content-type") ?? "").split(";")[0] ?? "";
  // The keys of `content` are media types; a contract of ours holds zod schemas only.
  const content = (declaration.content as Readonly<Record<string, DeclaredContent | undefined>>)[mediaType];
  assert(content, `${what}, as ${mediaType}, which the contract does not declare`);
  const body: unknown = mediaType.endsWith("json") ? JSON.parse(text) : text;
  const parsed = content.schema.safeParse(body);
  assert(parsed.success, `${what}, which does not fit its schema: ${parsed.error?.message}`);
  if (mediaType === "application/problem+json") {
    // Problem's schema has a code, and `problems` gives an example for each one that is declared.
    const { code } = body as { readonly code: string };
    assert(Object.hasOwn(content.examples ?? {}, code), `${what}, a code that the contract does not declare`);
  }
  assert.deepEqual(body, parsed.data, `${what}, with members that the contract does not name`);
  return { status: response.status, body, headers: response.headers, text };
}
