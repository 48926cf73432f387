// The clock of a running server is set back or forward by an hour. Nobody gets a guess for free, no wait is without
// end, and nothing lives for ever: the bounds stand at each row. A step forward only ends things as the hour would have;
// a step back lets what has an end of its own last the step longer, and limits count from the clock as it is now.

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { confirmPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { register, resendOtp, verifyOtp } from "../openapi/registration.ts";
import { login, refreshTokens, verifyToken } from "../openapi/sessions.ts";
import { createBreaker } from "../src/mail/breaker.ts";
import {
  type Answer,
  DAY_MS,
  HOUR_MS,
  MINUTE_MS,
  PASSWORD,
  SECOND_MS,
  startServer,
  type TestServer,
  UNLIMITED,
} from "./harness.ts";
import { otherThan, type Person, signUp, startReset, takeResetToken } from "./person.ts";

const STEP_MS = HOUR_MS;
const OTHER_PASSWORD = "amber-kettle-81";
const ACCESS_TTL_MS = 30 * MINUTE_MS;
const OTP_TTL_MS = 10 * MINUTE_MS;
const RESET_TOKEN_TTL_MS = 10 * MINUTE_MS;
/** How far the clocks of two servers may differ before a token is from the future. */
const SKEW_MS = 60 * SECOND_MS;

/** One feature: what is done before the step, and what must hold after a step in each direction. */
interface Row<Made> {
  readonly env?: Readonly<Record<string, string>>;
  readonly before: (server: TestServer) => Promise<Made>;
  readonly back: (server: TestServer, made: Made) => Promise<void>;
  readonly forward: (server: TestServer, made: Made) => Promise<void>;
}

/** Keeps the type of what a row makes. */
function row<Made>(row: Row<Made>): { run(direction: "back" | "forward"): Promise<void> } {
  return {
    async run(direction) {
      await using server = await startServer({ env: { ...UNLIMITED, ...row.env } });
      const made = await row.before(server);
      server.clock.nowMs += direction === "back" ? -STEP_MS : STEP_MS;
      await row[direction](server, made);
    },
  };
}

const rows: Readonly<Record<string, ReturnType<typeof row>>> = {
  "a used up limit, wait at most its window": row({
    env: { THROTTLE_LOGIN: "3/1m" },
    before: async (server) => {
      for (let attempt = 0; attempt < 3; attempt++) await signInWrongly(server);
    },
    back: async (server) => {
      const refused = await signInWrongly(server);
      assert.equal(refused.status, 429);
      assert(refused.body.retry_after <= MINUTE_MS / 1000, String(refused.body.retry_after));
      await requireAdmitted(server, { count: 0 });
      server.clock.nowMs += refused.body.retry_after * 1000;
      await requireAdmitted(server, { count: 3 });
    },
    forward: (server) => requireAdmitted(server, { count: 3 }),
  }),
  "a used up limit of a day, counted in slots, wait at most its window and a slot": row({
    env: { THROTTLE_ANONYMOUS: "120/1d" },
    before: async (server) => {
      for (let request = 0; request < 120; request++) {
        await server.call(verifyToken, { json: { token: "x" } });
      }
    },
    back: async (server) => {
      const refused = await server.call(verifyToken, { json: { token: "x" } });
      assert.equal(refused.status, 429);
      assert(refused.body.retry_after * 1000 <= DAY_MS * 257 / 256, String(refused.body.retry_after));
      server.clock.nowMs += refused.body.retry_after * 1000;
      assert.equal((await server.call(verifyToken, { json: { token: "x" } })).status, 200);
    },
    forward: async (server) => {
      const refused = await server.call(verifyToken, { json: { token: "x" } });
      assert.equal(refused.status, 429);
      assert(refused.body.retry_after * 1000 <= DAY_MS - STEP_MS + DAY_MS / 256);
    },
  }),
  "guesses at one code, five in all": row({
    env: { OTP_TTL: "5h" },
    before: async (server) => {
      const guess = await beginGuessing(server);
      assert.deepEqual([await guess(), await guess()], [4, 3]);
      return guess;
    },
    back: async (_, guess) =>
      assert.deepEqual([await guess(), await guess(), await guess(), await guess()], [2, 1, 0, null]),
    forward: async (_, guess) =>
      assert.deepEqual([await guess(), await guess(), await guess(), await guess()], [2, 1, 0, null]),
  }),
  "guesses at one account, ten a day at six digits": row({
    before: async (server) => {
      const { email } = await signUp(server);
      for (let challenge = 0; challenge < 2; challenge++) {
        const id = await startReset(server, email);
        const code = otherThan(await server.codeFor(email));
        for (let guess = 0; guess < 5; guess++) {
          await server.call(verifyPasswordResetOtp, { json: { challenge_id: id, code } });
        }
      }
      return email;
    },
    back: requireLongCode,
    forward: requireLongCode,
  }),
  "a code, its life and the step at most": row({
    before: beginRegistration,
    back: async (server, { json }) => {
      server.clock.nowMs += STEP_MS + OTP_TTL_MS;
      assert.equal((await server.call(verifyOtp, { json })).body.code, "otp_expired");
      server.clock.nowMs -= 1;
      assert.equal((await server.call(verifyOtp, { json })).status, 201);
    },
    forward: async (server, { json }) =>
      assert.equal((await server.call(verifyOtp, { json })).body.code, "otp_expired"),
  }),
  "the next code, wait at most the step and OTP_RESEND_AFTER": row({
    before: beginRegistration,
    back: async (server, { json: { challenge_id } }) => {
      const early = await server.call(resendOtp, { json: { challenge_id } });
      assert.equal(early.status, 429);
      assert(early.body.retry_after * 1000 <= STEP_MS + MINUTE_MS);
      server.clock.nowMs += early.body.retry_after * 1000;
      assert.equal((await server.call(resendOtp, { json: { challenge_id } })).status, 202);
    },
    forward: async (server, { json: { challenge_id } }) =>
      assert.equal((await server.call(resendOtp, { json: { challenge_id } })).status, 202),
  }),
  "a reset token, its life and the step at most": row({
    before: async (server) => await takeResetToken(server, (await signUp(server)).email),
    back: async (server, resetToken) => {
      const json = { reset_token: resetToken, new_password: OTHER_PASSWORD };
      server.clock.nowMs += STEP_MS + RESET_TOKEN_TTL_MS;
      assert.equal((await server.call(confirmPasswordReset, { json })).status, 410);
      server.clock.nowMs -= 1;
      assert.equal((await server.call(confirmPasswordReset, { json })).status, 204);
    },
    forward: async (server, resetToken) => {
      const json = { reset_token: resetToken, new_password: OTHER_PASSWORD };
      assert.equal((await server.call(confirmPasswordReset, { json })).status, 410);
    },
  }),
  "an access token, refused while it is from the future, its life and the step at most": row({
    before: signUp,
    back: async (server, person) => {
      assert.equal((await readMeOf(server, person)).body.code, "token_invalid");
      server.clock.nowMs += STEP_MS - SKEW_MS - 1_000;
      assert.equal((await readMeOf(server, person)).body.code, "token_invalid");
      server.clock.nowMs += SKEW_MS + 1_000 + ACCESS_TTL_MS;
      assert.equal((await readMeOf(server, person)).body.code, "token_invalid");
      server.clock.nowMs -= 1_000;
      assert.equal((await readMeOf(server, person)).status, 200);
    },
    forward: async (server, person) =>
      assert.equal((await readMeOf(server, person)).body.code, "token_invalid"),
  }),
  "the way on from an access token, by the refresh token at once": row({
    before: signUp,
    back: requireRefreshed,
    forward: requireRefreshed,
  }),
  "a refresh token, its life and the step at most": row({
    env: { REFRESH_TOKEN_TTL: "2h" },
    before: signUp,
    back: async (server, person) => {
      server.clock.nowMs += STEP_MS + 2 * HOUR_MS;
      assert.equal((await refresh(server, person)).status, 401);
      server.clock.nowMs -= 1;
      assert.equal((await refresh(server, person)).status, 200);
    },
    forward: async (server, person) => {
      server.clock.nowMs += HOUR_MS;
      assert.equal((await refresh(server, person)).status, 401);
    },
  }),
  "a stolen refresh token, taken for a lost answer for its grace and the step at most": row({
    before: async (server) => {
      const person = await signUp(server);
      const { body } = await refresh(server, person);
      return { person, successor: body.refresh_token };
    },
    back: async (server, { person, successor }) => {
      // Never a fork: whoever has the old one gets the one that is there.
      assert.equal((await refresh(server, person)).body.refresh_token, successor);
      server.clock.nowMs += STEP_MS + 10 * SECOND_MS;
      assert.equal((await refresh(server, person)).body.code, "refresh_token_reused");
    },
    forward: async (server, { person }) =>
      assert.equal((await refresh(server, person)).body.code, "refresh_token_reused"),
  }),
  "a session, its limit and the step at most, however often it is refreshed": row({
    env: { SESSION_MAX_AGE: "3h", REFRESH_TOKEN_TTL: "2h" },
    before: signUp,
    back: async (server, person) => await requireEndAfter(server, person, STEP_MS + 3 * HOUR_MS),
    forward: async (server, person) => await requireEndAfter(server, person, 3 * HOUR_MS - STEP_MS),
  }),
  "a mail that waits, at most the step; a new one at once": row({
    before: async (server) => {
      await server.call(register, { json: { email: "waiting@example.org", password: PASSWORD } });
    },
    back: async (server) => {
      await server.call(register, { json: { email: "new@example.org", password: PASSWORD } });
      await server.codeFor("new@example.org");
      server.clock.nowMs += STEP_MS;
      await server.codeFor("waiting@example.org");
    },
    forward: async (server) => {
      await server.call(register, { json: { email: "new@example.org", password: PASSWORD } });
      await server.codeFor("new@example.org");
      // Its code is dead.
      assert(!(await server.mails()).some(({ to }) => to === "waiting@example.org"));
    },
  }),
};

for (const direction of ["back", "forward"] as const) {
  Deno.test(`clock: after a step of an hour ${direction} nothing is free, endless or immortal`, async (t) => {
    for (const [name, { run }] of Object.entries(rows)) await t.step(name, () => run(direction));
  });
}

Deno.test("clock: a clock that goes to and fro gives no sixth guess at a code", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, OTP_TTL: "5h", THROTTLE_OTP: "3/1m" } });
  const guess = await beginGuessing(server);
  let judged = 0;
  for (let swing = 0; swing < 20; swing++) {
    server.clock.nowMs += swing % 2 === 0 ? STEP_MS : -STEP_MS;
    for (let tries = 0; tries < 4; tries++) if (await guess() !== null) judged++;
  }
  assert.equal(judged, 5);
});

