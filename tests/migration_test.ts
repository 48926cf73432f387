// openapi/migration.md, held against the contract: whoever moves in by this page finds every operation, payload,
// setting and command that it names.

import assert from "node:assert/strict";
import type { RouteConfig, z } from "@hono/zod-openapi";
import { isProblemCode, Problem, problemTable } from "../openapi/problem.ts";
import { readConfig, settings } from "../src/config.ts";
import { createHasher } from "../src/hasher.ts";
import { ANYBODY } from "../src/new_password.ts";
import { passwordFault } from "../src/password.ts";
import { PASSWORD } from "./harness.ts";
import { createSite } from "./process.ts";
import { assertCommands, assertOperations, findRoute, readPage, spansOf } from "./written_page.ts";

const page = await readPage("openapi/migration.md");

/** What projects with a Django backend call theirs. */
const ENDPOINTS = [
  "sign-up",
  "register",
  "users/",
  "verify-otp",
  "resend-otp",
  "login",
  "jwt/create",
  "token/refresh",
  "jwt/refresh",
  "jwt/verify",
  "logout",
  "profile",
  "me",
  "users",
  "email_request",
  "check_otp",
  "reset_password",
  "password-reset-request",
  "password-reset-confirm",
  "password/reset/",
  "delete-account-request",
  "delete-account-confirm",
  "update details",
];

/** One table of the page: its head and its rows, as cells. */
interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const tables = page.matchAll(/(?:^ *\|.*\|\n){3,}/gm).map(([text]): Table => {
  const [head = [], , ...rows] = text.trim().split("\n").map((line) =>
    line.trim().slice(1, -1).split("|").map((cell) => cell.trim())
  );
  return { head, rows };
}).toArray();

