// Notes: whose they are, how many a plan holds, and how a list is read page by page while it changes.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import { createNote, deleteNote, listNotes, readNote, updateNote } from "../openapi/notes.ts";
import { keys, type UserRecord } from "../src/store/keys.ts";
import { isPresent } from "../src/store/kv.ts";
import { MINUTE_MS, SECOND_MS, startServer, type TestServer, UNKNOWN_ID, UNLIMITED } from "./harness.ts";
import { type Person, signUp } from "./person.ts";

const TITLE = "Groceries";

async function write(server: TestServer, { accessToken: token }: Person, title = TITLE): Promise<string> {
  const { status, body, text } = await server.call(createNote, { token, json: { title } });
  assert.equal(status, 201, text);
  return body.id;
}

/** The titles that one person's list shows, all pages. */
async function titlesOf(server: TestServer, { accessToken: token }: Person): Promise<string[]> {
  const { body } = await server.call(listNotes, { token, query: { limit: "100" } });
  assert.equal(body.next_cursor, null);
  return body.data.map(({ title }: { title: string }) => title);
}

async function setPlan({ kv }: TestServer, { id }: Person, plan: UserRecord["plan"]): Promise<void> {
  const entry = await kv.find(keys.user(id));
  assert(isPresent(entry));
  assert(await kv.change().check(entry).set(entry.key, { ...entry.value, plan }).commit());
}

Deno.test("notes: written, read, listed, changed, deleted", async () => {
  await using server = await startServer();
  const { accessToken: token } = await signUp(server);
  const json = { title: "Überweisung 🌍", body: "Milch\r\n\tBrot 🍞\n" };

  const created = await server.call(createNote, { token, json });
  assert.equal(created.status, 201);
  assert.equal(created.headers.get("cache-control"), "no-store");
  const { id, ...rest } = created.body;
  const madeAt = "2026-11-21T09:00:00.000Z";
  assert.deepEqual(rest, { ...json, created_at: madeAt, updated_at: madeAt });

  const params = { note_id: id };
  assert.deepEqual((await server.call(readNote, { token, params })).body, created.body);
  const inCapitals = { note_id: id.toUpperCase() };
  assert.deepEqual((await server.call(readNote, { token, params: inCapitals })).body, created.body);
  assert.deepEqual((await server.call(listNotes, { token })).body, {
    data: [created.body],
    next_cursor: null,
  });

  server.clock.nowMs += MINUTE_MS;
  const changed = await server.call(updateNote, { token, params, json: { body: null } });
  assert.equal(changed.status, 200);
  assert.deepEqual(changed.body, { ...created.body, body: null, updated_at: "2026-11-21T09:01:00.000Z" });
  const retitled = await server.call(updateNote, { token, params, json: { title: TITLE } });
  assert.deepEqual(retitled.body, { ...changed.body, title: TITLE });

  await server.restart();
  assert.deepEqual((await server.call(readNote, { token, params })).body, retitled.body);

  assert.equal((await server.call(deleteNote, { token, params })).status, 204);
  assert.equal((await server.call(readNote, { token, params })).body.code, "note_not_found");
  assert.equal((await server.call(deleteNote, { token, params })).body.code, "note_not_found");
  assert.deepEqual((await server.call(listNotes, { token })).body, { data: [], next_cursor: null });
});

Deno.test("notes: what they say is nowhere in the log", async () => {
  await using server = await startServer();
  const ada = await signUp(server);
  await write(server, ada, "a-private-matter");
  assert.doesNotMatch(server.logged.join("\n"), /a-private-matter/);
});

const LONG_BODY = "🌍".repeat(10_000);

const accepted = [
  { name: "no body: null", json: { title: TITLE }, body: null },
  { name: "an empty body", json: { title: TITLE, body: "" }, body: "" },
  { name: "a title of 200 characters outside the BMP", json: { title: "🌍".repeat(200) }, body: null },
  { name: "a body of 10,000 of them", json: { title: TITLE, body: LONG_BODY }, body: LONG_BODY },
  { name: "surrounding spaces, as they are", json: { title: " a ", body: " " }, body: " " },
];

