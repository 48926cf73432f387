// Sessions: sign-in, rotation with its grace and its reuse detection, sign-out, and what a token is worth after each. The
// access token itself is access_token_test.ts.

import assert from "node:assert/strict";
import { decodeJwt } from "jose";
import { readMe } from "../openapi/account.ts";
import { register } from "../openapi/registration.ts";
import { login, logout, refreshTokens, verifyToken } from "../openapi/sessions.ts";
import { newId } from "../src/id.ts";
import { createRefreshToken } from "../src/refresh_token.ts";
import { OPERATOR } from "../src/store/client.ts";
import { keys } from "../src/store/keys.ts";
import { removeSession } from "../src/store/sessions.ts";
import { replaceUser } from "../src/store/users.ts";
import { countHashes } from "./counted_hashes.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, START_MS, startServer, UNLIMITED } from "./harness.ts";
import { overwriteUser, type Person, sessionIdOf, signIn, signUp } from "./person.ts";
import { collectBrokenInvariants } from "./store_invariants.ts";
import { watchKv } from "./watched_kv.ts";

const WRONG = "not-the-password-7";

Deno.test("login: a session of its own, and the account as it is", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  server.clock.nowMs += HOUR_MS;
  const answer = await server.call(login, {
    json: { email: "ADA@example.org", password: ada.password },
    headers: { "user-agent": "Test\u0007Browser/1.0" },
  });
  assert.equal(answer.status, 200);
  assert.equal(answer.body.user.id, ada.id);
  assert.equal(answer.body.user.last_login_at, "2026-11-21T10:00:00.000Z");
  assert.equal(answer.headers.get("cache-control"), "no-store");
  const claims = decodeJwt(answer.body.access_token);
  assert.notEqual(claims.sid, decodeJwt(ada.accessToken).sid);
  const session = await server.kv.find(keys.session(ada.id, String(claims.sid)));
  assert.equal(session.value?.userAgent, "TestBrowser/1.0");
});

Deno.test("login: refuses", async (t) => {
  const rows = [
    { name: "a wrong password", json: { password: WRONG }, status: 401, problem: "credentials_invalid" },
    {
      name: "an unknown address",
      json: { email: "eve@example.org" },
      status: 401,
      problem: "credentials_invalid",
    },
    {
      name: "an unconfirmed registration",
      json: { email: "new@example.org" },
      status: 401,
      problem: "credentials_invalid",
    },
    {
      name: "a disabled account with the right password",
      isDisabled: true,
      json: {},
      status: 403,
      problem: "account_disabled",
    },
    {
      name: "a disabled account with a wrong password",
      isDisabled: true,
      json: { password: WRONG },
      status: 401,
      problem: "credentials_invalid",
    },
    { name: "no password", json: { password: undefined }, status: 422, problem: "validation_failed" },
    { name: "an unknown member", json: { remember: true }, status: 422, problem: "validation_failed" },
  ];
  for (const { name, json, isDisabled, status, problem } of rows) {
    await t.step(name, async () => {
      await using server = await startServer();
      const ada = await signUp(server);
      await server.call(register, { json: { email: "new@example.org", password: ada.password } });
      if (isDisabled) await overwriteUser(server, ada, { status: "disabled" });
      const answer = await server.call(login, {
        json: { email: ada.email, password: ada.password, ...json },
      });
      assert.equal(answer.status, status, answer.text);
      assert.equal(answer.body.code, problem);
      if (status === 401) assert.equal(answer.headers.get("www-authenticate"), "Bearer");
    });
  }
});

Deno.test("login: unknown, unconfirmed and wrong get the same answer, byte for byte", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  await server.call(register, { json: { email: "new@example.org", password: ada.password } });
  const answers = await Promise.all(
    ["ada@example.org", "new@example.org", "eve@example.org"].map((email) =>
      server.call(login, { json: { email, password: WRONG }, headers: { "x-request-id": "same" } })
    ),
  );
  const [first, ...others] = answers.map(({ text, headers }) => JSON.stringify([text, [...headers]]));
  for (const other of others) assert.equal(other, first);
});

