// Access tokens: their form, what is not one, and the second at which one ends.

import assert from "node:assert/strict";
import { decodeJwt, decodeProtectedHeader, importJWK, jwtVerify, SignJWT } from "jose";
import { readMe } from "../openapi/account.ts";
import { readKeys } from "../openapi/service.ts";
import { verifyToken } from "../openapi/sessions.ts";
import { HOUR_MS, MINUTE_MS, startServer, UNLIMITED } from "./harness.ts";
import { signUp } from "./person.ts";

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
