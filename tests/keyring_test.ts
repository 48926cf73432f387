// Which key signs, where several processes meet on one store: none that somebody may not have, and none that was
// revoked. How keys are changed is in cli_keys_test.ts.

import assert from "node:assert/strict";
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { readMe } from "../openapi/account.ts";
import { readKeys } from "../openapi/service.ts";
import { login } from "../openapi/sessions.ts";
import { openKeyring, rotateSigningKey, TAKEN_UP_MS } from "../src/keyring.ts";
import { createSecrets } from "../src/secrets.ts";
import { keys } from "../src/store/keys.ts";
import { createKv } from "../src/store/kv.ts";
import { collectSigningKeys, removeOlderSigningKeys } from "../src/store/signing_keys.ts";
import {
  callApp,
  HOUR_MS,
  MINUTE_MS,
  PASSWORD,
  SECOND_MS,
  START_MS,
  startServer,
  UNLIMITED,
} from "./harness.ts";
import { signIn, signUp } from "./person.ts";
import { createSecondInstance } from "./second_instance.ts";
import { watchKv } from "./watched_kv.ts";

const ACCESS_TTL_MS = 30 * MINUTE_MS;
/** Five minutes of a cache, a second of a server that has not noticed yet, a minute of clocks. */
const AHEAD_MS = 6 * MINUTE_MS + SECOND_MS;

Deno.test("keyring: of two servers that start on an empty store both sign with the one key that is kept", async () => {
  const watched = watchKv();
  const kv = watched.wrap(createKv(await Deno.openKv(":memory:"), () => START_MS));
  try {
    const secrets = createSecrets("test-key-of-32-bytes-0123456789abcdef");
    const other = Promise.withResolvers<string>();
    watched.beforeNextCommit(async () => {
      const { kid } = await (await openKeyring(kv, secrets)).signingKey();
      other.resolve(kid);
    });
    const { kid } = await (await openKeyring(kv, secrets)).signingKey();
    assert.equal(kid, await other.promise);
    assert.deepEqual((await collectSigningKeys(kv)).map((record) => record.kid), [kid]);
  } finally {
    kv.close();
  }
});

Deno.test("keyring: announced, no token is signed with a key that a cache of the published ones lacks", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const person = await signUp(server);
  const unaware = await createSecondInstance(server);
  const { deps, clock } = server;
  const rotation = await rotateSigningKey(deps, { accessTtlMs: ACCESS_TTL_MS, kind: "announced" });
  assert(rotation);
  clock.nowMs += SECOND_MS - 1;
  const { body, headers } = await callApp(unaware, readKeys);
  assert.equal(body.keys.length, 1, "It has not noticed yet");
  const [, maxAge] = /^public, max-age=(\d+)$/.exec(headers.get("cache-control") ?? "") ?? assert.fail();
  let cache = { keySet: createLocalJWKSet(body), endsAtMs: clock.nowMs + Number(maxAge) * SECOND_MS };

  for (const endsAtMs = clock.nowMs + 8 * MINUTE_MS; clock.nowMs < endsAtMs;) {
    clock.nowMs += 10 * SECOND_MS;
    const { accessToken } = await signIn(server, person);
    if (clock.nowMs > cache.endsAtMs) {
      const fresh = await callApp(unaware, readKeys);
      cache = { keySet: createLocalJWKSet(fresh.body), endsAtMs: clock.nowMs + Number(maxAge) * SECOND_MS };
    }
    const verified = jwtVerify(accessToken, cache.keySet, { currentDate: new Date(clock.nowMs) });
    assert(await verified.then(() => true, () => false), `${(clock.nowMs - START_MS) / SECOND_MS} s after`);
    assert.equal(kidOf(accessToken) === rotation.kid, clock.nowMs >= rotation.signsAtMs);
  }
});

Deno.test("keyring: a new key signs on time after a restart, and whatever happens to the clock one signs", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const person = await signUp(server);
  const { deps, clock } = server;
  const requireSigned = async (by: string | undefined): Promise<void> => {
    const { accessToken } = await signIn(server, person);
    assert.equal(kidOf(accessToken), by);
    assert.equal((await server.call(readMe, { token: accessToken })).status, 200);
  };
  const first = kidOf(person.accessToken);
  // As by a tool on a machine whose clock is an hour ahead.
  clock.nowMs += HOUR_MS;
  const rotation = await rotateSigningKey(deps, { accessTtlMs: ACCESS_TTL_MS, kind: "announced" });
  clock.nowMs -= HOUR_MS;
  await requireSigned(first);
  await server.restart();
  await requireSigned(first);
  clock.nowMs += HOUR_MS + AHEAD_MS - 1;
  await requireSigned(first);
  clock.nowMs++;
  await requireSigned(rotation?.kid);
  clock.nowMs -= HOUR_MS;
  await requireSigned(first);

  // Set back when the first key is gone.
  await server.kv.change().remove(keys.signingKey(first)).commit();
  clock.nowMs += SECOND_MS;
  await requireSigned(rotation?.kid);
});

Deno.test("keyring: a revocation while another one waits leaves the key that signs until no server does", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const person = await signUp(server);
  const { deps, clock } = server;
  await rotateSigningKey(deps, { accessTtlMs: ACCESS_TTL_MS, kind: "announced" });
  clock.nowMs += SECOND_MS;
  const unaware = await createSecondInstance(server);
  const revocation = await rotateSigningKey(deps, { accessTtlMs: ACCESS_TTL_MS, kind: "revoking" });
  assert(revocation);
  await server.restart();
  const late = await callApp(unaware, login, { json: { email: person.email, password: PASSWORD } });
  assert.equal(kidOf(late.body.access_token), kidOf(person.accessToken));
  assert.equal((await server.call(readMe, { token: late.body.access_token })).status, 200);
  const kids = (await collectSigningKeys(server.kv)).map(({ kid }) => kid);
  assert.deepEqual(kids, [revocation.kid, kidOf(person.accessToken)], "What had not signed yet is gone");

  clock.nowMs += TAKEN_UP_MS;
  await removeOlderSigningKeys(deps, revocation);
  const { accessToken } = await signIn(server, person);
  assert.equal(kidOf(accessToken), revocation.kid);
  assert.equal((await server.call(readMe, { token: late.body.access_token })).status, 401);
});

function kidOf(token: string): string {
  return decodeProtectedHeader(token).kid ?? "";
}
