// The rule between releases, for what can be called, by whom, and how it can end: operations, security, statuses, codes.

import { codesOf401, login, me, problem, proveRows } from "./compatibility_rows.ts";
import { copy, remove, rename, set } from "./document_edit.ts";

proveRows([
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
]);
