// What a password reset must not show: to a stranger whether an address has an account, to whoever reads the store or
// the log a code, a token or a password.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import { confirmPasswordReset, requestPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { resendOtp } from "../openapi/registration.ts";
import { login } from "../openapi/sessions.ts";
import { MINUTE_MS, PASSWORD, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { otherThan, overwriteUser, signUp, startReset, takeResetToken } from "./person.ts";
import { type WatchedKv, watchKv } from "./watched_kv.ts";

const KNOWN = "ada@example.org";
const UNKNOWN = "eve@example.org";
const DISABLED = "bob@example.org";
const NEW = "seven-otters-paddle-41";

/** Everything that a stranger can see of one request, and what it cost the store. */
interface Observation {
  readonly status: number;
  readonly headers: unknown;
  readonly body: unknown;
  readonly reads: number;
  readonly commits: number;
}

/** A stranger who tries the same with several addresses, each from a network of its own. */
interface Stranger {
  observe(address: string, route: RouteConfig, json: Record<string, unknown>): Promise<Observation>;
  /** Of the last challenge for an address. */
  challengeOf(address: string): string;
}

function createStranger(server: TestServer, watched: WatchedKv): Stranger {
  const addresses = [KNOWN, UNKNOWN, DISABLED];
  const challenges = new Map<string, string>();
  return {
    challengeOf: (address) => challenges.get(address) ?? assert.fail(`No challenge for ${address}`),
    async observe(address, route, json) {
      await server.mails();
      const [reads, commits] = [watched.reads, watched.commits];
      const answer = await server.call(route, {
        json,
        ip: `203.0.113.${addresses.indexOf(address)}`,
        headers: { "x-request-id": "same" },
      });
      const { challenge_id: challengeId, ...body } = answer.body;
      if (challengeId) challenges.set(address, challengeId);
      return {
        status: answer.status,
        headers: [...answer.headers],
        body,
        reads: watched.reads - reads,
        commits: watched.commits - commits,
      };
    },
  };
}

for (
  const { name, env, mailed } of [
    { name: "with room for mail", env: {}, mailed: 5 },
    { name: "with the mail limit exhausted", env: { THROTTLE_MAIL: "1/1d" }, mailed: 1 },
  ]
) {
  Deno.test(`password reset: known, unknown and disabled look and cost the same, ${name}`, async (t) => {
    const watched = watchKv();
    await using server = await startServer({ env, wrapKv: watched.wrap });
    await signUp(server, { email: KNOWN, ip: "192.0.2.1" });
    const disabled = await signUp(server, { email: DISABLED, ip: "192.0.2.2" });
    await overwriteUser(server, disabled, { status: "disabled" });
    // The codes of the two registrations do not count as mail any more.
    server.clock.nowMs += 25 * 60 * MINUTE_MS;
    const before = (await server.mails()).length;
    const stranger = createStranger(server, watched);

    const compare = async (
      step: string,
      expected: number,
      ask: (address: string) => Promise<Observation>,
    ): Promise<void> => {
      await t.step(step, async () => {
        const reference = await ask(UNKNOWN);
        assert.equal(reference.status, expected, JSON.stringify(reference.body));
        for (const address of [KNOWN, DISABLED]) assert.deepEqual(await ask(address), reference, address);
      });
    };
    const request = (email: string): Promise<Observation> =>
      stranger.observe(email, requestPasswordReset, { email });
    const guess = (email: string): Promise<Observation> =>
      // Wrong for everybody but one time in a million.
      stranger.observe(email, verifyPasswordResetOtp, {
        challenge_id: stranger.challengeOf(email),
        code: "000000",
      });
    const resend = (email: string): Promise<Observation> =>
      stranger.observe(email, resendOtp, { challenge_id: stranger.challengeOf(email) });

    await compare("the first request", 202, request);
    await compare("a second one", 202, request);
    await compare("a third one", 202, request);
    await compare("a fourth one, over the limit of the address", 429, request);
    await compare("an early resend", 429, resend);
    for (const nth of ["first", "second", "third"]) await compare(`a ${nth} wrong guess`, 400, guess);
    await compare("one over the limit on codes", 429, guess);
    server.clock.nowMs += MINUTE_MS;
    await compare("a resend", 202, resend);
    await compare("the fourth wrong guess", 400, guess);
    server.clock.nowMs += MINUTE_MS;
    await compare("another resend", 202, resend);
    await compare("the last wrong guess", 400, guess);
    await compare("a guess at a dead challenge", 410, guess);
    await compare("a resend of a dead challenge", 410, resend);

    const delivered = (await server.mails()).slice(before).map(({ to }) => to);
    const count = (address: string): number => delivered.filter((to) => to === address).length;
    assert.deepEqual([count(KNOWN), count(DISABLED), count(UNKNOWN)], [mailed, mailed, 0]);
  });
}

Deno.test("password reset: a stranger's challenge does not tell that the owner has reset meanwhile", async () => {
  const watched = watchKv();
  await using server = await startServer({ env: UNLIMITED, wrapKv: watched.wrap });
  await signUp(server, { email: KNOWN });
  const stranger = createStranger(server, watched);
  for (const email of [KNOWN, UNKNOWN]) await stranger.observe(email, requestPasswordReset, { email });
  const done = await server.call(confirmPasswordReset, {
    json: { reset_token: await takeResetToken(server, KNOWN), new_password: NEW },
  });
  assert.equal(done.status, 204);
  server.clock.nowMs += MINUTE_MS;
  for (const route of [verifyPasswordResetOtp, resendOtp, verifyPasswordResetOtp]) {
    const observe = (email: string): Promise<Observation> =>
      stranger.observe(email, route, {
        challenge_id: stranger.challengeOf(email),
        ...(route === resendOtp ? {} : { code: "000000" }),
      });
    assert.deepEqual(await observe(KNOWN), await observe(UNKNOWN), route.operationId);
  }
});

Deno.test("password reset: no code, token or password stands in the store or the log, at no step", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await signUp(server, { email: KNOWN });
  // Ten characters: six digits stand by chance in any larger number.
  for (let round = 0; round < 2; round++) {
    const challengeId = await startReset(server, KNOWN);
    const code = otherThan(await server.codeFor(KNOWN));
    for (let times = 0; times < 5; times++) {
      await server.call(verifyPasswordResetOtp, { json: { challenge_id: challengeId, code } });
    }
  }
  const secrets = [PASSWORD, NEW];
  const search = async (step: string): Promise<void> => {
    const places = [...server.logged, ...await storeText(server.db)].map((text) => text.toLowerCase());
    for (const secret of secrets) {
      assert(!places.some((text) => text.includes(secret.toLowerCase())), `${secret} ${step}`);
    }
  };

  const challengeId = await startReset(server, KNOWN);
  secrets.push(challengeId);
  await search("while the mail is queued");
  const code = await server.codeFor(KNOWN);
  assert.match(code, /^[0-9A-Z]{5}-[0-9A-Z]{5}$/);
  secrets.push(code, code.replace("-", ""));
  await search("once the mail is sent");
  const { body } = await server.call(verifyPasswordResetOtp, { json: { challenge_id: challengeId, code } });
  // The form is documented; what follows it is the secret.
  secrets.push(body.reset_token.slice(4));
  await search("once the code was exchanged");
  const refused = await server.call(confirmPasswordReset, {
    json: { reset_token: body.reset_token, new_password: "password1" },
  });
  assert.equal(refused.status, 422);
  await search("once a password was refused");
  const done = await server.call(confirmPasswordReset, {
    json: { reset_token: body.reset_token, new_password: NEW },
  });
  assert.equal(done.status, 204);
  await search("once the password was reset");
  assert.equal((await server.call(login, { json: { email: KNOWN, password: NEW } })).status, 200);
  await search("once the new password was used");
});

/** Every record, its bytes read as letters. */
async function storeText(db: Deno.Kv): Promise<string[]> {
  const readBytes = (_: string, value: unknown): unknown =>
    value instanceof Uint8Array ? String.fromCharCode(...value) : value;
  const entries = await Array.fromAsync(db.list({ prefix: [] }));
  return entries.map(({ key, value }) => JSON.stringify([key, value], readBytes));
}