Deno.test("createNote: accepts", async (t) => {
  await using server = await startServer();
  const { accessToken: token } = await signUp(server);
  for (const { name, json, body } of accepted) {
    await t.step(name, async () => {
      const created = await server.call(createNote, { token, json });
      assert.equal(created.status, 201, created.text);
      assert.equal(created.body.title, json.title);
      assert.equal(created.body.body, body);
    });
  }
});

const malformed = [
  { name: "an empty title", json: { title: "" }, pointer: "/title" },
  { name: "a blank title", json: { title: " \u00a0" }, pointer: "/title" },
  { name: "a title of 201 characters", json: { title: "a".repeat(201) }, pointer: "/title" },
  { name: "a title of two lines", json: { title: "a\nb" }, pointer: "/title" },
  { name: "a title with a control character", json: { title: "a\u0000b" }, pointer: "/title" },
  { name: "a title with a line separator", json: { title: "a\u2028b" }, pointer: "/title" },
  { name: "a title with half a character", json: { title: "\ud83c" }, pointer: "/title" },
  { name: "a title of null", json: { title: null }, pointer: "/title" },
  { name: "a title that is a number", json: { title: 7 }, pointer: "/title" },
  { name: "a body of 10,001 characters", json: { body: "a".repeat(10_001) }, pointer: "/body" },
  { name: "a body with a control character", json: { body: "a\u001bb" }, pointer: "/body" },
  { name: "a body that is a list", json: { body: ["a"] }, pointer: "/body" },
  { name: "an unknown member", json: { user_id: UNKNOWN_ID }, pointer: "/user_id" },
  { name: "an id of one's own", json: { id: UNKNOWN_ID }, pointer: "/id" },
];

Deno.test("createNote and updateNote: refuse", async (t) => {
  await using server = await startServer();
  const ada = await signUp(server);
  const token = ada.accessToken;
  const params = { note_id: await write(server, ada) };
  for (const { name, json, pointer } of malformed) {
    await t.step(name, async () => {
      const created = await server.call(createNote, { token, json: { title: TITLE, ...json } });
      const updated = await server.call(updateNote, { token, params, json });
      for (const { status, body } of [created, updated]) {
        assert.equal(status, 422);
        assert.equal(body.code, "validation_failed");
        assert.equal(body.errors[0].pointer, pointer);
      }
    });
  }
  await t.step("createNote without a title", async () => {
    const { body } = await server.call(createNote, { token, json: { body: "a" } });
    assert.equal(body.errors[0].pointer, "/title");
  });
  await t.step("updateNote that names nothing", async () => {
    assert.equal((await server.call(updateNote, { token, params, json: {} })).status, 422);
    assert.equal((await server.call(updateNote, { token, params })).status, 422);
  });
  await t.step("a body over 64 KiB", async () => {
    const json = { title: TITLE, body: "a".repeat(64 * 1024) };
    assert.equal((await server.call(createNote, { token, json })).body.code, "body_too_large");
  });
  assert.deepEqual(await titlesOf(server, ada), [TITLE]);
  assert.equal((await server.call(readNote, { token, params })).body.updated_at, "2026-11-21T09:00:00.000Z");
});

/** Every operation, with what it takes. */
const operations: readonly { route: RouteConfig; json?: unknown; takesId?: boolean }[] = [
  { route: listNotes },
  { route: createNote, json: { title: TITLE } },
  { route: readNote, takesId: true },
  { route: updateNote, json: { title: "Changed" }, takesId: true },
  { route: deleteNote, takesId: true },
];

