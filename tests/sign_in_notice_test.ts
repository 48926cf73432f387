// Known networks: an account remembers for 30 days where it was signed in to, and its owner is mailed of a sign-in from
// anywhere else.

import assert from "node:assert/strict";
import { refreshTokens } from "../openapi/sessions.ts";
import type { OutgoingMail } from "../src/mail/mailer.ts";
import { DAY_MS, MINUTE_MS, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { overwriteUser, signIn, signUp } from "./person.ts";

const HOME = "192.0.2.1";
const AWAY = "203.0.113.7";

async function notices(server: TestServer): Promise<OutgoingMail[]> {
  return (await server.mails()).filter(({ kind }) => kind === "sign_in_new_network");
}

Deno.test("login: from a new network its owner is told once, with when, from where and with what", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server, { ip: HOME });
  server.clock.nowMs += 3 * MINUTE_MS;
  await signIn(server, ada, { ip: HOME });
  assert.deepEqual(await notices(server), [], "neither of the registration nor from where that was");
  const headers = {
    "user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) FxiOS/145.0 Safari/604.1",
  };
  await signIn(server, ada, { ip: AWAY, headers });
  const [notice] = await notices(server);
  assert.equal(notice?.to, ada.email);
  assert.match(notice?.text ?? "", /When: 2026-11-21 09:03 UTC\nFrom: 203\.0\.113\.7\nWith: Firefox on iOS/);
  await server.restart();
  for (const ip of [AWAY, HOME]) await signIn(server, ada, { ip });
  assert.equal((await notices(server)).length, 1);
});

Deno.test("login: a network is known for 30 days from the last sign-in, to the millisecond", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server, { ip: HOME });
  for (let times = 0; times < 2; times++) {
    server.clock.nowMs += 30 * DAY_MS - 1;
    await signIn(server, ada, { ip: HOME });
  }
  assert.equal((await notices(server)).length, 0, "each sign-in starts the 30 days anew");
  server.clock.nowMs += 30 * DAY_MS;
  await signIn(server, ada, { ip: HOME });
  assert.equal((await notices(server)).length, 1);
});

Deno.test("login: a network is an IPv6 /64, and an IPv4 address however it is written", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server, { ip: "2001:db8:0:1::7" });
  await signIn(server, ada, { ip: "2001:db8:0:1:ffff::1" });
  assert.equal((await notices(server)).length, 0);
  await signIn(server, ada, { ip: "2001:db8:0:2::7" });
  assert.equal((await notices(server)).length, 1);
  await signIn(server, ada, { ip: HOME });
  await signIn(server, ada, { ip: `::ffff:${HOME}` });
  assert.equal((await notices(server)).length, 2);
});

Deno.test("login: of parallel sign-ins from a new network the owner is told once", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server, { ip: HOME });
  await Promise.all(Array.from({ length: 10 }, () => signIn(server, ada, { ip: AWAY })));
  assert.equal((await notices(server)).length, 1);
});

Deno.test("login: each account has known networks of its own", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server, { ip: HOME });
  const bob = await signUp(server, { email: "bob@example.org", ip: AWAY });
  await signIn(server, bob, { ip: HOME });
  await signIn(server, ada, { ip: HOME });
  assert.deepEqual((await notices(server)).map(({ to }) => to), [bob.email]);
});

Deno.test("login: neither a wrong password nor a refresh makes a network known", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server, { ip: HOME });
  await assert.rejects(signIn(server, { ...ada, password: "not-the-password-7" }, { ip: AWAY }));
  await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken }, ip: AWAY });
  assert.equal((await notices(server)).length, 0);
  await signIn(server, ada, { ip: AWAY });
  assert.equal((await notices(server)).length, 1);
});

Deno.test("login: the first sign-in to an account that an admin made is no news", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server, { ip: HOME });
  await overwriteUser(server, ada, { lastLoginAtMs: null });
  await signIn(server, ada, { ip: AWAY });
  assert.equal((await notices(server)).length, 0);
});
