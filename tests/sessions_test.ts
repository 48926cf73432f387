// Sessions: sign-in, rotation with its grace and its reuse detection, sign-out, and what a token is worth after each.

import assert from "node:assert/strict";
import { decodeJwt, decodeProtectedHeader, importJWK, jwtVerify, SignJWT } from "jose";
import { readMe } from "../openapi/account.ts";
import { register } from "../openapi/registration.ts";
import { readKeys } from "../openapi/service.ts";
import { login, logout, refreshTokens, verifyToken } from "../openapi/sessions.ts";
import { keys } from "../src/store/keys.ts";
import { isPresent } from "../src/store/kv.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { type Person, signUp } from "./person.ts";

const WRONG = "not-the-password-7";

async function setStatus(server: TestServer, person: Person, status: "active" | "disabled"): Promise<void> {
  const entry = await server.kv.find(keys.user(person.id));
  assert(isPresent(entry));
  await server.kv.change().set(entry.key, { ...entry.value, status }).commit();
}

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
      if (isDisabled) await setStatus(server, ada, "disabled");
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

Deno.test("access token: the form of RFC 9068, verifiable by the published keys alone", async () => {
  await using server = await startServer();
  const ada = await signUp(server);
  const header = decodeProtectedHeader(ada.accessToken);
  assert.equal(header.typ, "at+jwt");
  assert.equal(header.alg, "EdDSA");
  const claims = decodeJwt(ada.accessToken);
  assert.deepEqual(Object.keys(claims).sort(), ["aud", "exp", "iat", "iss", "jti", "role", "sid", "sub"]);
  assert.equal(Number(claims.exp) - Number(claims.iat), 1800);

  const { body } = await server.call(readKeys);
  assert.deepEqual(Object.keys(body.keys[0]).sort(), ["alg", "crv", "kid", "kty", "use", "x"]);
  const key = body.keys.find(({ kid }: { kid: string }) => kid === header.kid);
  const { payload } = await jwtVerify(ada.accessToken, await importJWK(key, "EdDSA"), {
    issuer: "http://localhost:8000",
    audience: "http://localhost:8000",
    currentDate: new Date(server.clock.nowMs),
  });
  assert.equal(payload.sub, ada.id);
});

Deno.test("access token: refuses what is not one", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const [head = "", body = "", signature = ""] = ada.accessToken.split(".");
  const encode = (value: unknown): string =>
    new TextEncoder().encode(JSON.stringify(value)).toBase64({ alphabet: "base64url", omitPadding: true });
  const claims = decodeJwt(ada.accessToken);
  const hmac = await new SignJWT({ ...claims }).setProtectedHeader({ alg: "HS256", typ: "at+jwt" })
    .sign(new TextEncoder().encode("test-key-of-32-bytes-0123456789abcdef"));
  const rows = [
    { name: "a refresh token", token: ada.refreshToken },
    { name: "an altered claim", token: [head, encode({ ...claims, role: "admin" }), signature].join(".") },
    { name: "alg none", token: [encode({ alg: "none", typ: "at+jwt" }), body, ""].join(".") },
    {
      name: "alg none with a signature",
      token: [encode({ alg: "none", typ: "at+jwt" }), body, signature].join("."),
    },
    { name: "HS256", token: hmac },
    {
      name: "another typ",
      token: [encode({ ...decodeProtectedHeader(ada.accessToken), typ: "JWT" }), body, signature].join("."),
    },
    { name: "a cut signature", token: ada.accessToken.slice(0, -4) },
    { name: "words", token: "not.a.token" },
    { name: "a very long one", token: "x".repeat(5000) },
  ];
  for (const { name, token } of rows) {
    await t.step(name, async () => {
      const answer = await server.call(readMe, { token });
      assert.equal(answer.status, 401);
      assert.equal(answer.body.code, "token_invalid");
      assert.equal(answer.headers.get("www-authenticate"), 'Bearer error="invalid_token"');
      assert.deepEqual((await server.call(verifyToken, { json: { token: token.slice(0, 2048) } })).body, {
        active: false,
      });
    });
  }
  await t.step("none at all", async () => {
    const answer = await server.call(readMe);
    assert.equal(answer.body.code, "token_missing");
  });
  await t.step("in the query", async () => {
    const response = await server.request(`/api/v1/me?access_token=${ada.accessToken}`);
    assert.equal((await response.json()).code, "token_missing");
  });
});

Deno.test("access token: ends on the second, and is refused from before a step back of the clock", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  server.clock.nowMs += 30 * MINUTE_MS - 1;
  assert.equal((await server.call(readMe, { token: ada.accessToken })).status, 200);
  server.clock.nowMs += 1;
  assert.equal((await server.call(readMe, { token: ada.accessToken })).status, 401);
  server.clock.nowMs -= 2 * HOUR_MS;
  assert.equal((await server.call(readMe, { token: ada.accessToken })).status, 401);
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
      if (isDisabled) await setStatus(server, ada, "disabled");
      server.clock.nowMs += afterMs;
      const answer = await server.call(refreshTokens, { json: { refresh_token: token(ada) } });
      assert.equal(answer.body.code, problem, answer.text);
    });
  }
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
  await setStatus(server, ada, "disabled");
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