for (const { route, json, takesId } of operations) {
  Deno.test(`${route.operationId}: refuses who is not signed in, before it looks at the request`, async () => {
    await using server = await startServer();
    const ada = await signUp(server);
    const params = { note_id: await write(server, ada) };
    for (const [token, code] of [[undefined, "token_missing"], ["a.b.c", "token_invalid"]] as const) {
      const bearer = token === undefined ? {} : { token };
      for (const input of [json, json && { title: 7 }]) {
        const answer = await server.call(route, { json: input, params, ...bearer });
        assert.equal(answer.status, 401);
        assert.equal(answer.body.code, code);
        assert.doesNotMatch(answer.text, /Groceries/);
      }
    }
    assert.deepEqual(await titlesOf(server, ada), [TITLE]);
  });

  if (!takesId) continue;

  Deno.test(`${route.operationId}: somebody else's note answers like one that never was, byte for byte`, async () => {
    await using server = await startServer({ env: UNLIMITED });
    const [ada, bob] = [await signUp(server), await signUp(server, { email: "bob@example.org" })];
    const adasNote = await write(server, ada);
    const [theirs, unknown] = await Promise.all([adasNote, UNKNOWN_ID].map(async (note_id) => {
      const { status, text, headers } = await server.call(route, {
        token: bob.accessToken,
        params: { note_id },
        headers: { "x-request-id": "same" },
        json,
      });
      return { status, text, headers: [...headers] };
    }));
    assert.deepEqual(theirs, unknown);
    assert.equal(theirs?.status, 404);
    assert.match(theirs?.text ?? "", /"note_not_found"/);
    assert.deepEqual(await titlesOf(server, ada), [TITLE]);
  });

  Deno.test(`${route.operationId}: refuses an id that is none`, async () => {
    await using server = await startServer({ env: UNLIMITED });
    const { accessToken: token } = await signUp(server);
    for (const note_id of ["1", "../users", `${UNKNOWN_ID}\u0000`, "00000000-0000-4000-8000-000000000000"]) {
      const { status, body } = await server.call(route, { token, params: { note_id }, json });
      assert.equal(status, 422);
      assert.equal(body.errors[0].pointer, "/param/note_id");
    }
  });
}

Deno.test("readNote: 304 while nothing changed", async () => {
  await using server = await startServer();
  const ada = await signUp(server);
  const token = ada.accessToken;
  const params = { note_id: await write(server, ada) };
  const first = await server.call(readNote, { token, params });
  const etag = first.headers.get("etag") ?? assert.fail("no ETag");
  const again = { token, params, headers: { "if-none-match": etag } };
  assert.equal((await server.call(readNote, again)).status, 304);
  await write(server, ada, "Another");
  assert.equal((await server.call(readNote, again)).status, 304);
  await server.call(updateNote, { token, params, json: { title: TITLE } });
  const changed = await server.call(readNote, again);
  assert.equal(changed.status, 200);
  assert.notEqual(changed.headers.get("etag"), etag);
});

Deno.test("createNote: the free plan holds exactly 20, however many come at once", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const [ada, bob] = [await signUp(server), await signUp(server, { email: "bob@example.org" })];
  const input = { token: ada.accessToken, json: { title: TITLE } };
  const answers = await Promise.all(Array.from({ length: 30 }, () => server.call(createNote, input)));
  const created = answers.filter(({ status }) => status === 201);
  const refused = answers.filter(({ body }) => body.code === "plan_limit_reached");
  assert.deepEqual([created.length, refused.length], [20, 10]);
  assert.equal((await titlesOf(server, ada)).length, 20);
  await write(server, bob);

  await server.restart();
  assert.equal((await server.call(createNote, input)).status, 409);
  await server.call(deleteNote, { token: ada.accessToken, params: { note_id: created[0]?.body.id } });
  await write(server, ada, "In its place");
  assert.equal((await server.call(createNote, input)).status, 409);
});

Deno.test("createNote: FREE_NOTES sets what the free plan holds, 0 included", async (t) => {
  for (const freeNotes of [0, 1]) {
    await t.step(`${freeNotes}`, async () => {
      await using server = await startServer({ env: { FREE_NOTES: `${freeNotes}` } });
      const ada = await signUp(server);
      for (let made = 0; made < freeNotes; made++) await write(server, ada);
      const { body } = await server.call(createNote, { token: ada.accessToken, json: { title: TITLE } });
      assert.equal(body.code, "plan_limit_reached");
    });
  }
});

