// Cursors: what one opens, and that nothing else does.

import assert from "node:assert/strict";
import fc from "fast-check";
import { cursor as cursorField } from "../openapi/fields.ts";
import { issueCursor, type ListQuery, openCursor, requirePosition } from "../src/cursor.ts";
import { Problem } from "../src/problem.ts";
import { createSecrets } from "../src/secrets.ts";

const secrets = createSecrets("test-key-of-32-bytes-0123456789abcdef");
const POSITION = "01981f6e-7a4c-7d1e-9b60-2f5d1c8e4a10";
const QUERY: ListQuery = {
  operation: "listUsers",
  userId: "01981f6e-0000-7000-8000-000000000001",
  filters: { q: "ada", role: "admin" },
};

function cursorOf(position: string): string {
  return issueCursor(secrets, QUERY, position) ?? assert.fail("no cursor");
}

Deno.test("cursor: opens for the query that it was made for, in whatever order its filters are named", () => {
  const { operation, userId } = QUERY;
  const cursor = cursorOf(POSITION);
  assert.equal(openCursor(secrets, QUERY, cursor), POSITION);
  const filters = { role: "admin", status: undefined, q: "ada" };
  assert.equal(openCursor(secrets, { userId, operation, filters }, cursor), POSITION);
});

Deno.test("cursor: gives back any position, within the limit of the contract", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme-ascii", maxLength: 350 }), (position) => {
    const cursor = cursorOf(position);
    assert.equal(cursorField.parse(cursor), cursor);
    assert.equal(openCursor(secrets, QUERY, cursor), position);
  }));
});

Deno.test("cursor: tells nothing of its position, and is another one each time", () => {
  const [first, second] = [cursorOf(POSITION), cursorOf(POSITION)];
  assert.notEqual(first, second);
  const bytes = Uint8Array.fromBase64(first, { alphabet: "base64url" });
  assert.doesNotMatch(new TextDecoder("latin1").decode(bytes), /0198|4a10/);
});

Deno.test("cursor: there is none after the last page, and none asks for the first", () => {
  assert.equal(issueCursor(secrets, QUERY, null), null);
  assert.equal(requirePosition(secrets, QUERY, undefined), null);
});

Deno.test("cursor: refuses any alteration, of the last bit too", () => {
  const alphabet = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"];
  // Three lengths, since base64 ends in three ways.
  for (const position of ["7", "77", "777"]) {
    const cursor = cursorOf(position);
    for (let at = 0; at < cursor.length; at++) {
      const [head, tail] = [cursor.slice(0, at), cursor.slice(at + 1)];
      const altered = alphabet.filter((character) => character !== cursor[at]).map((other) =>
        head + other + tail
      );
      for (const other of [...altered, head, `${cursor}A`]) {
        assert.equal(openCursor(secrets, QUERY, other), null, other);
      }
    }
  }
});

Deno.test("cursor: refuses whatever somebody makes up", () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  const encoded = bytes.map((made) => made.toBase64({ alphabet: "base64url", omitPadding: true }));
  fc.assert(fc.property(fc.oneof(fc.string({ unit: "binary" }), encoded), (cursor) => {
    assert.equal(openCursor(secrets, QUERY, cursor), null);
  }));
});

const strangers: readonly { name: string; query: ListQuery }[] = [
  { name: "another operation", query: { ...QUERY, operation: "listNotes" } },
  { name: "another person", query: { ...QUERY, userId: "01981f6e-0000-7000-8000-000000000002" } },
  { name: "another value of a filter", query: { ...QUERY, filters: { q: "bob", role: "admin" } } },
  { name: "a filter less", query: { ...QUERY, filters: { q: "ada" } } },
  { name: "a filter more", query: { ...QUERY, filters: { ...QUERY.filters, plan: "free" } } },
  { name: "values that changed places", query: { ...QUERY, filters: { q: "admin", role: "ada" } } },
  { name: "one filter that spells two", query: { ...QUERY, filters: { q: 'ada"],["role","admin' } } },
];

for (const { name, query } of strangers) {
  Deno.test(`cursor: does not open for ${name}`, () => {
    assert.equal(openCursor(secrets, query, cursorOf(POSITION)), null);
  });
}

Deno.test("cursor: does not open under another SECRET_KEY", () => {
  const others = createSecrets("other-key-of-32-bytes-0123456789abcdef");
  assert.equal(openCursor(others, QUERY, cursorOf(POSITION)), null);
});

Deno.test("cursor: a refusal is a 422 that points at the parameter and does not repeat it", () => {
  assert.throws(() => requirePosition(secrets, QUERY, "bm90LW91cnM"), (error) => {
    assert(error instanceof Problem);
    assert.equal(error.code, "validation_failed");
    assert.deepEqual(error.details.errors?.map(({ pointer, code }) => ({ pointer, code })), [
      { pointer: "/query/cursor", code: "cursor_invalid" },
    ]);
    assert.doesNotMatch(JSON.stringify(error.details), /bm90/);
    return true;
  });
});
