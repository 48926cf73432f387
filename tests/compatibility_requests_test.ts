// The rule between releases, for requests: what was taken must be taken.

import {
  json,
  login,
  loginBody,
  logout,
  patchBody,
  proveRows,
  registerBody,
  sessions,
  users,
} from "./compatibility_rows.ts";
import { copy, drop, push, remove, rename, set } from "./document_edit.ts";

proveRows([
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
]);