Deno.test("login: unknown, unconfirmed and wrong take one hash each", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  await server.call(register, { json: { email: "new@example.org", password: ada.password } });
  for (const email of ["ada@example.org", "new@example.org", "eve@example.org"]) {
    const hashes = countHashes(server);
    assert.equal((await server.call(login, { json: { email, password: WRONG } })).status, 401);
    assert.equal(hashes.count, 1, email);
  }
});

Deno.test("login: at most 50 sessions, the oldest ends first, also in parallel", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  for (let round = 0; round < 6; round++) {
    server.clock.nowMs += SECOND_MS;
    const answers = await Promise.all(
      Array.from(
        { length: 10 },
        () => server.call(login, { json: { email: ada.email, password: ada.password } }),
      ),
    );
    assert(answers.every(({ status }) => status === 200));
  }
  const { entries } = await server.kv.collect(keys.sessionsOf(ada.id), { limit: 100 });
  assert.equal(entries.length, 50);
  assert.equal((await server.call(readMe, { token: ada.accessToken })).body.code, "token_invalid");
});

Deno.test("refreshTokens: new tokens of the same session, the old one on the blacklist", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  server.clock.nowMs += MINUTE_MS;
  const answer = await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
  assert.equal(answer.status, 200);
  assert.notEqual(answer.body.refresh_token, ada.refreshToken);
  assert.equal(answer.body.refresh_expires_in, 86_400);
  assert.equal(decodeJwt(answer.body.access_token).sid, decodeJwt(ada.accessToken).sid);
  assert.equal((await server.call(readMe, { token: answer.body.access_token })).status, 200);
  assert.equal((await server.call(readMe, { token: ada.accessToken })).status, 200);
});

Deno.test("refreshTokens: refuses", async (t) => {
  const rows = [
    { name: "words", token: () => "words", problem: "refresh_token_invalid" },
    {
      name: "an access token",
      token: (ada: Person) => ada.accessToken.slice(0, 512),
      problem: "refresh_token_invalid",
    },
    {
      name: "an altered one",
      token: (ada: Person) => `${ada.refreshToken.slice(0, -2)}AA`,
      problem: "refresh_token_invalid",
    },
    {
      name: "an expired one",
      afterMs: DAY_MS,
      token: (ada: Person) => ada.refreshToken,
      problem: "refresh_token_invalid",
    },
    {
      name: "a disabled account's",
      isDisabled: true,
      token: (ada: Person) => ada.refreshToken,
      problem: "account_disabled",
    },
  ];
  for (const { name, token, afterMs = 0, isDisabled, problem } of rows) {
    await t.step(name, async () => {
      await using server = await startServer({ env: UNLIMITED });
      const ada = await signUp(server);
      if (isDisabled) await overwriteUser(server, ada, { status: "disabled" });
      server.clock.nowMs += afterMs;
      const answer = await server.call(refreshTokens, { json: { refresh_token: token(ada) } });
      assert.equal(answer.body.code, problem, answer.text);
    });
  }
});

Deno.test("refreshTokens: that an account is disabled is told to who has a token of it, and to nobody else", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const elsewhere = await signIn(server, ada);
  const { body: rotated } = await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
  const alter = (token: string): string => `${token.slice(0, -43)}${"A".repeat(43)}`;
  const another = (sessionId: string) => createRefreshToken({ userId: ada.id, sessionId });
  const ask = async (token: string): Promise<string> =>
    (await server.call(refreshTokens, { json: { refresh_token: token } })).body.code;
  const own = [ada.refreshToken, rotated.refresh_token, elsewhere.refreshToken];
  const forged = [alter(ada.refreshToken), another(sessionIdOf(elsewhere)), another(newId(START_MS))];

  await replaceUser(server.deps, ada.id, { status: "disabled" }, OPERATOR);
  for (const token of own) assert.equal(await ask(token), "account_disabled");
  for (const token of forged) assert.equal(await ask(token), "refresh_token_invalid");
  server.clock.nowMs += MINUTE_MS;
  assert.equal(await ask(rotated.refresh_token), "account_disabled");

  await replaceUser(server.deps, ada.id, { status: "active" }, OPERATOR);
  for (const token of [...own.slice(1), ...forged]) assert.equal(await ask(token), "refresh_token_invalid");
  await server.mails();
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
  server.clock.nowMs += DAY_MS;
  assert.equal(await ask(rotated.refresh_token), "refresh_token_invalid");
});

