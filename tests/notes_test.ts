// Notes: whose they are, how many a plan holds, and how a list is read page by page while it changes.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import fc from "fast-check";
import { createNote, deleteNote, listNotes, readNote, updateNote } from "../openapi/notes.ts";
import { keys, type UserRecord } from "../src/store/keys.ts";
import { type Change, isPresent, type Kv } from "../src/store/kv.ts";
import { collectNotes, insertNote, removeNote } from "../src/store/notes.ts";
import { type Answer, MINUTE_MS, SECOND_MS, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { type Person, signUp } from "./person.ts";

const UNKNOWN_ID = "01981f6e-7a4c-7d1e-9b60-2f5d1c8e4a10";
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

/** How many there are, counted one by one, and how many the count says there are. */
async function tally(kv: Kv, { id }: Person): Promise<{ listed: number; counted: number }> {
  const { entries } = await kv.collect(keys.notesOf(id), { limit: 1000 });
  return { listed: entries.length, counted: (await kv.find(keys.noteCount(id))).value?.count ?? 0 };
}

async function setPlan(kv: Kv, { id }: Person, plan: UserRecord["plan"]): Promise<void> {
  const entry = await kv.find(keys.user(id));
  assert(isPresent(entry));
  assert(await kv.change().check(entry).set(entry.key, { ...entry.value, plan }).commit());
}

function statusesOf(answers: readonly Answer[]): Record<string, number> {
  const grouped = Object.groupBy(answers, ({ status }) => status);
  return Object.fromEntries(Object.entries(grouped).map(([status, same]) => [status, same?.length ?? 0]));
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
  assert.deepEqual(
    (await server.call(readNote, { token, params: { note_id: id.toUpperCase() } })).status,
    200,
  );
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

const accepted = [
  { name: "no body: null", json: { title: TITLE }, body: null },
  { name: "an empty body", json: { title: TITLE, body: "" }, body: "" },
  { name: "a title of 200 characters outside the BMP", json: { title: "🌍".repeat(200) }, body: null },
  { name: "a body of 10,000", json: { title: TITLE, body: "é".repeat(10_000) }, body: "é".repeat(10_000) },
  {
    name: "a body of 10,000 emoji",
    json: { title: TITLE, body: "🌍".repeat(10_000) },
    body: "🌍".repeat(10_000),
  },
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
        assert.deepEqual([...new Set(body.errors.map((fault: { pointer: string }) => fault.pointer))], [
          pointer,
        ]);
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
  const json = { title: TITLE };
  const answers = await Promise.all(
    Array.from({ length: 30 }, () => server.call(createNote, { token: ada.accessToken, json })),
  );
  assert.deepEqual(statusesOf(answers), { 201: 20, 409: 10 });
  const refused = answers.find(({ status }) => status === 409);
  assert.equal(refused?.body.code, "plan_limit_reached");
  assert.deepEqual(await tally(server.kv, ada), { listed: 20, counted: 20 });
  await write(server, bob);

  await server.restart();
  assert.equal((await server.call(createNote, { token: ada.accessToken, json })).status, 409);
  const [note_id] = (await collectNotes(server.kv, ada.id, { limit: 1, startId: null })).notes.map(({ id }) =>
    id
  );
  await server.call(deleteNote, { token: ada.accessToken, params: { note_id: String(note_id) } });
  await write(server, ada, "In its place");
  assert.equal((await server.call(createNote, { token: ada.accessToken, json })).status, 409);
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
  await setPlan(server.kv, ada, "premium");
  for (const title of ["a", "b", "c", "d"]) await write(server, ada, title);
  await setPlan(server.kv, ada, "free");

  const json = { title: "e" };
  assert.equal((await server.call(createNote, { token: ada.accessToken, json })).status, 409);
  const { body } = await server.call(listNotes, { token: ada.accessToken });
  assert.equal(body.data.length, 4);
  for (const [index, status] of [409, 409, 201].entries()) {
    await server.call(deleteNote, { token: ada.accessToken, params: { note_id: body.data[index].id } });
    assert.equal((await server.call(createNote, { token: ada.accessToken, json })).status, status);
  }
  assert.deepEqual(await tally(server.kv, ada), { listed: 2, counted: 2 });
});

Deno.test("createNote: a downgrade at the same moment is seen", async () => {
  const rival = createRival();
  await using server = await startServer({ env: { ...UNLIMITED, FREE_NOTES: "0" }, wrapKv: rival.wrap });
  const ada = await signUp(server);
  await setPlan(server.kv, ada, "premium");
  rival.beforeNextCommit((kv) => setPlan(kv, ada, "free"));
  const { body } = await server.call(createNote, { token: ada.accessToken, json: { title: TITLE } });
  assert.equal(body.code, "plan_limit_reached");
});

Deno.test("notes: the count is the number of notes, whatever is written and deleted at once", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, FREE_NOTES: "12" } });
  const ada = await signUp(server);
  for (let round = 0; round < 8; round++) {
    const { body } = await server.call(listNotes, { token: ada.accessToken });
    const doomed: string[] = body.data.slice(0, 6).map(({ id }: { id: string }) => id);
    const answers = await Promise.all([
      ...Array.from({ length: 10 }, () => insertNote(server.deps, ada.id, { title: TITLE, body: null })),
      // Twice each: only one of two deletions may count.
      ...[...doomed, ...doomed].map((noteId) => removeNote(server.kv, { userId: ada.id, noteId })),
    ]);
    assert.equal(answers.filter((answer) => answer === true).length, doomed.length);
    const { listed, counted } = await tally(server.kv, ada);
    assert.equal(counted, listed);
    assert(listed <= 12);
  }
});

