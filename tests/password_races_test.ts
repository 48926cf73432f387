// Passwords under parallel calls: every code, reset token and current password has one winner, and nothing that began
// with the old password outlives it. A rival that acts between another's read and commit makes the worst order sure.

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { changePassword, confirmPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { login, refreshTokens } from "../openapi/sessions.ts";
import { keys } from "../src/store/keys.ts";
import { type Answer, PASSWORD, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { otherThan, signIn, signUp, startReset, takeResetToken } from "./person.ts";
import { watchKv } from "./watched_kv.ts";

const ADA = "ada@example.org";
const NEW = "seven-otters-paddle-41";

const tryLogin = (server: TestServer, password: string): Promise<Answer> =>
  server.call(login, { json: { email: ADA, password } });

const tally = (answers: readonly Answer[]): Record<number, number> =>
  Object.fromEntries(
    [...Map.groupBy(answers, ({ status }) => status)].map(([status, { length }]) => [status, length]),
  );

Deno.test("confirmPasswordReset: of 20 parallel ones one wins, and its password is the one that works", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await signUp(server);
  const resetToken = await takeResetToken(server, ADA);
  const passwords = Array.from({ length: 20 }, (_, index) => `paddling-otter-${index}-of-twenty`);
  const answers = await Promise.all(
    passwords.map((password) =>
      server.call(confirmPasswordReset, { json: { reset_token: resetToken, new_password: password } })
    ),
  );
  assert.deepEqual(tally(answers), { 204: 1, 410: 19 });
  const winner = answers.findIndex(({ status }) => status === 204);
  const logins = await Promise.all([...passwords, PASSWORD].map((password) => tryLogin(server, password)));
  assert.deepEqual(
    logins.map(({ status }) => status === 200),
    logins.map((_, index) => index === winner),
  );
  const notices = (await server.mails()).filter(({ kind }) => kind === "password_reset_done");
  assert.equal(notices.length, 1);
});

Deno.test("confirmPasswordReset: one that looked before another one commits sets no password after it", async () => {
  const watched = watchKv();
  await using server = await startServer({ env: UNLIMITED, wrapKv: watched.wrap });
  const ada = await signUp(server);
  const resetToken = await takeResetToken(server, ada.email);
  const confirm = (password: string): Promise<Answer> =>
    server.call(confirmPasswordReset, { json: { reset_token: resetToken, new_password: password } });
  watched.beforeNextCommit(async () => {
    assert.equal((await confirm("granite-otter-58")).status, 204);
  });
  assert.equal((await confirm("seven-otters-paddle-41")).body?.code, "otp_expired");
  const json = { email: ada.email, password: "granite-otter-58" };
  assert.equal((await server.call(login, { json })).status, 200);
});

Deno.test("confirmPasswordReset: of two reset tokens of one account used at once one wins", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await signUp(server);
  const tokens = [await takeResetToken(server, ADA), await takeResetToken(server, ADA)];
  const answers = await Promise.all(
    tokens.map((token, index) =>
      server.call(confirmPasswordReset, { json: { reset_token: token, new_password: `${NEW}-${index}` } })
    ),
  );
  assert.deepEqual(tally(answers), { 204: 1, 410: 1 });
  const winner = answers.findIndex(({ status }) => status === 204);
  assert.equal((await tryLogin(server, `${NEW}-${winner}`)).status, 200);
});

Deno.test("verifyPasswordResetOtp: of 20 parallel right guesses one gets a reset token", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await signUp(server);
  const challengeId = await startReset(server, ADA);
  const code = await server.codeFor(ADA);
  const answers = await Promise.all(
    Array.from(
      { length: 20 },
      () => server.call(verifyPasswordResetOtp, { json: { challenge_id: challengeId, code } }),
    ),
  );
  assert.deepEqual(tally(answers), { 200: 1, 410: 19 });
  let tokens = 0;
  for await (const _ of server.db.list({ prefix: keys.resetToken("").path.slice(0, 1) })) tokens++;
  assert.equal(tokens, 1, "and one is stored");
});

