// What a 422 says: a code of the contract's list and a sentence of ours, for every member of every request; and what
// the document shows as an example, the server says.

import assert from "node:assert/strict";
import { type RouteConfig, z } from "@hono/zod-openapi";
import { updateMe } from "../openapi/account.ts";
import { listAuditEvents } from "../openapi/audit.ts";
import { routes } from "../openapi/document.ts";
import { isFaultCode } from "../openapi/fault.ts";
import { createNote, readNote } from "../openapi/notes.ts";
import { changePassword, confirmPasswordReset } from "../openapi/passwords.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { login } from "../openapi/sessions.ts";
import { listUsers, updateUser } from "../openapi/users.ts";
import { toFaults } from "../src/validation.ts";
import { committed } from "./document_schemas.ts";
import { type CallInput, PASSWORD, startServer, UNKNOWN_ID, UNLIMITED } from "./harness.ts";
import { signUpAdmin } from "./person.ts";

const EMAIL = "ada@example.org";
const ADDRESS_SENTENCE =
  "Must be an email address with an ASCII local part, without surrounding spaces or look-alike characters";
const ID_SENTENCE = "Must be an id as Latchkey gives it";

type Row = readonly [
  name: string,
  route: RouteConfig,
  input: CallInput,
  fault: readonly [pointer: string, code: string, message: string],
];

const rows: readonly Row[] = [
  ["no member", login, { json: { email: EMAIL } }, ["/password", "invalid_type", "Is missing"]],
  ["no body", createNote, { headers: {} }, ["/title", "invalid_type", "Is missing"]],
  ["a list as body", login, { json: [] }, ["", "invalid_type", "Must be an object"]],
  ["null as body", login, { json: null }, ["", "invalid_type", "Must be an object"]],
  ["a number for a text", login, { json: { email: EMAIL, password: 7 } }, [
    "/password",
    "invalid_type",
    "Must be text",
  ]],
  ["null for an address", login, { json: { email: null, password: PASSWORD } }, [
    "/email",
    "invalid_type",
    "Must be text",
  ]],
  ["no address", login, { json: { email: "ada", password: PASSWORD } }, [
    "/email",
    "invalid_format",
    ADDRESS_SENTENCE,
  ]],
  ["an empty text", login, { json: { email: EMAIL, password: "" } }, [
    "/password",
    "too_small",
    "Must have at least 1 character",
  ]],
  ["a short text", register, { json: { email: EMAIL, password: PASSWORD, username: "ab" } }, [
    "/username",
    "too_small",
    "Must have at least 3 characters",
  ]],
  ["a long text", login, { json: { email: EMAIL, password: "a".repeat(1025) } }, [
    "/password",
    "too_big",
    "Must have at most 1024 characters",
  ]],
  ["an unknown member", login, { json: { email: EMAIL, password: PASSWORD, "a/b": 1 } }, [
    "/a~1b",
    "unrecognized_keys",
    "Is not known here: leave it out",
  ]],
  ["another confirmation", register, { json: { email: EMAIL, password: PASSWORD, password_confirm: "x" } }, [
    "/password_confirm",
    "confirmation_differs",
    "Must be the same as password",
  ]],
  ["another confirmation of a change", changePassword, {
    json: { current_password: PASSWORD, new_password: "blue-lantern-55", new_password_confirm: "x" },
  }, ["/new_password_confirm", "confirmation_differs", "Must be the same as new_password"]],
  ["another confirmation of a reset", confirmPasswordReset, {
    json: { reset_token: "t", new_password: "blue-lantern-55", new_password_confirm: "x" },
  }, ["/new_password_confirm", "confirmation_differs", "Must be the same as new_password"]],
  ["an empty change", updateMe, { json: {} }, ["", "nothing_to_change", "Names nothing to change"]],
  ["an empty change of a user", updateUser, { params: { user_id: UNKNOWN_ID }, json: {} }, [
    "",
    "nothing_to_change",
    "Names nothing to change",
  ]],
  ["none of a few values", updateUser, { params: { user_id: UNKNOWN_ID }, json: { role: "root" } }, [
    "/role",
    "invalid_value",
    "Must be one of: user, admin",
  ]],
  ["none of many values", listAuditEvents, { query: { type: "nothing" } }, [
    "/query/type",
    "invalid_value",
    "Must be one of those in the contract",
  ]],
  ["no id", verifyOtp, { json: { challenge_id: "7", code: "123456" } }, [
    "/challenge_id",
    "invalid_format",
    ID_SENTENCE,
  ]],
  ["no id in the path", readNote, { params: { note_id: "7" } }, [
    "/param/note_id",
    "invalid_format",
    ID_SENTENCE,
  ]],
  ["no code", verifyOtp, { json: { challenge_id: UNKNOWN_ID, code: "12" } }, [
    "/code",
    "invalid_format",
    "Must be 6 digits, or 10 letters and digits",
  ]],
  ["no limit of a page", listUsers, { query: { limit: "0" } }, [
    "/query/limit",
    "invalid_format",
    "Must be a whole number from 1 to 100",
  ]],
];

