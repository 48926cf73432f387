// The committed document as a judge: every answer is held against what a client can read there, headers included.

import assert from "node:assert/strict";
import { type Operation as Described, resolve, type Response, type SchemaNode } from "./contract_document.ts";
import { committed, findMisfit } from "./document_schemas.ts";

/** One operation of the document. */
export interface Operation {
  readonly id: string;
  /** In capitals. */
  readonly method: string;
  readonly path: string;
  /** Nothing has to be proved to use it. */
  readonly isPublic: boolean;
  readonly parameters: NonNullable<Described["parameters"]>;
  /** What its body must fit; null when it takes none. */
  readonly bodySchema: SchemaNode | null;
  /** By status. */
  readonly responses: Described["responses"];
}

/** An answer as it came in, and which method was asked for. */
export interface Answer {
  readonly method: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

const PROBLEM = "application/problem+json";
const ANY_PROBLEM: SchemaNode = { $ref: "#/components/schemas/Problem" };

/** Every operation there is. */
export const operations: readonly Operation[] = Object.entries(committed.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, described]) => ({
    id: described.operationId ?? "",
    method: method.toUpperCase(),
    path,
    isPublic: described.security?.length === 0,
    parameters: described.parameters ?? [],
    bodySchema: described.requestBody?.content["application/json"]?.schema ?? null,
    responses: described.responses,
  }))
);

/** The operation of this name. Fails when there is none. */
export function operationOf(operationId: string): Operation {
  const operation = operations.find(({ id }) => id === operationId);
  assert(operation, `${operationId} is in the document`);
  return operation;
}

/** What its requests consist of: parameters and members of the body. */
export function inputNamesOf({ parameters, bodySchema }: Operation): string[] {
  const members = bodySchema ? resolve(bodySchema, committed).properties : {};
  return [...parameters.map(({ name }) => name), ...Object.keys(members ?? {})];
}

/** Fails unless the document declares this answer: status, media type, headers, every member and the code. */
export function requireDeclared(operation: Operation, answer: Answer): void {
  const what = `${operation.id} answered ${answer.status}: ${answer.text.slice(0, 500)}`;
  const declaration = operation.responses[answer.status];
  assert(declaration, `${what}, which the document does not declare`);
  const promised = Object.keys(declaration.headers ?? {});
  for (const [name, { schema }] of Object.entries(committed.components.headers)) {
    const text = answer.headers.get(name);
    // Limits are told once they were asked: which of several codes of one status comes after that is not declared.
    const isOpen = name.startsWith("RateLimit") && answer.status >= 400 && answer.status !== 429;
    if (text === null) {
      assert(isOpen || !promised.includes(name), `${what}, without ${name}`);
      continue;
    }
    assert(
      promised.includes(name) || isOpen && answer.status >= 500,
      `${what}, with ${name}, which is not declared`,
    );
    const misfit = findMisfit(schema, schema.type === "integer" ? Number(text) : text);
    assert.equal(misfit, null, `${what}, with the ${name} ${text}`);
  }
  requireContent(declaration, answer, what);
}

/** Fails unless it is this problem, as any path may answer it. */
export function requireProblem(answer: Answer, code: string): void {
  const what = `${answer.status} ${answer.text.slice(0, 500)}`;
  const example = { [code]: { value: null } };
  requireContent({ content: { [PROBLEM]: { schema: ANY_PROBLEM, examples: example } } }, answer, what);
}

/** Fails unless it is the refusal of a method that the document does not give this path. */
export function requireNotAllowed(path: string, answer: Answer): void {
  const served = operations.filter((operation) => operation.path === path).map(({ method }) => method);
  if (served.includes("GET")) served.push("HEAD");
  const what = `${answer.method} ${path}: ${answer.status} ${answer.text.slice(0, 500)}`;
  assert.equal(answer.status, 405, what);
  assert.deepEqual(answer.headers.get("allow")?.split(", ").sort(), served.sort(), what);
  requireProblem(answer, "method_not_allowed");
}

function requireContent({ content }: Response, answer: Answer, what: string): void {
  const { method, headers, text } = answer;
  if (!content) {
    assert.equal(text, "", `${what}, with a body`);
    assert.equal(headers.get("content-type"), null, `${what}, with a media type but no body`);
    return;
  }
  const mediaType = headers.get("content-type") ?? "none";
  assert.match(mediaType, /^[^;]+(; *version=[\d.]+)?(; *charset=utf-8)?$/i, what);
  const declared = content[mediaType.split(";")[0] ?? ""];
  assert(declared, `${what}, as ${mediaType}, which the document does not declare`);
  if (method === "HEAD") {
    assert.equal(text, "", `${what}, with a body`);
    return;
  }
  const body: unknown = mediaType.includes("json") ? JSON.parse(text) : text;
  const misfit = findMisfit(declared.schema, body);
  assert(misfit === null, `${what}, which does not fit its schema: ${misfit}`);
  if (mediaType === PROBLEM) requireTrueProblem(answer, body, Object.keys(declared.examples ?? {}), what);
}

/** A problem repeats its status and headers, and has a code that is declared where it was answered. */
function requireTrueProblem(
  { status, headers }: Answer,
  problem: unknown,
  codes: readonly string[],
  what: string,
): void {
  // It fits the schema of problems.
  const { code, type, ...members } = problem as Readonly<Record<string, unknown>>;
  assert(codes.includes(String(code)), `${what}, a code which the document does not declare there`);
  assert(String(type).endsWith(`/problems/${code}`), `${what}, with the page of another code`);
  assert.equal(members.status, status, what);
  assert.equal(members.request_id, headers.get("x-request-id"), what);
  assert.equal(headers.get("cache-control"), "no-store", what);
  assert.equal(headers.has("www-authenticate"), status === 401, what);
  assert.equal(headers.get("retry-after") ?? "", String(members.retry_after ?? ""), what);
  assert.equal("retry_after" in members, status === 429 || status === 503, what);
  assert.equal("policy" in members, code === "rate_limited", what);
  assert.equal("attempts_remaining" in members, code === "otp_invalid", what);
  assert.equal("errors" in members, code === "validation_failed", what);
}
