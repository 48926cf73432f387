// The caller's own account: reading it, changing it member by member, and taking everything along.

import assert from "node:assert/strict";
import { confirmEmailChange, exportMe, readMe, requestEmailChange, updateMe } from "../openapi/account.ts";
import { createNote } from "../openapi/notes.ts";
import { changePassword } from "../openapi/passwords.ts";
import { register } from "../openapi/registration.ts";
import { login, refreshTokens } from "../openapi/sessions.ts";
import { digest } from "../src/secrets.ts";
import { admin, OPERATOR } from "../src/store/client.ts";
import { keys } from "../src/store/keys.ts";
import { insertNote } from "../src/store/notes.ts";
import { replaceUser } from "../src/store/users.ts";
import { type Answer, DAY_MS, MINUTE_MS, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { type Person, signUp } from "./person.ts";
import { collectBrokenInvariants } from "./store_invariants.ts";

const NEW_PASSWORD = "granite-otter-58";

function patch(server: TestServer, { accessToken: token }: Person, json: unknown): Promise<Answer> {
  return server.call(updateMe, { token, json });
}

Deno.test("readMe: the whole user, absent values as null", async () => {
  await using server = await startServer();
  const ada = await signUp(server);
  const answer = await server.call(readMe, { token: ada.accessToken });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  const now = "2026-11-21T09:00:00.000Z";
  assert.deepEqual(answer.body, {
    id: ada.id,
    email: ada.email,
    email_verified: true,
    username: null,
    name: null,
    locale: null,
    role: "user",
    plan: "free",
    status: "active",
    created_at: now,
    updated_at: now,
    last_login_at: now,
  });
});

Deno.test("updateMe: sets what is named, clears by null, and keeps what is left out", async () => {
  await using server = await startServer();
  const ada = await signUp(server);
  const before = (await server.call(readMe, { token: ada.accessToken })).body;
  server.clock.nowMs += MINUTE_MS;
  const set = await patch(server, ada, { name: "Ada Lovelace", username: "Ada.L", locale: "en-gb" });
  assert.equal(set.status, 200);
  assert.equal(set.headers.get("cache-control"), "no-store");
  const expected = {
    ...before,
    name: "Ada Lovelace",
    username: "Ada.L",
    locale: "en-GB",
    updated_at: "2026-11-21T09:01:00.000Z",
  };
  assert.deepEqual(set.body, expected);
  assert.deepEqual((await patch(server, ada, { name: null })).body, { ...expected, name: null });
  assert.deepEqual((await patch(server, ada, { locale: "de" })).body, {
    ...expected,
    name: null,
    locale: "de",
  });
  await server.restart();
  const cleared = await patch(server, ada, { username: null, locale: null });
  assert.deepEqual(cleared.body, { ...expected, name: null, username: null, locale: null });
  assert.deepEqual((await server.call(readMe, { token: ada.accessToken })).body, cleared.body);
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
});

const ANY_NAME = ["François-Noël Babeuf", "李小龍", "🌍", "O'Brien, Jr.", "a".repeat(100), "🌍".repeat(100)];

Deno.test("updateMe: takes any name, and gives it back as it came", async () => {
  await using server = await startServer();
  const ada = await signUp(server);
  for (const name of ANY_NAME) assert.equal((await patch(server, ada, { name })).body.name, name);
});

const malformed = [
  { name: "nothing", json: {}, pointer: "" },
  { name: "no object", json: [], pointer: "" },
  { name: "null", json: null, pointer: "" },
  { name: "no body", json: undefined, pointer: "" },
  { name: "an empty name", json: { name: "" }, pointer: "/name" },
  { name: "a name that ends with a space", json: { name: "Ada " }, pointer: "/name" },
  { name: "a name of 101 characters", json: { name: "a".repeat(101) }, pointer: "/name" },
  { name: "a name of two lines", json: { name: "Ada\nLovelace" }, pointer: "/name" },
  { name: "a name that turns the text around", json: { name: "Ada\u202e" }, pointer: "/name" },
  { name: "a name with half a character", json: { name: "\ud83c" }, pointer: "/name" },
  { name: "a name that is a number", json: { name: 7 }, pointer: "/name" },
  { name: "a username of two characters", json: { username: "ad" }, pointer: "/username" },
  { name: "a username of 33 characters", json: { username: "a".repeat(33) }, pointer: "/username" },
  { name: "a username with a space", json: { username: "ada l" }, pointer: "/username" },
  { name: "a username with a look-alike", json: { username: "\u0430da" }, pointer: "/username" },
  { name: "an empty username", json: { username: "" }, pointer: "/username" },
  { name: "a locale in words", json: { locale: "English" }, pointer: "/locale" },
  { name: "a locale with an underscore", json: { locale: "en_GB" }, pointer: "/locale" },
  { name: "a role", json: { role: "admin" }, pointer: "/role" },
  { name: "a plan", json: { name: "Ada", plan: "premium" }, pointer: "/plan" },
  { name: "a status", json: { status: "active" }, pointer: "/status" },
  { name: "an email", json: { email: "eve@example.org" }, pointer: "/email" },
  { name: "a password", json: { password: NEW_PASSWORD }, pointer: "/password" },
  { name: "an id", json: { id: "01981f6e-7a4c-7d1e-9b60-2f5d1c8e4a10" }, pointer: "/id" },
  { name: "an unknown member", json: { nickname: "Countess" }, pointer: "/nickname" },
  { name: "a prototype", json: JSON.parse('{"__proto__":{"role":"admin"}}'), pointer: "/__proto__" },
];

Deno.test("updateMe: refuses what does not fit, says where, and changes nothing", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server, { username: "ada" });
  const before = (await server.call(readMe, { token: ada.accessToken })).body;
  for (const { name, json, pointer } of malformed) {
    await t.step(name, async () => {
      const answer = await patch(server, ada, json);
      assert.equal(answer.status, 422, answer.text);
      assert.equal(answer.body.errors[0].pointer, pointer);
      assert.deepEqual((await server.call(readMe, { token: ada.accessToken })).body, before);
    });
  }
});

