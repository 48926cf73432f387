// The OpenAPI document as a promise: fresh, valid, complete. What each operation promises is in
// contract_operations_test.ts, and the rules of others in contract_lint_test.ts.

import assert from "node:assert/strict";
import { Validator } from "@seriousme/openapi-schema-validator";
import { routes } from "../openapi/document.ts";
import { Problem, type ProblemCode, problemCodes, problems } from "../openapi/problem.ts";
import { codesOf, document, operationOf, printed } from "./contract_document.ts";

Deno.test("openapi.json is fresh", async () => {
  const committed = await Deno.readTextFile(new URL("../openapi/openapi.json", import.meta.url));
  assert.ok(committed === printed, "openapi/openapi.json is stale: run `deno task contract`");
});

Deno.test("the document is valid OpenAPI 3.1", async () => {
  const { valid, errors } = await new Validator().validate(JSON.parse(printed));
  assert.ok(valid, JSON.stringify(errors, null, 2));
});

Deno.test("what a text names as an operation is one", () => {
  const operationIds = routes.map(({ operationId }) => operationId);
  const named = [...printed.matchAll(/`([a-z]+[A-Z][A-Za-z]*)`/g)].map(([, name]) => name);
  assert.ok(named.length > 0);
  assert.deepEqual(named.filter((name) => !operationIds.includes(name)), []);
});

Deno.test("who starts a flow is told which operation takes the code", () => {
  const starts = routes.map(operationOf).filter(({ responses }) =>
    responses[202]?.content?.["application/json"]?.schema.$ref === "#/components/schemas/Challenge"
  );
  assert.ok(starts.length > 0);
  for (const { operationId, description } of starts) {
    assert.match(`${operationId}: ${description}`, /`(verify|confirm)[A-Z]\w+`|any purpose/);
  }
});

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
