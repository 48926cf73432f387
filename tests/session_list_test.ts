// The list of devices: what it shows, page by page, how one of them or all others are ended, and that nobody sees or
// ends what is somebody else's.

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { endOtherSessions, endSession, listSessions, login, refreshTokens } from "../openapi/sessions.ts";
import {
  type Answer,
  HOUR_MS,
  MINUTE_MS,
  SECOND_MS,
  startServer,
  type TestServer,
  UNKNOWN_ID,
  UNLIMITED,
} from "./harness.ts";
import { overwriteUser, type Person, sessionIdOf, signIn, signUp } from "./person.ts";

const list = (
  server: TestServer,
  { accessToken: token }: Person,
  query?: Record<string, string>,
): Promise<Answer> => server.call(listSessions, { token, ...(query ? { query } : {}) });

const end = (server: TestServer, { accessToken: token }: Person, id: string): Promise<Answer> =>
  server.call(endSession, { token, params: { session_id: id }, headers: { "x-request-id": "same" } });

const idsOf = ({ body }: Answer): string[] => body.data.map(({ id }: { id: string }) => id);

async function assertOver(server: TestServer, { accessToken, refreshToken }: Person): Promise<void> {
  assert.equal((await server.call(readMe, { token: accessToken })).body.code, "token_invalid");
  const refreshed = await server.call(refreshTokens, { json: { refresh_token: refreshToken } });
  assert.equal(refreshed.body.code, "refresh_token_invalid");
}

/** One more sign-in each second; the newest is the last. */
async function signInAgain(server: TestServer, person: Person, times: number): Promise<Person[]> {
  const sessions: Person[] = [];
  for (let nth = 0; nth < times; nth++) {
    server.clock.nowMs += SECOND_MS;
    sessions.push(await signIn(server, person));
  }
  return sessions;
}

Deno.test("listSessions: each device with what its owner needs to recognise it, and no more", async () => {
  await using server = await startServer();
  const ada = await signUp(server);
  server.clock.nowMs += HOUR_MS / 4;
  await signIn(server, ada, { ip: "2001:db8::7", headers: { "user-agent": "Test\u0007Browser/1.0 <b>é" } });
  server.clock.nowMs += 10 * MINUTE_MS;
  const answer = await list(server, ada);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  const [newest, first] = answer.body.data;
  assert.deepEqual({ ...newest, id: "" }, {
    id: "",
    created_at: "2026-11-21T09:15:00.000Z",
    last_used_at: "2026-11-21T09:15:00.000Z",
    user_agent: "TestBrowser/1.0 <b>",
    ip: "2001:db8::7",
    current: false,
  });
  assert.deepEqual(first, {
    id: sessionIdOf(ada),
    created_at: "2026-11-21T09:00:00.000Z",
    // This very request is a use of it.
    last_used_at: "2026-11-21T09:25:00.000Z",
    user_agent: null,
    ip: "192.0.2.1",
    current: true,
  });
  assert.equal(answer.body.next_cursor, null);
  assert(!/hash|refresh|token|lkr_/i.test(answer.text));
});

Deno.test("listSessions: newest first, page by page, each once; a session that ends between two pages is no gap", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const others = await signInAgain(server, ada, 6);
  await signUp(server, { email: "bob@example.org" });
  const newestFirst = [ada, ...others].map(sessionIdOf).toReversed();
  assert.deepEqual(idsOf(await list(server, ada)), newestFirst);

  const first = await list(server, ada, { limit: "3" });
  assert.deepEqual(idsOf(first), newestFirst.slice(0, 3));
  // The one that the next page would start with.
  assert.equal((await end(server, ada, newestFirst[3] ?? "")).status, 204);
  const second = await list(server, ada, { limit: "3", cursor: first.body.next_cursor });
  assert.deepEqual(idsOf(second), newestFirst.slice(4));
  assert.equal(second.body.next_cursor, null);
  for (const [limit, length] of [["1", 1], ["6", 6], ["7", 6], ["100", 6]] as const) {
    const page = await list(server, ada, { limit });
    assert.equal(page.body.data.length, length);
    assert.equal(page.body.next_cursor === null, length === 6, `limit ${limit}`);
  }
});