Deno.test("updateMe, readMe, exportMe: refuse who is not signed in", async () => {
  await using server = await startServer();
  for (const route of [readMe, updateMe, exportMe]) {
    const json = route === updateMe ? { role: "admin" } : undefined;
    assert.equal((await server.call(route, { json })).body.code, "token_missing");
    assert.equal((await server.call(route, { json, token: "words" })).body.code, "token_invalid");
  }
});

const taken = [
  { name: "another account's", username: "bob" },
  { name: "another account's in other letters", username: "BoB" },
  { name: "one that a pending registration reserves", username: "Carol" },
];

Deno.test("updateMe: refuses a username that is taken", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server, { username: "ada" });
  await signUp(server, { email: "bob@example.org", username: "Bob" });
  await server.call(register, {
    json: { email: "carol@example.org", password: ada.password, username: "carol" },
  });
  for (const { name, username } of taken) {
    await t.step(name, async () => {
      const answer = await patch(server, ada, { username, name: "Never" });
      assert.equal(answer.status, 409);
      assert.equal(answer.body.code, "username_taken");
      const { body } = await server.call(readMe, { token: ada.accessToken });
      assert.deepEqual([body.username, body.name], ["ada", null]);
      assert.deepEqual(await collectBrokenInvariants(server.db), []);
    });
  }
});

Deno.test("updateMe: one's own username in other letters is one's own", async () => {
  await using server = await startServer();
  const ada = await signUp(server, { username: "ada" });
  assert.equal((await patch(server, ada, { username: "ADA" })).body.username, "ADA");
  assert.equal((await patch(server, ada, { username: "ADA" })).status, 200);
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
});