Deno.test("validation: says in plain words what would fit", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const { accessToken: token } = await signUpAdmin(server, "root@example.org");
  for (const [name, route, input, [pointer, code, message]] of rows) {
    await t.step(name, async () => {
      const { status, body } = await server.call(route, { token, ...input });
      assert.equal(status, 422);
      assert.deepEqual(body.errors, [{ pointer, code, message }]);
    });
  }
});

/** What does not fit somewhere in every request. */
const MISFITS: readonly unknown[] = [
  undefined,
  null,
  7,
  0.5,
  true,
  [],
  {},
  "",
  "a",
  " a\u0000",
  "\uD800",
  "a".repeat(5_000),
];

/** Of zod's own sentences. */
const FOREIGN = /^Invalid|expected|received|^Too |>=|<=|Unrecognized|must match/;

Deno.test("validation: no member of any request is refused in words that are not ours", () => {
  let count = 0;
  for (const { operationId, request = {} } of routes) {
    // Contracts of ours hold zod objects only.
    const content = request.body?.content as Readonly<Record<string, { schema: z.ZodObject }>> | undefined;
    const { params, query } = request as { params?: z.ZodObject; query?: z.ZodObject };
    const parts = [content?.["application/json"]?.schema, params, query];
    for (const schema of parts.filter((part) => part !== undefined)) {
      const inputs = Object.keys(schema.shape).flatMap((member) =>
        MISFITS.map((value) => ({ [member]: value }))
      );
      for (const data of [...MISFITS, ...inputs, { unknown_member: 1 }]) {
        const { error } = schema.safeParse(data);
        for (const { code, message } of error ? toFaults({ data, error }) : []) {
          count++;
          assert(!FOREIGN.test(message), `${operationId}: ${message}`);
          assert(isFaultCode(code), `${operationId}: ${code}`);
          assert(message.length > 0 && message.length <= 500, `${operationId}: ${message}`);
        }
      }
    }
  }
  assert(count > 1_000, String(count));
});

Deno.test("validation: sentences for what no request of ours has", () => {
  const schema = z.object({
    count: z.int().min(3),
    tags: z.array(z.string()).max(1),
    flag: z.boolean(),
    when: z.date(),
    either: z.union([z.literal(1), z.literal(2)]),
    own: z.string().refine(() => false, "Must rhyme"),
  });
  const data = { count: 1, tags: ["a", "b"], flag: "yes", when: "now", either: 3, own: "a" };
  const { error } = schema.safeParse(data);
  assert(error);
  assert.deepEqual(toFaults({ target: "json", data, error }), [
    { pointer: "/count", code: "too_small", message: "Must be at least 3" },
    { pointer: "/tags", code: "too_big", message: "Must have at most 1 item" },
    { pointer: "/flag", code: "invalid_type", message: "Must be true or false" },
    { pointer: "/when", code: "invalid_type", message: "Must be of another type" },
    { pointer: "/either", code: "invalid_value", message: "Does not fit" },
    { pointer: "/own", code: "invalid_value", message: "Must rhyme" },
  ]);
});

Deno.test("validation: the examples of the document are what the server says", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const { content } = committed.paths["/api/v1/auth/login"]?.post?.responses["422"] ?? {};
  const { errors } = content?.["application/problem+json"]?.examples?.["validation_failed"]?.value as {
    errors: unknown;
  };
  const unknown = await server.call(login, { json: { email: EMAIL, password: PASSWORD, name: "Ada" } });
  assert.deepEqual(unknown.body.errors, errors);

  const { Fault, Problem } = committed.components.schemas;
  const example = (schema: typeof Fault, member: string): unknown => schema?.properties?.[member]?.example;
  const noAddress = await server.call(login, { json: { email: "ada", password: PASSWORD } });
  assert.deepEqual(noAddress.body.errors, [{
    pointer: example(Fault, "pointer"),
    code: example(Fault, "code"),
    message: example(Fault, "message"),
  }]);
  const noJson = await server.request("/api/v1/auth/login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{",
  });
  assert.equal((await noJson.json()).detail, example(Problem, "detail"));
});

Deno.test("validation: a body that cannot be read is told why", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const unreadable: readonly (readonly [body: BodyInit, detail: string])[] = [
    ["{", "The body is not JSON"],
    ['{"email": "a", "email": "a"}', "The body names a member twice"],
    [Uint8Array.of(0x22, 0xff, 0x22), "The body is not UTF-8"],
  ];
  for (const [body, detail] of unreadable) {
    await t.step(detail, async () => {
      const headers = { "content-type": "application/json" };
      const response = await server.request("/api/v1/auth/login", { method: "POST", headers, body });
      assert.equal(response.status, 400);
      const problem = await response.json();
      assert.deepEqual([problem.code, problem.detail], ["body_malformed", detail]);
    });
  }
});