Deno.test("createNote: the premium plan holds more; a downgrade keeps what is there and adds nothing", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, FREE_NOTES: "2" } });
  const ada = await signUp(server);
  await setPlan(server, ada, "premium");
  for (const title of ["a", "b", "c", "d"]) await write(server, ada, title);
  await setPlan(server, ada, "free");

  const json = { title: "e" };
  assert.equal((await server.call(createNote, { token: ada.accessToken, json })).status, 409);
  const { body } = await server.call(listNotes, { token: ada.accessToken });
  assert.equal(body.data.length, 4);
  for (const [index, status] of [409, 409, 201].entries()) {
    await server.call(deleteNote, { token: ada.accessToken, params: { note_id: body.data[index].id } });
    assert.equal((await server.call(createNote, { token: ada.accessToken, json })).status, status);
  }
  assert.equal((await titlesOf(server, ada)).length, 2);
});

Deno.test("listNotes: newest first, page by page, and no cursor after the last", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  for (const title of ["a", "b", "c", "d"]) {
    server.clock.nowMs += SECOND_MS;
    await write(server, ada, title);
  }
  const pages: string[] = [];
  let cursor: string | null = null;
  do {
    const query: Record<string, string> = { limit: "2", ...(cursor === null ? {} : { cursor }) };
    const { body } = await server.call(listNotes, { token: ada.accessToken, query });
    pages.push(body.data.map(({ title }: { title: string }) => title).join());
    cursor = body.next_cursor;
  } while (cursor !== null);
  assert.deepEqual(pages, ["d,c", "b,a"]);
});

Deno.test("listNotes: newest first also within one millisecond, and after the clock stepped back", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  server.clock.nowMs += MINUTE_MS;
  for (const title of ["a", "b", "c", "d", "e", "f"]) await write(server, ada, title);
  server.clock.nowMs -= SECOND_MS;
  await write(server, ada, "g");
  assert.equal((await titlesOf(server, ada)).join(""), "gfedcba");
});

Deno.test("listNotes: 20 a page unless asked", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, FREE_NOTES: "21" } });
  const ada = await signUp(server);
  for (let made = 0; made < 21; made++) await write(server, ada);
  const { body } = await server.call(listNotes, { token: ada.accessToken });
  assert.equal(body.data.length, 20);
  assert.notEqual(body.next_cursor, null);
});

Deno.test("listNotes: refuses", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const [ada, bob] = [await signUp(server), await signUp(server, { email: "bob@example.org" })];
  for (const title of ["a", "b"]) await write(server, ada, title);
  const { body: { next_cursor: cursor } } = await server.call(listNotes, {
    token: ada.accessToken,
    query: { limit: "1" },
  });
  const altered = (cursor.startsWith("A") ? "B" : "A") + cursor.slice(1);
  const rows: { name: string; person?: Person; query: Record<string, string>; pointer: string }[] = [
    ...["0", "101", "-1", "1.5", "", "ten", "1e1"].map((limit) => ({
      name: `a limit of "${limit}"`,
      query: { limit },
      pointer: "/query/limit",
    })),
    { name: "an empty cursor", query: { cursor: "" }, pointer: "/query/cursor" },
    { name: "a made-up cursor", query: { cursor: "MDE5ODFmNmU" }, pointer: "/query/cursor" },
    { name: "an id for a cursor", query: { cursor: UNKNOWN_ID }, pointer: "/query/cursor" },
    { name: "an altered cursor", query: { cursor: altered }, pointer: "/query/cursor" },
    { name: "a cut cursor", query: { cursor: cursor.slice(0, -1) }, pointer: "/query/cursor" },
    { name: "a cursor of 1025 characters", query: { cursor: "A".repeat(1025) }, pointer: "/query/cursor" },
    { name: "somebody else's cursor", person: bob, query: { cursor }, pointer: "/query/cursor" },
    { name: "a parameter that it does not know", query: { offset: "1" }, pointer: "/query/offset" },
  ];
  for (const { name, person = ada, query, pointer } of rows) {
    await t.step(name, async () => {
      const { status, body } = await server.call(listNotes, { token: person.accessToken, query });
      assert.equal(status, 422);
      assert.equal(body.code, "validation_failed");
      assert.equal(body.errors[0].pointer, pointer);
    });
  }
  await t.step("but not another page size, nor a restart", async () => {
    await server.restart();
    const query = { cursor, limit: "100" };
    const { body } = await server.call(listNotes, { token: ada.accessToken, query });
    assert.deepEqual(body.data.map(({ title }: { title: string }) => title), ["a"]);
  });
});
