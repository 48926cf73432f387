// The rule between releases, change by change: what breaks clients, what they are only told of, what does them no harm.

import assert from "node:assert/strict";
import { z } from "@hono/zod-openapi";
import { compareDocuments, printChange } from "./compatibility.ts";
import { printed } from "./contract_document.ts";
import { copy, drop, type Edit, push, remove, rename, set } from "./document_edit.ts";

/** What becomes of a change; `where` and `says` stand in the words for it. */
interface Row {
  readonly name: string;
  readonly edits: readonly Edit[];
  readonly verdict: "breaks" | "notice" | "harmless";
  readonly where?: string;
  readonly says?: RegExp;
}

const me = ["paths", "/api/v1/me"];
const login = ["paths", "/api/v1/auth/login", "post"];
const register = ["paths", "/api/v1/auth/register", "post"];
const refresh = ["paths", "/api/v1/auth/token/refresh", "post"];
const users = ["paths", "/api/v1/users", "get"];
const problem = ["paths", "/problems/{code}", "get"];
const verify = ["paths", "/api/v1/auth/token/verify", "post"];
const sessions = ["paths", "/api/v1/me/sessions"];
const logout = ["paths", "/api/v1/auth/logout", "post"];
const json = ["content", "application/json"];
const schema = [...json, "schema"];
const loginBody = [...login, "requestBody", ...schema];
const registerBody = [...register, "requestBody", ...schema];
const patchBody = [...me, "patch", "requestBody", ...schema];
const codesOf401 = [...refresh, "responses", "401", "content", "application/problem+json", "examples"];
const User = ["components", "schemas", "User"];
const Tokens = ["components", "schemas", "Tokens"];
const Challenge = ["components", "schemas", "Challenge"];

/** The paths that the table changes: less to compare, in each of so many processes. */
const kept = [me, login, logout, register, refresh, users, problem, verify, sessions].map(([, path = ""]) =>
  path
);