Deno.test("clock: a step of an hour keeps no mail from a server that is back", () => {
  for (const stepMs of [-STEP_MS, STEP_MS]) {
    let nowMs = 10 * STEP_MS;
    const breaker = createBreaker(() => nowMs);
    assert(breaker.fail(breaker.admit()));
    assert.equal(breaker.admit(), "wait");
    nowMs += stepMs;
    assert.equal(breaker.admit(), "probe");
  }
});

async function signInWrongly(server: TestServer): Promise<Answer> {
  return await server.call(login, { json: { email: "ada@example.org", password: OTHER_PASSWORD } });
}

/** Exactly so many of a few attempts are judged now. */
async function requireAdmitted(server: TestServer, { count }: { readonly count: number }): Promise<void> {
  let admitted = 0;
  for (let attempt = 0; attempt < 5; attempt++) if ((await signInWrongly(server)).status === 401) admitted++;
  assert.equal(admitted, count);
}

/** A code that is mailed, and what confirms it. */
async function beginRegistration(
  server: TestServer,
): Promise<{ readonly json: { readonly challenge_id: string; readonly code: string } }> {
  const email = "ada@example.org";
  const { body } = await server.call(register, { json: { email, password: PASSWORD } });
  return { json: { challenge_id: body.challenge_id, code: await server.codeFor(email) } };
}