Deno.test("createNote: nothing is written for an account that goes at the same moment", async () => {
  const rival = createRival();
  await using server = await startServer({ env: UNLIMITED, wrapKv: rival.wrap });
  const ada = await signUp(server);
  rival.beforeNextCommit((kv) => kv.change().remove(keys.user(ada.id)).commit());
  const answer = await server.call(createNote, { token: ada.accessToken, json: { title: TITLE } });
  assert.equal(answer.status, 401);
  assert.equal(answer.body.code, "token_invalid");
  assert.deepEqual(await tally(server.kv, ada), { listed: 0, counted: 0 });
});

Deno.test("deleteNote and updateNote: bring nothing back of an account that is cleared at the same moment", async (t) => {
  const rows = [
    { route: deleteNote, input: {}, cleared: "its notes" },
    { route: deleteNote, input: {}, cleared: "its count" },
    { route: updateNote, input: { json: { title: "Changed" } }, cleared: "its notes" },
  ];
  for (const { route, input, cleared } of rows) {
    await t.step(`${route.operationId}, ${cleared} first`, async () => {
      const rival = createRival();
      await using server = await startServer({ env: UNLIMITED, wrapKv: rival.wrap });
      const ada = await signUp(server);
      const noteId = await write(server, ada);
      const key = cleared === "its notes" ? keys.note(ada.id, noteId) : keys.noteCount(ada.id);
      rival.beforeNextCommit((kv) => kv.change().remove(key).commit());
      await server.call(route, { token: ada.accessToken, params: { note_id: noteId }, ...input });
      await server.kv.change().remove(keys.note(ada.id, noteId)).commit();
      const count = await server.kv.find(keys.noteCount(ada.id));
      if (cleared === "its count") assert.equal(count.value, null);
      assert.equal((await tally(server.kv, ada)).listed, 0);
    });
  }
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
  const rows: { name: string; person?: Person; query: Record<string, string>; pointer: string }[] = [
    ...["0", "101", "-1", "1.5", "", "ten", "1e1"].map((limit) => ({
      name: `a limit of "${limit}"`,
      query: { limit },
      pointer: "/query/limit",
    })),
    { name: "an empty cursor", query: { cursor: "" }, pointer: "/query/cursor" },
    { name: "a made-up cursor", query: { cursor: "MDE5ODFmNmU" }, pointer: "/query/cursor" },
    { name: "an id for a cursor", query: { cursor: UNKNOWN_ID }, pointer: "/query/cursor" },
    { name: "an altered cursor", query: { cursor: `${cursor.slice(0, -2)}AA` }, pointer: "/query/cursor" },
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

/** What happens before a page is asked for. Deletions pick notes by their place in the list. */
const turn = fc.record({
  limit: fc.integer({ min: 1, max: 6 }),
  passesMs: fc.constantFrom(0, 1, 1000),
  inserts: fc.nat({ max: 3 }),
  deletions: fc.array(fc.nat({ max: 30 }), { maxLength: 3 }),
});

Deno.test("listNotes: a walk shows each note that stays once, whatever comes and goes", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, FREE_NOTES: "100000" } });
  let people = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: 20 }),
      fc.array(turn, { minLength: 1, maxLength: 8 }),
      async (held, turns) => {
        const ada = await signUp(server, { email: `ada${people++}@example.org` });
        const present = new Set<string>();
        const insert = async (): Promise<void> => {
          server.clock.nowMs += people % 2;
          present.add(await write(server, ada));
        };
        for (let made = 0; made < held; made++) await insert();
        const staying = new Set(present);
        const seen: string[] = [];
        let cursor: string | null = null;
        for (let page = 0; page === 0 || cursor !== null; page++) {
          const { limit, passesMs, inserts, deletions } = turns[page % turns.length] ?? assert.fail();
          server.clock.nowMs += passesMs;
          // Only as often as there are turns, so that the walk ends.
          for (let made = 0; made < inserts && page < turns.length; made++) await insert();
          for (const place of deletions) {
            const id = [...present].sort().at(place);
            if (id === undefined) continue;
            await server.call(deleteNote, { token: ada.accessToken, params: { note_id: id } });
            present.delete(id);
            staying.delete(id);
          }
          const query: Record<string, string> = { limit: `${limit}`, ...(cursor === null ? {} : { cursor }) };
          const { body } = await server.call(listNotes, { token: ada.accessToken, query });
          const shown: string[] = body.data.map(({ id }: { id: string }) => id);
          assert(shown.length <= limit);
          assert(shown.length === limit || body.next_cursor === null, "only the last page is short");
          assert(shown.every((id) => present.has(id)), "what is deleted is not shown");
          seen.push(...shown);
          cursor = body.next_cursor;
        }
        assert.deepEqual(seen, [...new Set(seen)].sort().reverse(), "newest first, nothing twice");
        assert.deepEqual([...staying].filter((id) => !seen.includes(id)), [], "nothing is left out");
      },
    ),
    { numRuns: 40 },
  );
});

/** Somebody who writes between another one's read and commit. */
interface Rival {
  wrap(kv: Kv): Kv;
  beforeNextCommit(act: (kv: Kv) => Promise<unknown>): void;
}

function createRival(): Rival {
  let act: ((kv: Kv) => Promise<unknown>) | null = null;
  const interrupt = (kv: Kv): Change => {
    const change = kv.change();
    const { commit } = change;
    // The change answers itself from `check` and `set`, so that it has to be altered in place.
    return Object.assign(change, {
      commit: async () => {
        const now = act;
        act = null;
        await now?.(kv);
        return await commit();
      },
    });
  };
  return {
    wrap: (kv) => ({ ...kv, change: () => interrupt(kv) }),
    beforeNextCommit: (next) => act = next,
  };
}