Deno.test("refreshTokens: ends on its own second, though access tokens of the session live longer", async () => {
  const env = { ...UNLIMITED, REFRESH_TOKEN_TTL: "10m", ACCESS_TOKEN_TTL: "30m" };
  await using server = await startServer({ env });
  const { accessToken: token, refreshToken } = await signUp(server);
  server.clock.nowMs += 10 * MINUTE_MS;
  assert.equal((await server.call(readMe, { token })).status, 200);
  const late = await server.call(refreshTokens, { json: { refresh_token: refreshToken } });
  assert.equal(late.body.code, "refresh_token_invalid");
});

Deno.test("refreshTokens: within ten seconds 50 parallel callers get the same successor, also after a restart", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const answers = await Promise.all(
    Array.from(
      { length: 50 },
      () => server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } }),
    ),
  );
  assert(answers.every(({ status }) => status === 200));
  const successors = new Set(answers.map(({ body }) => body.refresh_token));
  assert.equal(successors.size, 1);
  const [successor] = successors;

  await server.restart();
  server.clock.nowMs += 10 * SECOND_MS - 1;
  const late = await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
  assert.equal(late.body.refresh_token, successor);
  const next = await server.call(refreshTokens, { json: { refresh_token: successor } });
  assert.equal(next.status, 200);
  // The successor was used meanwhile; its predecessor, still in its grace, gives it all the same, and never a fork.
  const again = await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
  assert.equal(again.body.refresh_token, successor);
});

Deno.test("refreshTokens: used later it ends the session, once, and tells the owner", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const { body } = await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
  server.clock.nowMs += 10 * SECOND_MS;
  const before = (await server.mails()).length;
  const answers = await Promise.all(
    Array.from(
      { length: 10 },
      () => server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } }),
    ),
  );
  assert(answers.every((answer) => answer.body.code === "refresh_token_reused"));
  assert.equal((await server.call(readMe, { token: body.access_token })).body.code, "token_invalid");
  assert.equal(
    (await server.call(refreshTokens, { json: { refresh_token: body.refresh_token } })).body.code,
    "refresh_token_invalid",
  );
  const notices = (await server.mails()).slice(before);
  assert.deepEqual(notices.map(({ to, kind }) => ({ to, kind })), [{
    to: ada.email,
    kind: "refresh_token_replayed",
  }]);
});

Deno.test("refreshTokens: the session ends after 30 days, however often it is refreshed", async () => {
  await using server = await startServer({ env: UNLIMITED });
  let { refreshToken } = await signUp(server);
  for (let half = 1; half < 60; half++) {
    server.clock.nowMs += DAY_MS / 2;
    const { status, body } = await server.call(refreshTokens, { json: { refresh_token: refreshToken } });
    assert.equal(status, 200);
    assert(body.refresh_expires_in <= (60 - half) * 43_200);
    refreshToken = body.refresh_token;
  }
  server.clock.nowMs += DAY_MS / 2;
  assert.equal(
    (await server.call(refreshTokens, { json: { refresh_token: refreshToken } })).body.code,
    "refresh_token_invalid",
  );
});

Deno.test("refreshTokens: an access token ends with its session, also for who reads nothing but the token", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, REFRESH_TOKEN_TTL: "30d" } });
  const { refreshToken } = await signUp(server);
  const sessionEndsAt = (server.clock.nowMs + 30 * DAY_MS) / 1000;
  server.clock.nowMs += 30 * DAY_MS - MINUTE_MS;
  const { body } = await server.call(refreshTokens, { json: { refresh_token: refreshToken } });
  assert.deepEqual([body.expires_in, body.refresh_expires_in], [60, 60]);
  assert.equal(decodeJwt(body.access_token).exp, sessionEndsAt);

  server.clock.nowMs += MINUTE_MS - 1;
  const last = await server.call(refreshTokens, { json: { refresh_token: body.refresh_token } });
  assert.deepEqual([last.status, last.body.expires_in, last.body.refresh_expires_in], [200, 1, 1]);
  assert.equal(decodeJwt(last.body.access_token).exp, sessionEndsAt);
});

