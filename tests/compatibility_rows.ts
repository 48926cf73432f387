// The rule between releases, change by change: what breaks clients, what they are only told of, what does them no harm.
// Each table is a test file of its own; here are the places of the document that they change, and the proof of a row.

import assert from "node:assert/strict";
import { z } from "@hono/zod-openapi";
import { compareDocuments, printChange } from "./compatibility.ts";
import { printed } from "./contract_document.ts";
import type { Edit } from "./document_edit.ts";

/** What becomes of a change; `where` and `says` stand in the words for it. */
export interface Row {
  readonly name: string;
  readonly edits: readonly Edit[];
  readonly verdict: "breaks" | "notice" | "harmless";
  readonly where?: string;
  readonly says?: RegExp;
}

/** Makes a test of each row. */
export function proveRows(rows: readonly Row[]): void {
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
}

// Where in the document: operations, their parts, and schemas.
export const me = ["paths", "/api/v1/me"];
export const login = ["paths", "/api/v1/auth/login", "post"];
const register = ["paths", "/api/v1/auth/register", "post"];
const refresh = ["paths", "/api/v1/auth/token/refresh", "post"];
export const users = ["paths", "/api/v1/users", "get"];
export const problem = ["paths", "/problems/{code}", "get"];
export const verify = ["paths", "/api/v1/auth/token/verify", "post"];
export const sessions = ["paths", "/api/v1/me/sessions"];
export const logout = ["paths", "/api/v1/auth/logout", "post"];
export const json = ["content", "application/json"];
export const schema = [...json, "schema"];
export const loginBody = [...login, "requestBody", ...schema];
export const registerBody = [...register, "requestBody", ...schema];
export const patchBody = [...me, "patch", "requestBody", ...schema];
export const codesOf401 = [...refresh, "responses", "401", "content", "application/problem+json", "examples"];
export const User = ["components", "schemas", "User"];
export const Tokens = ["components", "schemas", "Tokens"];
export const Challenge = ["components", "schemas", "Challenge"];

/** The paths that the tables change: less to compare, in each of so many processes. */
const kept = [me, login, logout, register, refresh, users, problem, verify, sessions].map(([, path = ""]) =>
  path
);
