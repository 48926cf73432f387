// The rule between releases, for answers: what was promised must come, and nothing beyond it. A raised limit breaks
// whoever sized a column by it.

import {
  Challenge,
  login,
  me,
  problem,
  proveRows,
  schema,
  Tokens,
  User,
  verify,
} from "./compatibility_rows.ts";
import { copy, drop, push, remove, rename, set } from "./document_edit.ts";

proveRows([
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
]);
