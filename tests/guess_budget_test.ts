// The arithmetic of openapi/events.md: against codes of six digits nobody makes more than ten wrong guesses a day and
// account, however many codes are open at once; and whoever does so keeps nobody out.

import assert from "node:assert/strict";
import { requestAccountDeletion, requestEmailChange } from "../openapi/account.ts";
import { confirmPasswordReset, requestPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { register, resendOtp, verifyOtp } from "../openapi/registration.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, PASSWORD, SECOND_MS, startServer, UNLIMITED } from "./harness.ts";
import { otherThan, signUp, startReset } from "./person.ts";

const ADA = "ada@example.org";
const SHORT = /^\d{6}$/;
const LONG = /^[0-9A-Z]{5}-[0-9A-Z]{5}$/;

/** What a stranger does each hour with the codes that are open, the newest first: so many guesses at each. */
const strategies: readonly { name: string; hours: readonly (readonly number[])[] }[] = [
  { name: "all that there are", hours: [[5, 5, 5, 5, 5, 5]] },
  { name: "nine, and an hour later all that there are", hours: [[5, 4], [5, 5, 5, 5, 5, 5]] },
  { name: "one at each", hours: [[1, 1, 1, 1, 1, 1]] },
  { name: "four at each, and later all that there are", hours: [[4, 4, 4], [4, 4, 4], [5, 5, 5, 5, 5, 5]] },
];

for (
  const { name: limits, env } of [{ name: "the usual limits", env: {} }, { name: "no limit", env: UNLIMITED }]
) {
  for (const { name, hours } of strategies) {
    Deno.test(`codes: with ${limits} a stranger who tries ${name} has at most ten guesses a day at six digits`, async () => {
      await using server = await startServer({ env });
      await signUp(server, { ip: "192.0.2.1" });
      let network = 0;
      const ip = (): string => `10.0.${++network >> 8 & 255}.${network & 255}`;
      const guessedAtMs: number[] = [];
      for (let hour = 0; hour < 30; hour++) {
        const open: { id: string; code: string }[] = [];
        for (let nth = 0; nth < 6; nth++) {
          server.clock.nowMs += 1;
          const asked = await server.call(requestPasswordReset, { json: { email: ADA }, ip: ip() });
          if (asked.status !== 202) continue;
          const code = await server.codeFor(ADA);
          // Against a long code there is no hope: the stranger keeps to the short ones.
          if (SHORT.test(code)) open.unshift({ id: asked.body.challenge_id, code });
        }
        const plan = hours[hour % hours.length] ?? [];
        for (const [index, { id, code }] of open.entries()) {
          for (let nth = 0; nth < (plan[index] ?? 0); nth++) {
            if (nth === 3) server.clock.nowMs += MINUTE_MS;
            const json = { challenge_id: id, code: otherThan(code) };
            const { status } = await server.call(verifyPasswordResetOtp, { json, ip: ip() });
            if (status === 400) guessedAtMs.push(server.clock.nowMs);
          }
        }
        server.clock.nowMs += HOUR_MS + SECOND_MS;
      }
      const inADay = guessedAtMs.map((ms) =>
        guessedAtMs.filter((other) => other <= ms && other > ms - DAY_MS).length
      );
      const most = Math.max(...inADay);
      assert(most >= 5 && most <= 10, `${most} in a day`);
    });
  }
}

Deno.test("codes: while others are open a new one may be long; once they are over it is short again", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await signUp(server);
  const lengths: number[] = [];
  for (let nth = 0; nth < 3; nth++) {
    await startReset(server, ADA);
    lengths.push((await server.codeFor(ADA)).length);
  }
  server.clock.nowMs += 10 * MINUTE_MS;
  await startReset(server, ADA);
  lengths.push((await server.codeFor(ADA)).length);
  assert.deepEqual(lengths, [6, 6, 11, 6]);
});

Deno.test("codes: a resend takes over what its challenge holds, and a right code gives it back", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await signUp(server);
  for (let nth = 0; nth < 4; nth++) {
    const challengeId = await startReset(server, ADA);
    server.clock.nowMs += MINUTE_MS;
    assert.equal((await server.call(resendOtp, { json: { challenge_id: challengeId } })).status, 202);
    const code = await server.codeFor(ADA);
    assert.match(code, SHORT, `round ${nth}`);
    const json = { challenge_id: challengeId, code };
    assert.equal((await server.call(verifyPasswordResetOtp, { json })).status, 200);
    server.clock.nowMs += SECOND_MS;
  }
});