Deno.test("refreshTokens: tokens stand nowhere in the store", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const { body } = await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
  for await (const { key, value } of server.db.list({ prefix: [] })) {
    const text = Deno.inspect([key, value], { depth: 20, strAbbreviateSize: 100_000, iterableLimit: 1e6 });
    for (const secret of [ada.refreshToken, body.refresh_token, ada.accessToken]) {
      assert(!text.includes(secret.slice(48)));
    }
  }
});

Deno.test("verifyToken: tells the truth about revocation, and nothing about refresh tokens", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const { body } = await server.call(verifyToken, { json: { token: ada.accessToken } });
  assert.deepEqual(body, {
    active: true,
    sub: ada.id,
    sid: decodeJwt(ada.accessToken).sid,
    role: "user",
    exp: decodeJwt(ada.accessToken).exp,
    iat: decodeJwt(ada.accessToken).iat,
    iss: "http://localhost:8000",
    aud: "http://localhost:8000",
    token_type: "Bearer",
  });
  assert.deepEqual((await server.call(verifyToken, { json: { token: ada.refreshToken } })).body, {
    active: false,
  });
  await server.call(logout, { token: ada.accessToken });
  assert.deepEqual((await server.call(verifyToken, { json: { token: ada.accessToken } })).body, {
    active: false,
  });
});

Deno.test("logout: ends this session at once, also after a restart, and no other", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const other = await server.call(login, { json: { email: ada.email, password: ada.password } });
  const answer = await server.call(logout, {
    token: ada.accessToken,
    json: { refresh_token: ada.refreshToken },
  });
  assert.equal(answer.status, 204);
  for (const when of ["at once", "after a restart"]) {
    assert.equal((await server.call(readMe, { token: ada.accessToken })).body.code, "token_invalid", when);
    const refreshed = await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
    assert.equal(refreshed.body.code, "refresh_token_invalid", when);
    await server.restart();
  }
  assert.equal((await server.call(readMe, { token: other.body.access_token })).status, 200);
});

Deno.test("logout: needs no body, and somebody else's refresh token is left alone", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const bob = await signUp(server, { email: "bob@example.org" });
  const answer = await server.call(logout, {
    token: ada.accessToken,
    json: { refresh_token: bob.refreshToken },
  });
  assert.equal(answer.status, 204);
  assert.equal((await server.call(logout, { token: bob.accessToken })).status, 204);
});

Deno.test("a disabled account's token: 403, and enabled again it works no more than its session does", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  await overwriteUser(server, ada, { status: "disabled" });
  assert.equal((await server.call(readMe, { token: ada.accessToken })).body.code, "account_disabled");
});

Deno.test("readMe: answers 304 to who has this state already", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const first = await server.call(readMe, { token: ada.accessToken });
  const etag = first.headers.get("etag") ?? "";
  assert.match(etag, /^"[\w-]+"$/);
  const unchanged = await server.call(readMe, { token: ada.accessToken, headers: { "if-none-match": etag } });
  assert.equal(unchanged.status, 304);
  await server.call(login, { json: { email: ada.email, password: ada.password } });
  const changed = await server.call(readMe, { token: ada.accessToken, headers: { "if-none-match": etag } });
  assert.equal(changed.status, 200);
});

Deno.test("session: its last use is noted, at most once a minute", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const key = keys.session(ada.id, String(decodeJwt(ada.accessToken).sid));
  const startedAtMs = server.clock.nowMs;
  server.clock.nowMs += MINUTE_MS - 1;
  await server.call(readMe, { token: ada.accessToken });
  assert.equal((await server.kv.find(key)).value?.lastUsedAtMs, startedAtMs);
  server.clock.nowMs += 1;
  await server.call(readMe, { token: ada.accessToken });
  assert.equal((await server.kv.find(key)).value?.lastUsedAtMs, server.clock.nowMs);
});

Deno.test("session: one that ends while its use is noted has ended", async () => {
  const watched = watchKv();
  await using server = await startServer({ env: UNLIMITED, wrapKv: watched.wrap });
  const ada = await signUp(server);
  const { id: userId, accessToken: token } = ada;
  const sessionId = sessionIdOf(ada);
  server.clock.nowMs += MINUTE_MS;
  watched.beforeNextCommit(() => removeSession(server.deps, { userId, sessionId }, OPERATOR));
  await server.call(readMe, { token });
  assert.equal((await server.call(readMe, { token })).body.code, "token_invalid");
});
