// Every operation as a promise: who may call it, which refusals it can meet, what it takes and announces, with examples
// that are true.

import assert from "node:assert/strict";
import { z } from "@hono/zod-openapi";
import { routes } from "../openapi/document.ts";
import { anyRoute, bodyRoute, type ProblemCode, signedInRoute } from "../openapi/problem.ts";
import {
  codesOf,
  type Content,
  document,
  operationOf,
  resolve,
  type SchemaNode,
} from "./contract_document.ts";

for (const route of routes) {
  const operation = operationOf(route);

  Deno.test(`${route.operationId} is documented`, () => {
    assert.match(operation.operationId ?? "", /^[a-z]+[A-Za-z]*$/);
    assert.match(operation.summary ?? "", /^[A-Z].*[^.]$/s);
    assert.match(operation.description ?? "", /^[A-Z].*\.$/s);
    assert.ok(operation.security, "security is stated, also when there is none");
    assert.deepEqual(operation.tags?.filter((tag) => !document.tags.some(({ name }) => name === tag)), []);
    const statuses = Object.keys(operation.responses);
    assert.ok(statuses.some((status) => /^2/.test(status)), "a success is declared");
    assert.ok(
      !route.path.startsWith("/api/") || statuses.some((status) => /^4/.test(status)),
      "a refusal is declared",
    );
  });

  Deno.test(`${route.operationId} declares the refusals that its request can meet`, () => {
    const codes = codesOf(operation);
    const body = operation.requestBody?.content["application/json"]?.schema;
    const members = Object.keys(body ? resolve(body).properties ?? {} : {});
    const due: ProblemCode[] = [
      ...route.path.startsWith("/api/") ? anyRoute : [],
      ...body ? bodyRoute : [],
      ...operation.parameters?.length ? ["validation_failed"] as const : [],
      ...operation.security?.length && route.path.startsWith("/api/") ? signedInRoute : [],
      ...members.includes("current_password") ? ["password_invalid"] as const : [],
      ...members.includes("code") ? ["otp_invalid", "otp_expired"] as const : [],
      ...members.includes("reset_token") ? ["otp_expired"] as const : [],
    ];
    assert.deepEqual(due.filter((code) => !codes.includes(code)), []);
  });

  Deno.test(`${route.operationId} says who may call it`, () => {
    const codes = codesOf(operation);
    const isPublic = operation.security?.length === 0;
    // The service's own paths may have a key of their own.
    if (!isPublic && route.path.startsWith("/api/")) assert.deepEqual(operation.security, [{ bearer: [] }]);
    assert.equal(codes.includes("token_missing"), !isPublic);
    assert.equal(codes.includes("role_insufficient"), operation.tags?.includes("Administration") ?? false);
  });

  Deno.test(`${route.operationId} names the codes of every refusal`, () => {
    for (const [status, { description, content }] of Object.entries(operation.responses)) {
      const examples = Object.entries(content?.["application/problem+json"]?.examples ?? {});
      assert.equal(examples.length > 0, Number(status) >= 400, status);
      for (const [code, { value }] of examples) {
        assert.partialDeepStrictEqual(value, { code, status: Number(status) });
        assert.match(description ?? "", new RegExp(`\`${code}\``));
      }
    }
  });

  Deno.test(`${route.operationId} announces its limits wherever it has counted the request`, () => {
    const announced = Object.entries(operation.responses)
      .filter(([, { headers = {} }]) => "RateLimit-Policy" in headers && "RateLimit" in headers)
      .map(([status]) => Number(status));
    const isLimited = codesOf(operation).includes("rate_limited");
    const due = Object.keys(operation.responses).map(Number).filter((status) =>
      // The gate refuses 413, 415 and most of 401 and 403 before it counts; a server that fails need not tell.
      isLimited && ![401, 403, 413, 415].includes(status) && status < 500
    );
    assert.deepEqual(due.filter((status) => !announced.includes(status)), []);
    assert.equal(announced.length > 0, isLimited);
  });

  Deno.test(`${route.operationId} bounds what it takes`, () => {
    for (const { name, schema } of operation.parameters ?? []) assertBounded(schema, name);
    for (const { schema } of Object.values(operation.requestBody?.content ?? {})) {
      assertBounded(schema, "body");
    }
  });

  Deno.test(`${route.operationId} has a true example for every member`, () => {
    for (const place of ["path", "query", "header"] as const) {
      const parameters = operation.parameters?.filter((parameter) => parameter.in === place) ?? [];
      const example = parameters.map(({ name, schema }) => [name, String(exampleOf(schema, name))]);
      zodOfParameters(route, place)?.parse(Object.fromEntries(example));
    }
    assertExamples(route.request?.body?.content, operation.requestBody?.content);
    for (const [status, { content }] of Object.entries(operation.responses)) {
      const response = route.responses[status];
      assertExamples(response && "content" in response ? response.content : undefined, content);
    }
  });
}

/** Each value of `schema` has a limit, and no object takes members that it does not name. */
function assertBounded(schema: SchemaNode, where: string): void {
  const node = resolve(schema);
  const types = [node.type ?? []].flat();
  if (types.includes("string") && !node.enum) assert.ok(node.maxLength, `${where} has a maxLength`);
  if (types.includes("integer")) assert.ok(node.maximum, `${where} has a maximum`);
  if (types.includes("array")) assert.ok(node.maxItems, `${where} has a maxItems`);
  if (types.includes("object")) assert.equal(node.additionalProperties, false, `${where} is strict`);
  if (node.items) assertBounded(node.items, `${where}/items`);
  for (const [name, member] of Object.entries(node.properties ?? {})) {
    assertBounded(member, `${where}/${name}`);
  }
}

/** The examples of the document, put together from its members, are what the server's own schemas take. */
function assertExamples(contracts: Record<string, unknown> | undefined, contents: Content | undefined): void {
  for (const [mediaType, { schema, examples }] of Object.entries(contents ?? {})) {
    const zod = schemaIn(contracts?.[mediaType]);
    if (mediaType === "text/html") continue;
    assert.ok(zod, `${mediaType} has a schema`);
    zod.parse(exampleOf(schema, mediaType));
    for (const { value } of Object.values(examples ?? {})) zod.parse(value);
  }
}

function exampleOf(schema: SchemaNode, where: string): unknown {
  const node = resolve(schema);
  if (node.example !== undefined) {
    assert.ok(node.description, `${where} has a description`);
    return node.example;
  }
  if (node.type === "null") return null;
  if (node.allOf) return Object.assign({}, ...node.allOf.map((part) => exampleOf(part, where)));
  if (node.oneOf?.[0]) return exampleOf(node.oneOf[0], where);
  if (node.items) return [exampleOf(node.items, `${where}/items`)];
  assert.ok(node.properties, `${where} has an example`);
  const members = Object.entries(node.properties);
  return Object.fromEntries(members.map(([name, member]) => [name, exampleOf(member, `${where}/${name}`)]));
}

function zodOfParameters(
  route: (typeof routes)[number],
  place: "path" | "query" | "header",
): z.ZodType | null {
  const { params, query, headers } = route.request ?? {};
  const found: unknown = { path: params, query, header: headers }[place];
  return found instanceof z.ZodType ? found : null;
}

function schemaIn(content: unknown): z.ZodType | null {
  const isFound = typeof content === "object" && content !== null && "schema" in content;
  return isFound && content.schema instanceof z.ZodType ? content.schema : null;
}
