// The OpenAPI document as a promise: fresh, valid, complete, bounded, with examples that are true. What a client
// generator, a fuzzer or a person reads there must hold.

import assert from "node:assert/strict";
import { z } from "@hono/zod-openapi";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { Validator } from "@seriousme/openapi-schema-validator";
import { printDocument, routes } from "../openapi/document.ts";
import {
  anyRoute,
  bodyRoute,
  Problem,
  type ProblemCode,
  problemCodes,
  problems,
  signedInRoute,
} from "../openapi/problem.ts";

/** What is read here of a JSON Schema. */
interface SchemaNode {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly example?: unknown;
  readonly enum?: readonly unknown[];
  readonly maxLength?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly description?: string;
  readonly additionalProperties?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly allOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
}

interface Content {
  readonly [mediaType: string]: {
    readonly schema: SchemaNode;
    readonly examples?: Record<string, { value: unknown }>;
  };
}

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly security?: readonly unknown[];
  readonly tags?: readonly string[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly schema: SchemaNode;
  }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description?: string; readonly content?: Content }>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, SchemaNode>> };
  readonly tags: readonly { readonly name: string }[];
}

const printed = printDocument(routes);
// Two validators below say that it has this form.
const document = JSON.parse(printed) as Document;

Deno.test("openapi.json is fresh", async () => {
  const committed = await Deno.readTextFile(new URL("../openapi/openapi.json", import.meta.url));
  assert.ok(committed === printed, "openapi/openapi.json is stale: run `deno task contract`");
});

Deno.test("the document is valid OpenAPI 3.1", async () => {
  const { valid, errors } = await new Validator().validate(JSON.parse(printed));
  assert.ok(valid, JSON.stringify(errors, null, 2));
});

Deno.test("the document has no fault by the rules that redocly recommends", async () => {
  const config = await createConfig({
    extends: ["recommended"],
    rules: {
      // Health, readiness, keys and docs refuse nothing. What is asked of all others is a test of its own.
      "operation-4xx-response": "off",
    },
  });
  const faults = await lintFromString({ source: printed, absoluteRef: "openapi.json", config });
  assert.deepEqual(
    faults.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer}`),
    [],
  );
});

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

Deno.test("operation ids are unique", () => {
  const operationIds = routes.map(({ operationId }) => operationId);
  assert.equal(new Set(operationIds).size, routes.length);
});

/** Codes that no operation declares, and why. */
const undeclared: Partial<Record<ProblemCode, string>> = {
  method_not_allowed: "belongs to a path, not to an operation; the guide names it",
};

Deno.test("every code of the table is declared somewhere, or said why not", () => {
  const declared = Object.values(document.paths).flatMap((methods) => Object.values(methods)).flatMap(
    codesOf,
  );
  assert.deepEqual(
    problemCodes.filter((code) => !declared.includes(code)).sort(),
    Object.keys(undeclared).sort(),
  );
});

Deno.test("problems groups codes by status, with the headers which that status owes", () => {
  const responses = problems("otp_invalid", "body_malformed", "token_missing", "unavailable");
  assert.deepEqual(Object.keys(responses), ["400", "401", "503"]);
  assert.deepEqual(Object.keys(responses[400].content["application/problem+json"].examples), [
    "body_malformed",
    "otp_invalid",
  ]);
  assert.ok("WWW-Authenticate" in responses[401].headers);
  assert.ok("Retry-After" in responses[503].headers);
  assert.ok(!("Retry-After" in responses[400].headers));
});

Deno.test("a problem says no more than RFC 9457 and the contract name", () => {
  assert.deepEqual(Object.keys(Problem.shape).sort(), [
    "attempts_remaining",
    "code",
    "detail",
    "errors",
    "policy",
    "request_id",
    "retry_after",
    "status",
    "title",
    "type",
  ]);
});

function operationOf({ path, method }: (typeof routes)[number]): Operation {
  const operation = document.paths[path]?.[method];
  assert.ok(operation, `${method} ${path} is in the document`);
  return operation;
}

function codesOf({ responses }: Operation): string[] {
  return Object.values(responses).flatMap(({ content }) =>
    Object.keys(content?.["application/problem+json"]?.examples ?? {})
  );
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

function resolve(schema: SchemaNode): SchemaNode {
  const name = schema.$ref?.replace("#/components/schemas/", "");
  const node = name === undefined ? schema : document.components.schemas[name];
  assert.ok(node, `${schema.$ref} is in the document`);
  return node;
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