Deno.test("listSessions: a cursor is good after a restart", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  await signInAgain(server, ada, 2);
  const { body } = await list(server, ada, { limit: "2" });
  await server.restart();
  assert.deepEqual(idsOf(await list(server, ada, { cursor: body.next_cursor })), [sessionIdOf(ada)]);
});

Deno.test("listSessions: refuses", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  await signInAgain(server, ada, 2);
  const bob = await signUp(server, { email: "bob@example.org" });
  await signInAgain(server, bob, 2);
  const { body: { next_cursor: cursor } } = await list(server, ada, { limit: "1" });
  const { body: { next_cursor: bobs } } = await list(server, bob, { limit: "1" });
  const altered = cursor.slice(0, 20) + (cursor[20] === "A" ? "B" : "A") + cursor.slice(21);
  const rows = [
    { name: "limit 0", query: { limit: "0" }, pointer: "/query/limit" },
    { name: "limit 101", query: { limit: "101" }, pointer: "/query/limit" },
    { name: "limit abc", query: { limit: "abc" }, pointer: "/query/limit" },
    { name: "limit 1.5", query: { limit: "1.5" }, pointer: "/query/limit" },
    { name: "limit -1", query: { limit: "-1" }, pointer: "/query/limit" },
    { name: "an empty limit", query: { limit: "" }, pointer: "/query/limit" },
    { name: "somebody else's cursor", query: { cursor: bobs }, pointer: "/query/cursor" },
    { name: "an altered cursor", query: { cursor: altered }, pointer: "/query/cursor" },
    { name: "a cut cursor", query: { cursor: cursor.slice(0, -1) }, pointer: "/query/cursor" },
    { name: "a session id for a cursor", query: { cursor: UNKNOWN_ID }, pointer: "/query/cursor" },
    { name: "an empty cursor", query: { cursor: "" }, pointer: "/query/cursor" },
    { name: "an unknown member", query: { user_id: bob.id }, pointer: "/query/user_id" },
  ];
  for (const { name, query, pointer } of rows) {
    await t.step(name, async () => {
      const answer = await list(server, ada, query);
      assert.equal(answer.status, 422, answer.text);
      assert.equal(answer.body.errors[0].pointer, pointer);
    });
  }
});

Deno.test("sessions: refuse who is not signed in, before they look at the request", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const rows = [
    { name: "no token", caller: {}, status: 401, problem: "token_missing" },
    { name: "a junk token", caller: { token: "junk" }, status: 401, problem: "token_invalid" },
    { name: "a refresh token", caller: { token: ada.refreshToken }, status: 401, problem: "token_invalid" },
    {
      name: "a disabled account's token",
      caller: { token: ada.accessToken },
      isDisabled: true,
      status: 403,
      problem: "account_disabled",
    },
  ];
  for (const { name, caller, isDisabled, status, problem } of rows) {
    for (const route of [listSessions, endSession, endOtherSessions]) {
      await t.step(`${name} at ${route.operationId}`, async () => {
        if (isDisabled) await overwriteUser(server, ada, { status: "disabled" });
        const answer = await server.call(route, { ...caller, params: { session_id: "42" } });
        assert.equal(answer.status, status);
        assert.equal(answer.body.code, problem);
      });
    }
  }
});