const releases = [
  { name: "renamed away", json: { username: "countess" } },
  { name: "cleared", json: { username: null } },
];

for (const { name, json } of releases) {
  Deno.test(`updateMe: a username that was ${name} is free for the next, and not for two`, async () => {
    await using server = await startServer({ env: UNLIMITED });
    const ada = await signUp(server, { username: "ada" });
    const bob = await signUp(server, { email: "bob@example.org" });
    await patch(server, ada, json);
    assert.equal((await patch(server, bob, { username: "Ada" })).status, 200);
    assert.equal((await patch(server, ada, { username: "ada" })).body.code, "username_taken");
    assert.deepEqual(await collectBrokenInvariants(server.db), []);
  });
}

Deno.test("updateMe: a username is free once the registration that reserved it has ended", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, ACCESS_TOKEN_TTL: "48h" } });
  const ada = await signUp(server);
  await server.call(register, {
    json: { email: "bob@example.org", password: ada.password, username: "bob" },
  });
  server.clock.nowMs += DAY_MS - 1;
  assert.equal((await patch(server, ada, { username: "bob" })).status, 409);
  server.clock.nowMs += 1;
  assert.equal((await patch(server, ada, { username: "bob" })).status, 200);
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
});

Deno.test("updateMe: of 20 people who want one username at the same moment, one gets it", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const people: Person[] = [];
  for (let index = 0; index < 20; index++) {
    people.push(await signUp(server, { email: `u${index}@example.org`, username: `user${index}` }));
  }
  const answers = await Promise.all(people.map((person) => patch(server, person, { username: "ada" })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(19).fill(409)]);
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
});

Deno.test("updateMe: of many changes at the same moment none is lost, and one username is left", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const answers = await Promise.all([
    ...Array.from({ length: 8 }, (_, index) => patch(server, ada, { username: `ada${index}` })),
    patch(server, ada, { name: "Ada" }),
    patch(server, ada, { locale: "en" }),
  ]);
  assert(answers.every(({ status }) => status === 200));
  const { body } = await server.call(readMe, { token: ada.accessToken });
  assert.deepEqual([body.name, body.locale], ["Ada", "en"]);
  let usernames = 0;
  for await (const _ of server.db.list({ prefix: keys.username("").path.slice(0, 1) })) usernames++;
  assert.equal(usernames, 1);
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
});

Deno.test("updateMe: its ETag is readMe's, and the one before is not any more", async () => {
  await using server = await startServer();
  const ada = await signUp(server);
  const read = async (etag: string | null): Promise<number> => {
    const headers = { "if-none-match": etag ?? "" };
    return (await server.call(readMe, { token: ada.accessToken, headers })).status;
  };
  const first = (await server.call(readMe, { token: ada.accessToken })).headers.get("etag");
  const second = (await patch(server, ada, { name: "Ada" })).headers.get("etag");
  assert.equal(await read(first), 200);
  assert.equal(await read(second), 304);
});