Deno.test("codes: a stranger who uses the day's guesses up ends no code of the owner, and keeps nobody out", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await signUp(server);
  const owners = await startReset(server, ADA);
  const ownersCode = await server.codeFor(ADA);
  for (let nth = 0; nth < 3; nth++) {
    const strangers = await startReset(server, ADA);
    for (let times = 0; times < 5; times++) {
      await server.call(verifyPasswordResetOtp, { json: { challenge_id: strangers, code: "000000" } });
    }
  }
  const old = { challenge_id: owners, code: ownersCode };
  assert.equal((await server.call(verifyPasswordResetOtp, { json: old })).status, 200);
  server.clock.nowMs += HOUR_MS;
  const fresh = { challenge_id: await startReset(server, ADA), code: await server.codeFor(ADA) };
  assert.match(fresh.code, LONG);
  const { status, body } = await server.call(verifyPasswordResetOtp, { json: fresh });
  assert.equal(status, 200);
  const json = { reset_token: body.reset_token, new_password: "seven-otters-paddle-41" };
  assert.equal((await server.call(confirmPasswordReset, { json })).status, 204);
});

Deno.test("codes: one that the day has fewer than five guesses left for is long, and stands five like any other", async () => {
  for (const { made, code } of [{ made: 5, code: SHORT }, { made: 6, code: LONG }]) {
    await using server = await startServer({ env: UNLIMITED });
    const ada = await signUp(server);
    const guessWrong = async (challengeId: string): Promise<number | undefined> => {
      const json = { challenge_id: challengeId, code: otherThan(await server.codeFor(ADA)) };
      return (await server.call(verifyPasswordResetOtp, { json })).body.attempts_remaining;
    };
    for (const times of [3, made - 3]) {
      const challengeId = await startReset(server, ADA);
      for (let nth = 0; nth < times; nth++) await guessWrong(challengeId);
      server.clock.nowMs += 10 * MINUTE_MS;
    }
    server.clock.nowMs += 1;
    await server.call(requestAccountDeletion, { token: ada.accessToken });
    assert.match(await server.codeFor(ADA), code, "a deletion's");
    const challengeId = await startReset(server, ADA);
    assert.match(await server.codeFor(ADA), code, "a reset's");
    const remaining: unknown[] = [];
    for (let nth = 0; nth < 6; nth++) remaining.push(await guessWrong(challengeId));
    assert.deepEqual(remaining, [4, 3, 2, 1, 0, undefined]);
  }
});

Deno.test("codes: registrations of an address count for themselves, and hold nothing while they wait", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const guessWrong = async (attempt: typeof verifyOtp | typeof verifyPasswordResetOtp, id: string) => {
    for (let times = 0; times < 5; times++) {
      await server.call(attempt, { json: { challenge_id: id, code: "000000" } });
    }
  };
  for (let nth = 0; nth < 2; nth++) await guessWrong(verifyPasswordResetOtp, await startReset(server, ADA));
  const begin = async (): Promise<{ readonly challenge_id: string; readonly code: string }> => {
    server.clock.nowMs += 1;
    const { body } = await server.call(register, { json: { email: ADA, password: PASSWORD } });
    return { challenge_id: body.challenge_id, code: await server.codeFor(ADA) };
  };
  const waiting = [await begin(), await begin(), await begin()];
  for (const { code } of waiting) assert.match(code, SHORT);
  for (const { challenge_id } of waiting.slice(0, 2)) await guessWrong(verifyOtp, challenge_id);
  const late = await begin();
  assert.match(late.code, LONG);
  assert.equal((await server.call(verifyOtp, { json: late })).status, 201);
  await startReset(server, ADA);
  assert.match(await server.codeFor(ADA), SHORT, "the account has made none");
});

Deno.test("codes: resets that are asked for at the same moment share what the day has left", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await signUp(server);
  await Promise.all(
    Array.from({ length: 4 }, () => server.call(requestPasswordReset, { json: { email: ADA } })),
  );
  const resets = (await server.mails()).filter(({ kind }) => kind === "password_reset_code");
  assert.equal(resets.length, 4);
  assert.equal(resets.filter(({ code }) => SHORT.test(code ?? "")).length, 2);
});

Deno.test("codes: a reset, an e-mail change and a deletion that wait at once all have six digits", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const lengths: number[] = [];
  for (let nth = 0; nth < 2; nth++) {
    await startReset(server, ADA);
    lengths.push((await server.codeFor(ADA)).length);
    server.clock.nowMs += 1;
    const json = { new_email: "new@example.org", current_password: ada.password };
    await server.call(requestEmailChange, { token: ada.accessToken, json });
    lengths.push((await server.codeFor("new@example.org")).length);
    server.clock.nowMs += 1;
    await server.call(requestAccountDeletion, { token: ada.accessToken });
    lengths.push((await server.codeFor(ADA)).length);
  }
  assert.deepEqual(lengths, [6, 6, 6, 6, 6, 6]);
});