for (
  const { name, which } of [
    { name: "this session, like a logout", which: 0 },
    { name: "another session", which: 1 },
  ]
) {
  Deno.test(`endSession: ends ${name}, at once and after a restart, and no other`, async () => {
    await using server = await startServer({ env: UNLIMITED });
    const ada = await signUp(server);
    const sessions = [ada, ...await signInAgain(server, ada, 2)];
    const ended = sessions[which] ?? assert.fail();
    const left = sessions.filter((session) => session !== ended);
    assert.equal((await end(server, ada, sessionIdOf(ended).toUpperCase())).status, 204);
    for (let round = 0; round < 2; round++) {
      await assertOver(server, ended);
      for (const session of left) {
        assert.deepEqual(idsOf(await list(server, session)), left.map(sessionIdOf).toReversed());
      }
      await server.restart();
    }
    const again = await end(server, left[0] ?? ada, sessionIdOf(ended));
    assert.equal(again.body.code, "session_not_found", "it has ended already");
  });
}

Deno.test("endSession: somebody else's session answers like one that never was, byte for byte, and lives on", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const bob = await signUp(server, { email: "bob@example.org" });
  const [bobs, unknown] = [await end(server, ada, sessionIdOf(bob)), await end(server, ada, UNKNOWN_ID)];
  assert.equal(bobs.status, 404);
  assert.equal(bobs.text, unknown.text);
  assert.deepEqual([...bobs.headers], [...unknown.headers]);
  assert.equal((await server.call(readMe, { token: bob.accessToken })).status, 200);
});

Deno.test("endSession: refuses an id that is none", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  for (const id of ["42", `${UNKNOWN_ID}0`, "01981f6e-7a4c-4d1e-9b60-2f5d1c8e4a10", "..%2F..", "\u0000"]) {
    await t.step(JSON.stringify(id), async () => {
      const answer = await end(server, ada, id);
      assert.equal(answer.status, 422);
      assert.equal(answer.body.errors[0].pointer, "/param/session_id");
    });
  }
});

Deno.test("endSession: of 20 parallel ones one ends it", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const [other = ada] = await signInAgain(server, ada, 1);
  const answers = await Promise.all(Array.from({ length: 20 }, () => end(server, ada, sessionIdOf(other))));
  assert.equal(answers.filter(({ status }) => status === 204).length, 1);
  assert.equal(answers.filter(({ status }) => status === 404).length, 19);
});

Deno.test("endOtherSessions: this one is left, at once and after a restart; with no other it is no error", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const others = await signInAgain(server, ada, 3);
  const bob = await signUp(server, { email: "bob@example.org" });
  for (let round = 0; round < 2; round++) {
    assert.equal((await server.call(endOtherSessions, { token: ada.accessToken })).status, 204);
    for (const other of others) await assertOver(server, other);
    assert.deepEqual(idsOf(await list(server, ada)), [sessionIdOf(ada)]);
    await server.restart();
  }
  assert.equal((await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } })).status, 200);
  assert.equal((await server.call(readMe, { token: bob.accessToken })).status, 200, "and only one's own");
  assert.equal(
    (await server.call(login, { json: { email: ada.email, password: ada.password } })).status,
    200,
  );
});

Deno.test("a replayed refresh token: its session is gone from the list, and the owner is mailed", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const [stolen = ada] = await signInAgain(server, ada, 1);
  await server.call(refreshTokens, { json: { refresh_token: stolen.refreshToken } });
  server.clock.nowMs += 10 * SECOND_MS;
  const replay = await server.call(refreshTokens, {
    json: { refresh_token: stolen.refreshToken },
    ip: "198.51.100.66",
    headers: { "user-agent": "curl/8.9.1" },
  });
  assert.equal(replay.body.code, "refresh_token_reused");
  assert.deepEqual(idsOf(await list(server, ada)), [sessionIdOf(ada)]);
  const notice = (await server.mails()).at(-1);
  assert.deepEqual([notice?.kind, notice?.to], ["refresh_token_replayed", ada.email]);
  assert.match(notice?.text ?? "", /When: 2026-11-21 09:00 UTC\nFrom: 198\.51\.100\.66\nWith: curl/);
});