const section = (title: string): string => page.split(/^## /m).find((part) => part.startsWith(title)) ?? "";

Deno.test("migration: every endpoint of a Django backend is on the map", () => {
  const mapped = tables[0]?.rows.flatMap(([theirs = ""]) =>
    spansOf(theirs).map((span) => span.replace(/^[A-Z]+ /, ""))
  );
  assert.deepEqual(ENDPOINTS.filter((endpoint) => !mapped?.includes(endpoint)), []);
});

Deno.test("migration: every operation it names is in the contract, under the id it names", () => {
  assert(assertOperations(page) > 30);
  for (const [, span = "", operationId] of page.matchAll(/`([A-Z]+ \/[^`]+)` \(`(\w+)`\)/g)) {
    assert.equal(findRoute(span)?.operationId, operationId, span);
  }
  for (const row of tables[0]?.rows ?? []) assert.match(row[1] ?? "", /^`[A-Z]+ \/[^`]+` \(`\w+`\)/);
});

/** The record that `User` stands for. */
const [, userText = ""] = /200 `(\{"id": "[^`]+)`/.exec(page) ?? [];

/** The payload that a span stands for, its tokens as long as tokens are. */
function parse(span: string): unknown {
  const whole = span.replaceAll(/(?<=[:[] ?)User\b|^User$/g, userText);
  return JSON.parse(whole.replaceAll("eyJ…", "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0").replaceAll("…", "c2lnbmF0"));
}

const isPayload = (span: string): boolean => /^[{[]|^User$/.test(span);

/** The schema of the one media type that a body or an answer has. */
function schemaOf(content: object | undefined): z.ZodType | undefined {
  // A contract of ours holds zod schemas only.
  return (Object.values(content ?? {})[0] as { readonly schema: z.ZodType } | undefined)?.schema;
}

function assertFits(schema: z.ZodType | undefined, span: string, what: string): void {
  const payload = parse(span);
  const parsed = schema?.safeParse(payload);
  assert(parsed?.success, `${what}: ${span} does not fit: ${parsed?.error?.message}`);
  assert.deepEqual(parsed.data, payload, what);
}

const exchanges = tables.filter(({ head }) => head[0] === "" && head.length === 3);

for (const { head: [, before = "", ours = ""], rows } of exchanges) {
  Deno.test(`migration: the payloads of ${ours.slice(1, -1)} fit the contract`, () => {
    const route = findRoute(ours.slice(1, -1));
    assert(route, ours);
    assert.match(before, /^Before: /);
    for (const [kind = "", theirs = "", after = ""] of rows) {
      const what = `${kind} of ${ours}`;
      for (const span of spansOf(theirs).filter(isPayload)) parse(span);
      const payload = spansOf(after).find(isPayload);
      if (kind === "request") {
        assert(payload, what);
        assertFits(schemaOf(route.request?.body?.content), payload, what);
        continue;
      }
      const status = after.slice(0, 3);
      const declaration: RouteConfig["responses"][string] | undefined = route.responses[status];
      assert(declaration && !("$ref" in declaration), `${what} is ${status}`);
      assert.equal(payload !== undefined, declaration.content !== undefined, what);
      if (payload) assertFits(schemaOf(declaration.content), payload, what);
    }
  });
}

Deno.test("migration: every payload is JSON, and every problem one that the server would answer", () => {
  const payloads = spansOf(page).filter(isPayload).map(parse);
  const found = payloads.filter((payload) => /\/problems\//.test(JSON.stringify(payload)));
  assert(exchanges.length > 12 && found.length > 6);
  for (const payload of found) {
    const { code, status, title, type } = Problem.strict().parse(payload);
    assert(isProblemCode(code));
    const [dueStatus, dueTitle] = problemTable[code];
    assert.deepEqual([status, title, type.split("/").at(-1)], [dueStatus, dueTitle, code]);
  }
});

Deno.test("migration: every setting it names is one, with a value that works", () => {
  const rows = tables.find(({ head }) => head[0] === "Django")?.rows ?? [];
  const named = rows.flatMap(([, ours = "", notes = ""]) => [...spansOf(ours), ...spansOf(notes)])
    .filter((span) => /^[A-Z_]+(=|$)/.test(span) && span !== "DEFAULT_FROM_EMAIL");
  assert(named.length > 15);
  for (const span of named) {
    const [name = "", ...value] = span.split("=");
    assert(name in settings, `${name} is no setting`);
    const result = readConfig({ [name]: value.join("=") });
    assert("config" in result, JSON.stringify(result));
  }
  for (const span of spansOf(section("The day itself")).filter((span) => /^[A-Z_]+$/.test(span))) {
    assert(span in settings, `${span} is no setting`);
  }
  const ours = readConfig({});
  const same = readConfig({ OTP_TTL: "10m", REFRESH_TOKEN_TTL: "24h", SESSION_MAX_AGE: "30d" });
  assert.deepEqual(ours, same, "Defaults that the page tells of");
});

Deno.test("migration: the pattern against digits alone does what it says", async () => {
  const [, pattern = ""] = /`PASSWORD_PATTERN=([^`]+)`/.exec(page) ?? [];
  const result = readConfig({ PASSWORD_PATTERN: pattern });
  assert("config" in result);
  const { appName, passwordLengthMin: lengthMin, passwordPattern } = result.config;
  const context = { ...ANYBODY, appName, lengthMin, pattern: passwordPattern };
  assert.equal((await passwordFault("48271993", context))?.code, "password_pattern");
  assert.equal(await passwordFault("4827199x", context), null);
});

Deno.test("migration: every command is a task, and takes the options that the page gives it", async () => {
  await using site = await createSite();
  await assertCommands(site, page, { mainTask: "users:import" });
});

Deno.test("migration: on the way back, a hash of ours is one of Django's form behind `argon2`", async () => {
  const hasher = await createHasher();
  const hash = `argon2${await hasher.hash(PASSWORD)}`;
  assert.match(hash, /^argon2\$argon2id\$v=19\$/);
  assert.equal(await hasher.verify(PASSWORD, hash), true);
  assert.equal(await hasher.verify("amber-kettle-81", hash), false);
});