const rows: readonly Row[] = [
  // Operations.
  {
    name: "a path goes",
    edits: [remove(me)],
    verdict: "breaks",
    where: "/api/v1/me",
    says: /`\/api\/v1\/me` was removed/,
  },
  { name: "a path moves", edits: [rename(me, "/api/v1/account")], verdict: "breaks", says: /renamed/ },
  {
    name: "an operation goes",
    edits: [remove([...me, "patch"])],
    verdict: "breaks",
    where: "PATCH /api/v1/me (updateMe)",
    says: /404 or 405/,
  },
  { name: "an operation takes another method", edits: [rename([...me, "patch"], "put")], verdict: "breaks" },
  {
    name: "an operationId changes",
    edits: [set([...login, "operationId"], "signIn")],
    verdict: "breaks",
    says: /'login' to 'signIn'/,
  },
  { name: "a path comes", edits: [copy(me, ["paths", "/api/v1/me/too"])], verdict: "harmless" },
  { name: "an operation comes", edits: [copy([...me, "get"], [...me, "put"])], verdict: "harmless" },
  {
    name: "an operation is called deprecated",
    edits: [set([...login, "deprecated"], true)],
    verdict: "harmless",
  },
  {
    name: "texts, tags and their order change",
    edits: [set([...login, "description"], "Other words."), set([...login, "tags"], ["Account"])],
    verdict: "harmless",
  },
  {
    name: "a path parameter gets another name",
    edits: [
      rename(problem.slice(0, 2), "/problems/{name}"),
      set(["paths", "/problems/{name}", "get", "parameters", "0", "name"], "name"),
    ],
    verdict: "harmless",
  },
  // Security and servers.
  {
    name: "a token becomes due",
    edits: [set([...login, "security"], [{ bearer: [] }])],
    verdict: "breaks",
    says: /get 401/,
  },
  {
    name: "another scheme is due",
    edits: [set(["components", "securitySchemes", "bearer", "scheme"], "dpop")],
    verdict: "breaks",
  },
  {
    name: "no token is due any more",
    edits: [set([...me, "get", "security"], [])],
    verdict: "notice",
    says: /meant/,
  },
  {
    name: "the server moves",
    edits: [set(["servers", "0", "url"], "/v2")],
    verdict: "breaks",
    where: "Everywhere",
  },
  // Statuses and codes.
  {
    name: "a status goes",
    edits: [remove([...login, "responses", "403"])],
    verdict: "breaks",
    where: "POST /api/v1/auth/login (login), answer 403",
  },
  {
    name: "success gets another status",
    edits: [rename([...login, "responses", "200"], "201")],
    verdict: "breaks",
  },
  {
    name: "a second success comes",
    edits: [copy([...login, "responses", "200"], [...login, "responses", "202"])],
    verdict: "breaks",
    says: /Success can be `202` too/,
  },
  {
    name: "a refusal gets another status",
    edits: [rename([...login, "responses", "403"], "409")],
    verdict: "breaks",
  },
  {
    name: "a status comes",
    edits: [copy([...login, "responses", "403"], [...login, "responses", "409"])],
    verdict: "notice",
    says: /`409` was added/,
  },
  {
    name: "a code goes",
    edits: [remove([...codesOf401, "refresh_token_reused"])],
    verdict: "breaks",
    where: "POST /api/v1/auth/token/refresh (refreshTokens), answer 401",
    says: /Code `refresh_token_reused` was removed/,
  },
  {
    name: "a code gets another name",
    edits: [rename([...codesOf401, "refresh_token_reused"], "refresh_token_used")],
    verdict: "breaks",
    says: /Code `refresh_token_reused` was removed/,
  },
  {
    name: "a code comes",
    edits: [copy([...codesOf401, "refresh_token_reused"], [...codesOf401, "refresh_token_expired"])],
    verdict: "notice",
    says: /Code `refresh_token_expired` was added/,
  },
  // Requests: what was taken must be taken.
  {
    name: "a required member comes",
    edits: [
      set([...loginBody, "properties", "captcha"], { type: "string" }),
      push([...loginBody, "required"], "captcha"),
    ],
    verdict: "breaks",
    where: "POST /api/v1/auth/login (login), request",
    says: /became required: `captcha`/,
  },
  {
    name: "an optional member comes",
    edits: [set([...loginBody, "properties", "captcha"], { type: "string" })],
    verdict: "harmless",
  },
  {
    name: "a member becomes required",
    edits: [push([...registerBody, "required"], "username")],
    verdict: "breaks",
  },
  {
    name: "a member becomes optional",
    edits: [drop([...loginBody, "required"], "password")],
    verdict: "harmless",
  },
  {
    name: "a member of a request goes",
    edits: [remove([...registerBody, "properties", "name"])],
    verdict: "breaks",
  },
  {
    name: "a member of a request gets another name",
    edits: [rename([...registerBody, "properties", "name"], "full_name")],
    verdict: "breaks",
  },
  {
    name: "null is refused",
    edits: [set([...patchBody, "properties", "name", "type"], "string")],
    verdict: "breaks",
  },
  {
    name: "null is taken",
    edits: [set([...loginBody, "properties", "password", "type"], ["string", "null"])],
    verdict: "harmless",
  },
  {
    name: "a member of a request gets another type",
    edits: [set([...loginBody, "properties", "password", "type"], "integer")],
    verdict: "breaks",
  },
  {
    name: "a limit is lowered",
    edits: [set([...registerBody, "properties", "locale", "maxLength"], 5)],
    verdict: "breaks",
    says: /`maxLength` of `locale` changed from '35' to '5'/,
  },
  {
    name: "a limit is raised",
    edits: [set([...registerBody, "properties", "locale", "maxLength"], 99)],
    verdict: "harmless",
  },
  { name: "a limit comes", edits: [set([...loginBody, "minProperties"], 2)], verdict: "breaks" },
  {
    name: "a pattern changes",
    edits: [set([...registerBody, "properties", "username", "pattern"], "^[a-z]+$")],
    verdict: "breaks",
  },
  {
    name: "a pattern goes",
    edits: [remove([...registerBody, "properties", "username", "pattern"])],
    verdict: "harmless",
  },
  {
    name: "a body becomes required",
    edits: [set([...logout, "requestBody", "required"], true)],
    verdict: "breaks",
    where: "POST /api/v1/auth/logout (logout), request",
  },
  {
    name: "a required body comes",
    edits: [copy([...login, "requestBody"], [...sessions, "delete", "requestBody"])],
    verdict: "breaks",
    says: /request body became required/,
  },
  {
    name: "another media type is due",
    edits: [rename([...login, "requestBody", ...json], "application/x-www-form-urlencoded")],
    verdict: "breaks",
  },
  {
    name: "a filter goes",
    edits: [remove([...users, "parameters", "0"])],
    verdict: "breaks",
    says: /`q` query parameter/,
  },
  {
    name: "a filter becomes required",
    edits: [set([...users, "parameters", "0", "required"], true)],
    verdict: "breaks",
  },
  {
    name: "an optional filter comes",
    edits: [push([...users, "parameters"], { name: "z", in: "query", schema: { type: "string" } })],
    verdict: "harmless",
  },
  {
    name: "a filter loses a value",
    edits: [drop([...users, "parameters", "1", "schema", "enum"], "admin")],
    verdict: "breaks",
    says: /lost values: 'admin'/,
  },
  {
    name: "a filter gains a value",
    edits: [push([...users, "parameters", "1", "schema", "enum"], "auditor")],
    verdict: "harmless",
  },
  {
    name: "a page gets smaller",
    edits: [set([...users, "parameters", "4", "schema", "maximum"], 50)],
    verdict: "breaks",
  },
  // Answers: what was promised must come, and nothing beyond it. A raised limit breaks whoever sized a column by it.
  {
    name: "a member of an answer goes",
    edits: [remove([...User, "properties", "plan"]), drop([...User, "required"], "plan")],
    verdict: "breaks",
    where: "and wherever else User stands",
  },
  {
    name: "a member of an answer gets another name",
    edits: [
      rename([...User, "properties", "plan"], "tier"),
      drop([...User, "required"], "plan"),
      push([...User, "required"], "tier"),
    ],
    verdict: "breaks",
  },
  {
    name: "a member of an answer may be missing",
    edits: [drop([...User, "required"], "plan")],
    verdict: "breaks",
    says: /no longer required/,
  },
  {
    name: "a member of an answer may be null",
    edits: [set([...User, "properties", "plan", "type"], ["string", "null"])],
    verdict: "breaks",
  },
  {
    name: "a member of an answer is null no more",
    edits: [set([...User, "properties", "name", "type"], "string")],
    verdict: "harmless",
  },
  {
    name: "a member of an answer comes",
    edits: [set([...User, "properties", "phone"], { type: "string" }), push([...User, "required"], "phone")],
    verdict: "harmless",
  },
  {
    name: "a member of an answer gets another type",
    edits: [set([...Tokens, "properties", "expires_in", "type"], "string")],
    verdict: "breaks",
  },
  {
    name: "a member of an answer gets another format",
    edits: [set([...User, "properties", "created_at", "format"], "date")],
    verdict: "breaks",
  },
  {
    name: "a limit of an answer is raised",
    edits: [set([...User, "properties", "email", "maxLength"], 500)],
    verdict: "breaks",
  },
  {
    name: "an answer gains a value",
    edits: [push([...Challenge, "properties", "purpose", "enum"], "phone_change")],
    verdict: "notice",
    says: /gained values: 'phone_change'/,
  },
  {
    name: "an answer loses a value",
    edits: [drop([...Challenge, "properties", "purpose", "enum"], "email_change")],
    verdict: "harmless",
  },
  {
    name: "a value of an answer becomes another",
    edits: [set([...Tokens, "properties", "token_type", "enum"], ["DPoP"])],
    verdict: "breaks",
  },
  {
    name: "an answer may have another form",
    edits: [push([...verify, "responses", "200", ...schema, "oneOf"], { $ref: "#/components/schemas/User" })],
    verdict: "breaks",
  },
  {
    name: "an answer loses a media type",
    edits: [remove([...problem, "responses", "200", "content", "text/html"])],
    verdict: "breaks",
  },
  {
    name: "an answer loses its body",
    edits: [remove([...login, "responses", "200", "content"])],
    verdict: "breaks",
  },
  {
    name: "an answer loses a header",
    edits: [remove([...login, "responses", "429", "headers", "Retry-After"])],
    verdict: "breaks",
  },
  {
    name: "an answer gains a header",
    edits: [
      copy([...me, "get", "responses", "200", "headers", "ETag"], [
        ...login,
        "responses",
        "200",
        "headers",
        "ETag",
      ]),
    ],
    verdict: "harmless",
  },
];

for (const { name, edits, verdict, where = "", says = /./ } of rows) {
  Deno.test(`compatibility: ${name}: ${verdict}`, async () => {
    const document = z.object({ paths: z.record(z.string(), z.unknown()) }).loose().parse(
      JSON.parse(printed),
    );
    document.paths = Object.fromEntries(kept.map((path) => [path, document.paths[path]]));
    const before = JSON.stringify(document);
    for (const edit of edits) edit(document);
    const { breaks, notices } = await compareDocuments({
      released: before,
      current: JSON.stringify(document),
    });
    assert.equal(breaks.length > 0 ? "breaks" : notices.length > 0 ? "notice" : "harmless", verdict);
    const text = [...breaks, ...notices].map(printChange).join("\n");
    if (verdict !== "harmless") assert.match(text, says);
    assert.ok(text.includes(where), text);
    assert.doesNotMatch(text, /It breaks the rule/, "the rule has a reason in compatibility.ts");
  });
}
