// Signing keys that change: nobody is signed out by it, and a key that leaked is worthless within a second, for every
// token and on every instance.

import assert from "node:assert/strict";
import { decodeProtectedHeader } from "jose";
import { readMe } from "../openapi/account.ts";
import { login, refreshTokens, verifyToken } from "../openapi/sessions.ts";
import { readKeys } from "../openapi/service.ts";
import { rotateSigningKey, TAKEN_UP_MS } from "../src/keyring.ts";
import { createSecrets } from "../src/secrets.ts";
import { collectSigningKeys, removeOlderSigningKeys } from "../src/store/signing_keys.ts";
import {
  type Answer,
  callApp,
  MINUTE_MS,
  PASSWORD,
  SECOND_MS,
  startServer,
  type TestServer,
  UNLIMITED,
} from "./harness.ts";
import { signIn, signUp } from "./person.ts";
import { createSite, eventually, type Site } from "./process.ts";
import { createSecondInstance } from "./second_instance.ts";
import { requireTask, runTask } from "./tool_run.ts";

const EMAIL = "ada@example.org";
const ACCESS_TTL_MS = 30 * MINUTE_MS;
/** Five minutes of a cache, a second of a server that has not noticed yet, a minute of clocks. */
const AHEAD_MS = 6 * MINUTE_MS + SECOND_MS;
const OVERLAP_MS = ACCESS_TTL_MS + MINUTE_MS;

Deno.test("keys:rotate beside a server: the new key signs, the old one verifies, nobody is signed out", async () => {
  await using site = await createSite();
  await site.startServer(UNLIMITED);
  const before = await signInAt(site);
  const printed = await requireTask(site, "keys:rotate");
  assert.match(printed, /^The key \S{16} signs from now on.*\nThe key before it verifies until 20\S+Z;/);

  const keys = await eventually("the server shows both keys", async () => {
    const { body } = await site.call(readKeys);
    return body.keys.length === 2 && body.keys;
  }, { limitMs: 3_000 });
  assert.deepEqual(Object.keys(keys[0]).sort(), ["alg", "crv", "kid", "kty", "use", "x"]);
  const after = await signInAt(site);
  assert.notEqual(kidOf(after.access_token), kidOf(before.access_token));
  assert.equal(printed.includes(kidOf(after.access_token)), true);
  for (const token of [before.access_token, after.access_token]) {
    assert.equal((await site.call(readMe, { token })).status, 200);
  }
  const refreshed = await site.call(refreshTokens, { json: { refresh_token: before.refresh_token } });
  assert.equal(refreshed.status, 200, refreshed.text);
  assert.equal(kidOf(refreshed.body.access_token), kidOf(after.access_token));
});

Deno.test("keys:rotate --announce beside a server: the new key is shown at once, and signs minutes later", async () => {
  await using site = await createSite();
  await site.startServer(UNLIMITED);
  const before = await signInAt(site);
  const printed = await requireTask(site, "keys:rotate", ["--announce"]);
  const [, kid, signsAt = ""] =
    /^The key (\S{16}) signs from (20\S+Z) on; .*\nThe key before it verifies until 20\S+Z;/
      .exec(printed) ?? assert.fail(printed);
  const waitMs = Date.parse(signsAt) - Date.now();
  assert(waitMs > 5 * MINUTE_MS && waitMs <= AHEAD_MS, signsAt);
  await eventually("the server shows both keys", async () => {
    const { body } = await site.call(readKeys);
    return body.keys.some((key: { kid: string }) => key.kid === kid) && body.keys.length === 2;
  }, { limitMs: 3_000 });
  const after = await signInAt(site);
  assert.equal(kidOf(after.access_token), kidOf(before.access_token));
  assert.equal((await site.call(readMe, { token: after.access_token })).status, 200);

  const { status, stderr } = await runTask(site, "keys:rotate", ["--announce", "--revoke-old"]);
  assert.equal(status, 1);
  assert.match(stderr, /do not go together/);
});

Deno.test("keys:rotate --revoke-old beside a server: old access tokens are refused, sessions go on", async () => {
  await using site = await createSite();
  await site.startServer(UNLIMITED);
  const before = await signInAt(site);
  assert.equal((await site.call(readMe, { token: before.access_token })).status, 200);
  const printed = await requireTask(site, "keys:rotate", ["--revoke-old"]);
  assert.match(
    printed,
    /^The key \S{16} signs from now on;.*\nThe older keys are revoked.*\nOther services must read /,
  );
  // Not one token more of the revoked key: who signs in now need not refresh.
  const late = await site.call(login, { json: { email: EMAIL, password: PASSWORD } });
  assert.equal(printed.includes(kidOf(late.body.access_token)), true);

  const refused = await eventually("the old token is refused", async () => {
    const answer = await site.call(readMe, { token: before.access_token });
    return answer.status !== 200 && answer;
  }, { limitMs: 2_000 });
  assert.deepEqual([refused.status, refused.body.code], [401, "token_invalid"]);
  const refreshed = await site.call(refreshTokens, { json: { refresh_token: before.refresh_token } });
  assert.equal(refreshed.status, 200, refreshed.text);
  assert.equal((await site.call(readMe, { token: refreshed.body.access_token })).status, 200);
  assert.equal((await site.call(readKeys)).body.keys.length, 1);
});