Deno.test("exportMe: everything of the caller, nothing of others, and no secret", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server, { username: "ada" });
  const bob = await signUp(server, { email: "bob@example.net", username: "bobby", ip: "203.0.113.9" });
  for (
    const [{ accessToken: token }, title] of [[ada, "Engine"], [ada, "Looms"], [bob, "Private"]] as const
  ) {
    server.clock.nowMs += MINUTE_MS;
    await server.call(createNote, { token, json: { title } });
  }
  const second = await server.call(login, {
    json: { email: ada.email, password: ada.password },
    headers: { "user-agent": "Telescope/2" },
    ip: "198.51.100.7",
  });
  const { body: tokens } = await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
  await server.mails();
  // By bob, as an admin: the caller learns that, and neither who he is nor from where he did it.
  const client = { address: "203.0.113.9", networkHash: "n", userAgent: "Bobs/1", requestId: "r" };
  await replaceUser(server.deps, ada.id, { plan: "premium" }, admin(bob.id, client));
  server.clock.nowMs += MINUTE_MS;
  // A code that is on its way.
  await server.call(requestEmailChange, {
    token: ada.accessToken,
    json: { new_email: "ada@lovelace.example", current_password: ada.password },
  });

  const answer = await server.call(exportMe, { token: ada.accessToken });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  const { user, sessions, known_networks, mails, events, notes, exported_at } = answer.body;
  assert.equal(exported_at, "2026-11-21T09:04:00.000Z");
  assert.deepEqual(user, (await server.call(readMe, { token: ada.accessToken })).body);
  assert.deepEqual(
    sessions.map(({ ip, user_agent, current }: Record<string, unknown>) => [ip, user_agent, current]),
    [["192.0.2.1", null, true], ["198.51.100.7", "Telescope/2", false]],
  );
  assert.deepEqual(
    known_networks.map(({ last_sign_in_at }: Record<string, unknown>) => last_sign_in_at).sort(),
    [
      "2026-11-21T09:00:00.000Z",
      "2026-11-21T09:03:00.000Z",
    ],
  );
  assert.deepEqual(mails.map(({ kind, state }: Record<string, unknown>) => `${kind} ${state}`).sort(), [
    "email_change_requested queued",
    "registration_code sent",
    "sign_in_new_network sent",
  ]);
  assert.deepEqual(
    events.map(({ type, ip }: Record<string, unknown>) => `${type} ${ip}`),
    [
      "data_exported 192.0.2.1",
      "code_sent 192.0.2.1",
      "plan_changed null",
      "signed_in 198.51.100.7",
      "account_created 192.0.2.1",
    ],
  );
  assert.deepEqual(notes.map(({ title }: Record<string, unknown>) => title), ["Looms", "Engine"]);

  const credential = await server.kv.find(keys.credential(ada.id));
  const code = await server.codeFor("ada@lovelace.example");
  const secrets = [
    code,
    ada.password,
    credential.value?.passwordHash,
    "argon2",
    ...[ada.accessToken, ada.refreshToken, tokens.refresh_token, second.body.refresh_token].flatMap((
      token,
    ) => [
      token.slice(-43),
      digest(token),
    ]),
  ];
  for (const secret of secrets) assert(!answer.text.includes(String(secret)), `${secret} is in it`);
  for (const other of [bob.id, bob.email, "bobby", "203.0.113.9", "Bobs/1", "Private"]) {
    assert(!answer.text.includes(other), `${other} is in it`);
  }
});

Deno.test("exportMe: after a change of address, all mails of the account but the code are still in it", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  await server.call(changePassword, {
    token: ada.accessToken,
    json: { current_password: ada.password, new_password: NEW_PASSWORD },
  });
  const challenge = await server.call(requestEmailChange, {
    token: ada.accessToken,
    json: { new_email: "ada@lovelace.example", current_password: NEW_PASSWORD },
  });
  await server.call(confirmEmailChange, {
    token: ada.accessToken,
    json: { challenge_id: challenge.body.challenge_id, code: await server.codeFor("ada@lovelace.example") },
  });
  const { body } = await server.call(exportMe, { token: ada.accessToken });
  assert.equal(body.user.email, "ada@lovelace.example");
  assert.deepEqual(body.mails.map(({ kind }: { kind: string }) => kind).sort(), [
    "email_change_requested",
    "email_changed",
    "email_changed",
    "password_changed",
  ]);
});

Deno.test("exportMe: every note, however many, newest first", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  await replaceUser(server.deps, ada.id, { plan: "premium" }, OPERATOR);
  for (let index = 0; index < 201; index++) {
    await insertNote(server.deps, ada.id, { title: String(index), body: null });
  }
  const { body } = await server.call(exportMe, { token: ada.accessToken });
  assert.deepEqual(
    body.notes.map(({ title }: { title: string }) => Number(title)),
    Array.from({ length: 201 }, (_, index) => 200 - index),
  );
});