Deno.test("verifyPasswordResetOtp: of 300 parallel wrong guesses five are compared, also across a restart", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await signUp(server);
  const challengeId = await startReset(server, ADA);
  const code = await server.codeFor(ADA);
  const guess = (): Promise<Answer> =>
    server.call(verifyPasswordResetOtp, { json: { challenge_id: challengeId, code: otherThan(code) } });
  assert.deepEqual(tally([await guess(), await guess()]), { 400: 2 });
  await server.restart();
  const answers = await Promise.all(Array.from({ length: 298 }, guess));
  assert.equal(tally(answers)[400], 3);
  const right = await server.call(verifyPasswordResetOtp, { json: { challenge_id: challengeId, code } });
  assert.equal(right.status, 410);
});

Deno.test("password reset: sign-ins with the old password all the while leave no session that lives", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await signUp(server);
  const resetToken = await takeResetToken(server, ADA);
  const [confirmed, ...logins] = await Promise.all([
    server.call(confirmPasswordReset, { json: { reset_token: resetToken, new_password: NEW } }),
    ...Array.from({ length: 20 }, () => tryLogin(server, PASSWORD)),
  ]);
  assert.equal(confirmed.status, 204);
  for (const { status, body } of logins) {
    assert(status === 200 || status === 401);
    if (status === 401) continue;
    assert.equal((await server.call(readMe, { token: body.access_token })).body.code, "token_invalid");
    const refreshed = await server.call(refreshTokens, { json: { refresh_token: body.refresh_token } });
    assert.equal(refreshed.body.code, "refresh_token_invalid");
  }
});

Deno.test("password reset: a sign-in whose password was right a moment ago is refused", async () => {
  const watched = watchKv();
  await using server = await startServer({ env: UNLIMITED, wrapKv: watched.wrap });
  const ada = await signUp(server);
  const resetToken = await takeResetToken(server, ADA);
  watched.beforeNextCommit(() =>
    server.call(confirmPasswordReset, { json: { reset_token: resetToken, new_password: NEW } })
  );
  const late = await tryLogin(server, PASSWORD);
  assert.equal(late.body.code, "credentials_invalid");
  const { entries } = await server.kv.collect(keys.sessionsOf(ada.id), { limit: 10 });
  assert.deepEqual(entries, []);
});

Deno.test("changePassword: of 20 parallel ones with the same current password one wins", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      server.call(changePassword, {
        token: ada.accessToken,
        json: { current_password: PASSWORD, new_password: `paddling-otter-${index}-of-twenty` },
      })),
  );
  assert.deepEqual(tally(answers), { 204: 1, 401: 19 });
  assert(answers.every(({ status, body }) => status === 204 || body.code === "password_invalid"));
  const winner = answers.findIndex(({ status }) => status === 204);
  assert.equal((await tryLogin(server, `paddling-otter-${winner}-of-twenty`)).status, 200);
});

Deno.test("changePassword: a reset a moment ago wins, and this session is over", async () => {
  const watched = watchKv();
  await using server = await startServer({ env: UNLIMITED, wrapKv: watched.wrap });
  const ada = await signUp(server);
  const resetToken = await takeResetToken(server, ADA);
  watched.beforeNextCommit(() =>
    server.call(confirmPasswordReset, { json: { reset_token: resetToken, new_password: NEW } })
  );
  const late = await server.call(changePassword, {
    token: ada.accessToken,
    json: { current_password: PASSWORD, new_password: "what-an-intruder-wants-5" },
  });
  assert.equal(late.body.code, "password_invalid");
  assert.equal((await server.call(readMe, { token: ada.accessToken })).body.code, "token_invalid");
  await signIn(server, { ...ada, password: NEW });
});