Deno.test("keys:rotate --revoke-old --end-sessions beside a server: everybody has to sign in again", async () => {
  await using site = await createSite();
  await site.startServer(UNLIMITED);
  const before = await signInAt(site);
  const printed = await requireTask(site, "keys:rotate", ["--revoke-old", "--end-sessions"]);
  assert.match(printed, /1 session has ended/);
  const refused = await site.call(refreshTokens, { json: { refresh_token: before.refresh_token } });
  assert.deepEqual([refused.status, refused.body.code], [401, "refresh_token_invalid"]);
  const { body } = await site.call(login, { json: { email: EMAIL, password: PASSWORD } });
  assert.equal((await site.call(readMe, { token: body.access_token })).status, 200);
});

Deno.test("keys:rotate says what is wrong in a sentence, and changes nothing", async (t) => {
  await using site = await createSite();
  await requireTask(site, "keys:rotate");
  const settings = { SECRET_KEY: "7Vb2xk0Qm9ZtRrY4sWcL1pHdJ8gNfEuA" };
  const cases = [
    { name: "another SECRET_KEY", args: [], settings, says: /^SECRET_KEY is not the one/ },
    { name: "unknown option", args: ["--now"], says: /^Unknown option '--now'\n\n/ },
    { name: "operand", args: ["all"], says: /^Unexpected argument 'all'/ },
    {
      name: "bad settings",
      args: [],
      settings: { PORT: "x" },
      says: /^These settings do not work:\n {2}PORT must/,
    },
  ];
  for (const { name, args, settings = {}, says } of cases) {
    await t.step(name, async () => {
      const { status, stdout, stderr } = await runTask(site, "keys:rotate", args, { settings });
      assert.deepEqual([status, stdout], [1, ""]);
      assert.match(stderr, says);
    });
  }
  const help = await requireTask(site, "keys:rotate", ["--help"]);
  assert.match(help, /--revoke-old {2}.*\n(.*\n)* {2}--end-sessions/);
});

Deno.test("rotation: the old key verifies until its last token has expired, then it is gone", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const person = await signUp(server);
  await rotate(server, { isRevoking: false });
  server.clock.nowMs += 2 * SECOND_MS;
  assert.equal((await server.call(readKeys)).body.keys.length, 2);
  server.clock.nowMs += ACCESS_TTL_MS - 3 * SECOND_MS;
  assert.equal((await server.call(readMe, { token: person.accessToken })).status, 200);

  server.clock.nowMs += MINUTE_MS + SECOND_MS;
  assert.equal((await server.call(readKeys)).body.keys.length, 1);
  assert.equal((await collectSigningKeys(server.kv)).length, 1);
  const { accessToken } = await signIn(server, person);
  assert.equal((await server.call(readMe, { token: accessToken })).status, 200);
});

Deno.test("rotation: a second one leaves the end of the first key as it was", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await rotate(server, { isRevoking: false });
  server.clock.nowMs += 20 * MINUTE_MS;
  await rotate(server, { isRevoking: false });
  const ends = (await collectSigningKeys(server.kv)).map(({ expiresAtMs }) => expiresAtMs);
  const { nowMs } = server.clock;
  assert.deepEqual(
    new Set(ends),
    new Set([undefined, nowMs + OVERLAP_MS, nowMs - 20 * MINUTE_MS + OVERLAP_MS]),
  );
});

Deno.test("rotation: of many at once each leaves one key that signs", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await Promise.all(Array.from({ length: 8 }, () => rotate(server, { isRevoking: false })));
  const keys = await collectSigningKeys(server.kv);
  assert.equal(keys.length, 9);
  assert.equal(keys.filter(({ expiresAtMs }) => expiresAtMs === undefined).length, 1);
});