/** A wrong guess: how many are left after it, or null when it was not judged. */
async function beginGuessing(server: TestServer): Promise<() => Promise<number | null>> {
  const { json } = await beginRegistration(server);
  const wrong = { ...json, code: otherThan(json.code) };
  return async () => (await server.call(verifyOtp, { json: wrong })).body.attempts_remaining ?? null;
}

async function requireLongCode(server: TestServer, email: string): Promise<void> {
  await startReset(server, email);
  assert.equal((await server.codeFor(email)).replaceAll("-", "").length, 10);
}

function readMeOf(server: TestServer, { accessToken }: Person): Promise<Answer> {
  return server.call(readMe, { token: accessToken });
}

function refresh(server: TestServer, { refreshToken }: Person): Promise<Answer> {
  return server.call(refreshTokens, { json: { refresh_token: refreshToken } });
}

async function requireRefreshed(server: TestServer, person: Person): Promise<void> {
  const { status, body } = await refresh(server, person);
  assert.equal(status, 200);
  assert.equal((await server.call(readMe, { token: body.access_token })).status, 200);
}

/** Refreshes every half hour, and is refused once `lifeMs` are over. */
async function requireEndAfter(server: TestServer, person: Person, lifeMs: number): Promise<void> {
  let refreshToken = person.refreshToken;
  for (let ageMs = 0; ageMs < lifeMs; ageMs += HOUR_MS / 2) {
    const { status, body } = await refresh(server, { ...person, refreshToken });
    assert.equal(status, 200, `after ${ageMs} ms`);
    refreshToken = body.refresh_token;
    server.clock.nowMs += HOUR_MS / 2;
  }
  assert.equal((await refresh(server, { ...person, refreshToken })).status, 401);
}
