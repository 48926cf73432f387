// What is due to a made-up request, by the document and the order in which refusals come: method, body size, media
// type, token, role, body syntax, validation. Written from the contract's words, not from the server's code.

import assert from "node:assert/strict";
import { type ProblemCode, problemTable } from "../openapi/problem.ts";
import { gateOf, verdicts } from "./access.ts";
import { resolve } from "./contract_document.ts";
import { type Answer, requireDeclared, requireNotAllowed } from "./document_judge.ts";
import { committed, fits } from "./document_schemas.ts";
import type { Request } from "./fuzz_filling.ts";

const BODY_BYTES_MAX = 64 * 1024;

/** Refusals that only a gate or the reading of a request decides on: none may come where none is due. */
const DECIDED: readonly ProblemCode[] = [
  "method_not_allowed",
  "body_too_large",
  "media_type_unsupported",
  "token_missing",
  "token_invalid",
  "role_insufficient",
  "body_malformed",
];

/** Faults of values that fit their schemas, by code: only words say it. */
const BEYOND_SCHEMAS: Readonly<Record<string, string>> = {
  confirmation_differs: "a confirmation must equal what it confirms",
  cursor_invalid: "a cursor is good only for the list, filters and person that it was made for",
  email_unchanged: "requestEmailChange: the address is the caller's already",
  mail_not_retryable: "retryMail: the mail is not dead, or its content is gone",
  password_unreadable: "a new password has no control characters",
  password_too_short: "a new password is counted after NFC",
  password_too_long: "a new password is counted after NFC",
  password_common: "a new password is not among the common ones",
  password_like_email: "a new password is not built from the address",
  password_like_username: "a new password is not built from the username",
  password_like_name: "a new password is not built from the name",
  password_like_service: "a new password is not built from the name of the service",
};

/** Fails unless the answer is declared, and what is due. */
export function requireDue(request: Request, answer: Answer): void {
  const { operation, method } = request;
  const due = dueTo(request);
  const what = `${method} ${operation.id}, due: ${due}, got: ${answer.status} ${answer.text.slice(0, 300)}`;
  assert(answer.status < 500, what);
  if (due === "method_not_allowed") return requireNotAllowed(operation.path, answer);
  requireDeclared(operation, answer);
  if (due === "open") return;
  if (due !== "nothing") assert.equal(answer.status, problemTable[due][0], what);
  if (answer.status < 400 || method === "HEAD") return;
  const { code, errors = [] } = JSON.parse(answer.text);
  if (due !== "nothing") return assert.equal(code, due, what);
  assert(!DECIDED.includes(code), what);
  assert(operation.isPublic || code !== "account_disabled", what);
  for (const fault of errors) assert(fault.code in BEYOND_SCHEMAS, what);
}

/**
 * The code of the refusal that is due. Nothing: it reaches the handler, which may still refuse it. Open: a rule decides
 * that JSON Schema leaves open.
 */
export function dueTo(request: Request): ProblemCode | "nothing" | "open" {
  const { operation, method, headers, bytes, sender } = request;
  const isHead = method === "HEAD" && operation.method === "GET";
  if (method !== operation.method && !isHead) return "method_not_allowed";
  const isEmpty = !bytes?.length;
  if (operation.bodySchema) {
    if (!isEmpty && bytes.length > BODY_BYTES_MAX) return "body_too_large";
    if (!isJson(headers["content-type"], { isEmpty })) return "media_type_unsupported";
  }
  const verdict = verdicts[gateOf(operation.id)][sender];
  if (verdict !== "passes") return verdict;
  const body = isEmpty ? {} : parse(bytes);
  if (operation.bodySchema && body === undefined) return "body_malformed";
  const parts = [areFitParams(request), isFitQuery(request), isFitBody(request, body)];
  if (parts.includes(false)) return "validation_failed";
  return parts.includes(null) ? "open" : "nothing";
}

function isJson(contentType: string | undefined, { isEmpty }: { readonly isEmpty: boolean }): boolean {
  if (contentType === undefined) return isEmpty;
  return /^application\/json(; *charset=utf-8)?$/i.test(contentType);
}

/** The value; undefined when it is no JSON, no UTF-8, or has a member twice. */
function parse(bytes: Uint8Array): unknown {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    return hasTwice(text, value) ? undefined : value;
  } catch {
    return undefined;
  }
}

/** Whether reading lost a member: each is written as `"name":`, outside of strings. */
function hasTwice(text: string, value: unknown): boolean {
  const written = text.replaceAll(
    /"(?:[^"\\]|\\.)*"(\s*:)?/gs,
    (_, colon: string | undefined) => colon ? ":" : "",
  );
  return written.split(":").length - 1 !== countMembers(value);
}

function countMembers(value: unknown): number {
  let count = 0;
  const open = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next !== "object" || next === null) continue;
    const members = Object.values(next);
    if (!Array.isArray(next)) count += members.length;
    open.push(...members);
  }
  return count;
}

function isFitBody({ operation }: Request, body: unknown): boolean | null {
  if (!operation.bodySchema) return true;
  // Half of a surrogate pair is no Unicode: JSON can write it, and whether a string may hold it is left open.
  const isWellFormed = !/\\ud[89a-f]/i.test(JSON.stringify(body));
  const isFit = fits(operation.bodySchema, body);
  return isFit && !isWellFormed ? null : isFit;
}

function areFitParams({ operation, params }: Request): boolean | null {
  const declared = operation.parameters.filter((parameter) => parameter.in === "path");
  return allOf(declared.map(({ name, schema }) => fits(schema, params[name] ?? "")));
}

/** Parameters that an operation does not name are refused where it names any, and ignored elsewhere. */
function isFitQuery({ operation, query }: Request): boolean | null {
  const declared = operation.parameters.filter((parameter) => parameter.in === "query");
  if (declared.length === 0) return true;
  const names = query.map(([name]) => name);
  const isTwice = new Set(names).size < names.length;
  const isMissing = declared.some(({ name, required }) => required && !names.includes(name));
  if (isTwice || isMissing) return false;
  return allOf(query.map(([name, text]) => {
    const schema = declared.find((parameter) => parameter.name === name)?.schema;
    if (!schema) return false;
    const isNumber = resolve(schema, committed).type === "integer" && /^(0|-?[1-9]\d*)$/.test(text);
    return fits(schema, isNumber ? Number(text) : text);
  }));
}

function allOf(verdicts: readonly (boolean | null)[]): boolean | null {
  if (verdicts.includes(false)) return false;
  return verdicts.includes(null) ? null : true;
}