Deno.test("rotation: another instance takes a token of the new key at once, and refuses a revoked one's within a second", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const person = await signUp(server);
  const other = await createSecondInstance(server);
  const askOther = async (token: string): Promise<number> => (await callApp(other, readMe, { token })).status;
  assert.equal(await askOther(person.accessToken), 200);
  await rotate(server, { isRevoking: true });
  // This instance notices, the other one has just read its keys.
  server.clock.nowMs += SECOND_MS;
  assert.equal(await askOther(person.accessToken), 401);
  await rotate(server, { isRevoking: true });
  await server.restart();
  const { accessToken } = await signIn(server, person);
  assert.equal(await askOther(accessToken), 200);
});

Deno.test("rotation: a server that has not noticed yet hands out no token that another one refuses", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const { email } = await signUp(server);
  const unaware = await createSecondInstance(server);
  const signInThere = async (): Promise<string> => {
    const { status, body, text } = await callApp(unaware, login, { json: { email, password: PASSWORD } });
    assert.equal(status, 200, text);
    return body.access_token;
  };
  const oldKid = kidOf(await signInThere());
  const { deps, clock } = server;
  const rotation = await rotateSigningKey(deps, { accessTtlMs: ACCESS_TTL_MS, kind: "revoking" });
  assert(rotation);
  await server.restart();
  const late = await signInThere();
  assert.equal(kidOf(late), oldKid);
  const askAware = (token: string): Promise<Answer> => server.call(readMe, { token });
  assert.equal((await askAware(late)).status, 200);

  clock.nowMs += TAKEN_UP_MS;
  await removeOlderSigningKeys(deps, rotation);
  const afterwards = await signInThere();
  assert.equal(kidOf(afterwards), rotation.kid);
  assert.equal((await askAware(afterwards)).status, 200);
  assert.equal((await askAware(late)).status, 401);
});

Deno.test("rotation: a revocation leaves its own key, although another one signs by then", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const { deps } = server;
  const rotation = await rotateSigningKey(deps, { accessTtlMs: ACCESS_TTL_MS, kind: "revoking" });
  assert(rotation);
  await rotate(server, { isRevoking: false });
  await removeOlderSigningKeys(deps, rotation);
  const kept = await collectSigningKeys(server.kv);
  assert.equal(kept.length, 2);
  assert.equal(kept.find(({ expiresAtMs }) => expiresAtMs !== undefined)?.kid, rotation.kid);
});

Deno.test("rotation: of a hundred keys only a revoking one makes another", async () => {
  await using server = await startServer({ env: UNLIMITED });
  for (let count = 1; count < 100; count++) await rotate(server, { isRevoking: false });
  const { deps } = server;
  assert.equal(await rotateSigningKey(deps, { accessTtlMs: ACCESS_TTL_MS, kind: "at_once" }), null);
  assert(await rotateSigningKey(deps, { accessTtlMs: ACCESS_TTL_MS, kind: "revoking" }));
  assert.equal((await collectSigningKeys(server.kv)).length, 2);
});

Deno.test("rotation: verifyToken tells the truth about a revoked key, although the token passed before", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const { accessToken: token } = await signUp(server);
  assert.equal((await server.call(verifyToken, { json: { token } })).body.active, true);
  await rotate(server, { isRevoking: true });
  server.clock.nowMs += SECOND_MS;
  assert.deepEqual((await server.call(verifyToken, { json: { token } })).body, { active: false });
});

Deno.test("rotation under another SECRET_KEY is refused before anything is written", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const before = await collectSigningKeys(server.kv);
  const strange = createSecrets("another-key-of-32-bytes-0123456789abc");
  await assert.rejects(
    rotateSigningKey({ ...server.deps, secrets: strange }, {
      accessTtlMs: ACCESS_TTL_MS,
      kind: "revoking",
    }),
    /^WrongSecretKey/,
  );
  assert.deepEqual(await collectSigningKeys(server.kv), before);
});

/** A rotation, and with `isRevoking` at once the end of the older keys. */
async function rotate({ deps }: TestServer, { isRevoking }: { readonly isRevoking: boolean }): Promise<void> {
  const kind = isRevoking ? "revoking" : "at_once";
  const rotation = await rotateSigningKey(deps, { accessTtlMs: deps.config.accessTtlMs, kind });
  assert(rotation);
  if (isRevoking) await removeOlderSigningKeys(deps, rotation);
}

/** Signs in over HTTP, with an account made on the command line. */
async function signInAt(
  site: Site,
): Promise<{ readonly access_token: string; readonly refresh_token: string }> {
  await requireTask(site, "admin:create", ["--email", EMAIL, "--password-stdin"], { stdin: `${PASSWORD}\n` });
  const { status, body, text } = await site.call(login, { json: { email: EMAIL, password: PASSWORD } });
  assert.equal(status, 200, text);
  return body;
}

function kidOf(token: string): string {
  return decodeProtectedHeader(token).kid ?? "";
}
