// Passwords: the reset by way of the mailbox, step by step, what each step refuses, and what the last one ends.
// Races are in password_races_test.ts, what must not show in password_secrecy_test.ts.

import assert from "node:assert/strict";
import {
  confirmAccountDeletion,
  confirmEmailChange,
  readMe,
  requestAccountDeletion,
  requestEmailChange,
} from "../openapi/account.ts";
import { confirmPasswordReset, requestPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { register, resendOtp, verifyOtp } from "../openapi/registration.ts";
import { login } from "../openapi/sessions.ts";
import { keys } from "../src/store/keys.ts";
import {
  type Answer,
  MINUTE_MS,
  PASSWORD,
  startServer,
  type TestServer,
  UNKNOWN_ID,
  UNLIMITED,
} from "./harness.ts";
import {
  otherThan,
  overwriteUser,
  type Person,
  signIn,
  signUp,
  startReset,
  takeResetToken,
} from "./person.ts";

const ADA = "ada@example.org";
const NEW = "seven-otters-paddle-41";
const WRONG = "not-the-password-7";

const confirm = (server: TestServer, resetToken: string, password = NEW): Promise<Answer> =>
  server.call(confirmPasswordReset, { json: { reset_token: resetToken, new_password: password } });

const tryLogin = async (server: TestServer, password: string): Promise<number> =>
  (await server.call(login, { json: { email: ADA, password } })).status;

Deno.test("password reset: the whole way; afterwards only the new password signs in", async () => {
  await using server = await startServer();
  const ada = await signUp(server);
  server.clock.nowMs += MINUTE_MS;
  const asked = await server.call(requestPasswordReset, { json: { email: "ADA@Example.org" } });
  assert.equal(asked.status, 202);
  const { challenge_id: challengeId, ...rest } = asked.body;
  assert.deepEqual(rest, { purpose: "password_reset", expires_in: 600, resend_after: 60 });
  assert.equal(asked.headers.get("cache-control"), "no-store");
  assert.equal(await tryLogin(server, PASSWORD), 200, "nothing has changed yet");

  const mail = (await server.mails()).findLast(({ kind }) => kind === "password_reset_code");
  assert.equal(mail?.to, ADA, "the stored address, not the one that was typed");
  const verified = await server.call(verifyPasswordResetOtp, {
    json: { challenge_id: challengeId, code: await server.codeFor(ADA) },
  });
  assert.equal(verified.status, 200);
  assert.equal(verified.body.expires_in, 600);
  assert.equal(verified.headers.get("cache-control"), "no-store");
  assert.equal(await tryLogin(server, PASSWORD), 200, "the right code alone changes nothing");

  const confirmed = await server.call(confirmPasswordReset, {
    json: { reset_token: verified.body.reset_token, new_password: NEW, new_password_confirm: NEW },
    ip: "203.0.113.7",
    headers: { "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0" },
  });
  assert.equal(confirmed.status, 204);
  assert.equal(confirmed.headers.get("cache-control"), "no-store");
  assert.equal(await tryLogin(server, PASSWORD), 401);
  assert.equal(await tryLogin(server, NEW), 200);
  assert.equal((await server.call(readMe, { token: ada.accessToken })).body.code, "token_invalid");

  const notice = (await server.mails()).findLast(({ kind }) => kind === "password_reset_done");
  assert.equal(notice?.to, ADA);
  assert.match(
    notice?.text ?? "",
    /When: 2026-11-21 09:01 UTC\nFrom: 203\.0\.113\.7\nWith: Firefox on Linux/,
  );
  assert(!notice?.text.includes(NEW));
});

Deno.test("requestPasswordReset: refuses", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  await signUp(server);
  const rows = [
    { name: "no address", json: {}, pointer: "/email" },
    { name: "a space before the address", json: { email: ` ${ADA}` }, pointer: "/email" },
    { name: "two addresses", json: { email: `${ADA},eve@example.org` }, pointer: "/email" },
    { name: "a list", json: { email: [ADA] }, pointer: "/email" },
    { name: "a look-alike", json: { email: "\uFF41da@example.org" }, pointer: "/email" },
    { name: "an unknown member", json: { email: ADA, to: "eve@example.org" }, pointer: "/to" },
  ];
  for (const { name, json, pointer } of rows) {
    await t.step(name, async () => {
      const answer = await server.call(requestPasswordReset, { json });
      assert.equal(answer.status, 422);
      assert.equal(answer.body.errors[0].pointer, pointer);
      assert(!answer.text.includes("example.org"), "the value is echoed");
    });
  }
  assert.equal((await server.mails()).length, 1, "only the mail of the registration");
});

Deno.test("verifyPasswordResetOtp: refuses", async (t) => {
  const rows = [
    { name: "a wrong code", code: "wrong", status: 400, problem: "otp_invalid" },
    { name: "an expired code", afterMs: 10 * MINUTE_MS, status: 410, problem: "otp_expired" },
    { name: "a code that was used", isUsed: true, status: 410, problem: "otp_expired" },
    { name: "an unknown challenge", id: UNKNOWN_ID, status: 410, problem: "otp_expired" },
    { name: "a malformed challenge id", id: "42", status: 422, problem: "validation_failed" },
    { name: "a code of five digits", code: "12345", status: 422, problem: "validation_failed" },
    { name: "an unknown member", more: { new_password: NEW }, status: 422, problem: "validation_failed" },
  ];
  for (const { name, id, code, afterMs = 0, isUsed, more = {}, status, problem } of rows) {
    await t.step(name, async () => {
      await using server = await startServer();
      await signUp(server);
      const challengeId = await startReset(server, ADA);
      const right = await server.codeFor(ADA);
      const rightGuess = { challenge_id: challengeId, code: right };
      if (isUsed) {
        assert.equal((await server.call(verifyPasswordResetOtp, { json: rightGuess })).status, 200);
      }
      server.clock.nowMs += afterMs;
      const answer = await server.call(verifyPasswordResetOtp, {
        json: {
          challenge_id: id ?? challengeId,
          code: code === "wrong" ? otherThan(right) : code ?? right,
          ...more,
        },
      });
      assert.equal(answer.status, status, answer.text);
      assert.equal(answer.body.code, problem);
      assert.equal(answer.body.attempts_remaining, status === 400 ? 4 : undefined);
      assert(!answer.text.includes(right) && !answer.text.includes(NEW));
    });
  }
});

/** Every purpose: how its flow begins and where its code goes. The address is the one that the code is mailed to. */
const flows = [
  {
    purpose: "registration",
    route: verifyOtp,
    email: "new@example.org",
    opens: 201,
    begin: (server: TestServer) =>
      server.call(register, { json: { email: "new@example.org", password: PASSWORD } }),
  },
  {
    purpose: "password_reset",
    route: verifyPasswordResetOtp,
    email: ADA,
    opens: 200,
    begin: (server: TestServer) => server.call(requestPasswordReset, { json: { email: ADA } }),
  },
  {
    purpose: "email_change",
    route: confirmEmailChange,
    email: "countess@example.org",
    opens: 200,
    begin: (server: TestServer, { accessToken: token }: Person) =>
      server.call(requestEmailChange, {
        token,
        json: { new_email: "countess@example.org", current_password: PASSWORD },
      }),
  },
  {
    purpose: "account_deletion",
    route: confirmAccountDeletion,
    email: ADA,
    opens: 204,
    begin: (server: TestServer, { accessToken: token }: Person) =>
      server.call(requestAccountDeletion, { token, json: {} }),
  },
] as const;

for (const { purpose, begin, email, route: ownRoute, opens } of flows) {
  Deno.test(`a code of ${purpose}: opens nothing at another flow's route, and lives on unharmed`, async (t) => {
    await using server = await startServer({ env: UNLIMITED });
    const ada = await signUp(server);
    server.clock.nowMs += 1;
    const { body: { challenge_id: challengeId } } = await begin(server, ada);
    const code = await server.codeFor(email);
    const guess = (route: typeof ownRoute, given: string): Promise<Answer> =>
      server.call(route, { token: ada.accessToken, json: { challenge_id: challengeId, code: given } });
    for (const { purpose: other, route } of flows.filter((flow) => flow.purpose !== purpose)) {
      await t.step(`at the route of ${other}`, async () => {
        for (const given of [code, otherThan(code), otherThan(code)]) {
          const answer = await guess(route, given);
          assert.equal(answer.status, 410, answer.text);
          assert.equal(answer.body.code, "otp_expired");
        }
      });
    }
    const wrong = await guess(ownRoute, otherThan(code));
    assert.equal(wrong.body.attempts_remaining, 4, "no guess was counted elsewhere");
    assert.equal((await guess(ownRoute, code)).status, opens);
  });
}

Deno.test("confirmPasswordReset: refuses what is no reset token that counts, with one answer", async (t) => {
  const rows: { name: string; act: (server: TestServer, token: string) => Promise<string> }[] = [
    { name: "a used one", act: async (server, token) => ((await confirm(server, token, WRONG)), token) },
    { name: "an unknown one", act: () => Promise.resolve(`lkp_${"A".repeat(43)}`) },
    { name: "words", act: () => Promise.resolve("words") },
    { name: "one with a letter more", act: (_, token) => Promise.resolve(`${token}A`) },
    { name: "one with a letter less", act: (_, token) => Promise.resolve(token.slice(0, -1)) },
    {
      name: "a refresh token",
      act: async (server) => (await signIn(server, await readAda(server))).refreshToken,
    },
    {
      name: "an expired one",
      act: (server, token) => {
        server.clock.nowMs += 10 * MINUTE_MS;
        return Promise.resolve(token);
      },
    },
    {
      name: "one from before another reset",
      act: async (server, token) => {
        assert.equal((await confirm(server, await takeResetToken(server, ADA), WRONG)).status, 204);
        return token;
      },
    },
  ];
  const answers = new Set<string>();
  for (const { name, act } of rows) {
    await t.step(name, async () => {
      await using server = await startServer({ env: UNLIMITED });
      await signUp(server);
      const resetToken = await act(server, await takeResetToken(server, ADA));
      const answer = await server.call(confirmPasswordReset, {
        json: { reset_token: resetToken, new_password: NEW },
        headers: { "x-request-id": "same" },
      });
      assert.equal(answer.status, 410);
      assert.equal(await tryLogin(server, NEW), 401);
      answers.add(answer.text);
    });
  }
  assert.equal(answers.size, 1, "byte for byte the same");
});

/** Of the one account that these tests have. */
async function readAda(server: TestServer): Promise<Person> {
  const { body } = await server.call(login, { json: { email: ADA, password: PASSWORD } });
  return { id: body.user.id, email: ADA, password: PASSWORD, accessToken: "", refreshToken: "" };
}

Deno.test("confirmPasswordReset: a refused password does not use the token up", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  await signUp(server, { email: "archimedes@example.org", username: "quibblewort" });
  const resetToken = await takeResetToken(server, "archimedes@example.org");
  const rows = [
    { name: "short", json: { new_password: "k7#pQ2z" }, code: "password_too_short" },
    { name: "long", json: { new_password: "k7#pQ2z!".repeat(17) }, code: "password_too_long" },
    { name: "common", json: { new_password: "password1" }, code: "password_common" },
    { name: "like the email", json: { new_password: "archimedes7" }, code: "password_like_email" },
    { name: "like the username", json: { new_password: "quibblewort9" }, code: "password_like_username" },
    { name: "like the service", json: { new_password: "latchkey1" }, code: "password_like_service" },
    {
      name: "not the same twice",
      json: { new_password: NEW, new_password_confirm: `${NEW}!` },
      pointer: "/new_password_confirm",
    },
    { name: "none", json: {}, pointer: "/new_password" },
    { name: "an unknown member", json: { new_password: NEW, email: "eve@example.org" }, pointer: "/email" },
  ];
  for (const { name, json, code, pointer = "/new_password" } of rows) {
    await t.step(name, async () => {
      const answer = await server.call(confirmPasswordReset, { json: { reset_token: resetToken, ...json } });
      assert.equal(answer.status, 422, answer.text);
      assert.equal(answer.body.errors[0].pointer, pointer);
      if (code) assert.equal(answer.body.errors[0].code, code);
      if (json.new_password) assert(!answer.text.includes(json.new_password), "the password is echoed");
    });
  }
  assert.equal((await confirm(server, resetToken)).status, 204);
});

Deno.test("confirmPasswordReset: a password that nobody may have is refused before a token that opens nothing", async () => {
  await using server = await startServer({ env: UNLIMITED });
  for (const password of ["k7#pQ2z", "k7#pQ2z!".repeat(17), "password1", "latchkey1"]) {
    const { status, body } = await confirm(server, `lkp_${"A".repeat(43)}`, password);
    assert.deepEqual([status, body.code, body.errors?.[0].pointer], [
      422,
      "validation_failed",
      "/new_password",
    ]);
  }
});

Deno.test("confirmPasswordReset: the last moment of a reset token counts, the next does not", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await signUp(server);
  const resetToken = await takeResetToken(server, ADA);
  server.clock.nowMs += 10 * MINUTE_MS;
  assert.equal((await confirm(server, resetToken)).status, 410);
  server.clock.nowMs -= 1;
  assert.equal((await confirm(server, resetToken)).status, 204);
});

Deno.test("requestPasswordReset: leaves earlier ones alone; the first that is confirmed voids all the others", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await signUp(server);
  const first = await takeResetToken(server, ADA);
  const spare = await takeResetToken(server, ADA);
  const challengeId = await startReset(server, ADA);
  const code = await server.codeFor(ADA);
  const elsewhere = await server.call(register, { json: { email: "new@example.org", password: PASSWORD } });
  server.clock.nowMs += 1;
  const last = await startReset(server, ADA);
  assert.equal((await confirm(server, first)).status, 204);

  assert.equal((await confirm(server, spare, WRONG)).status, 410);
  const guess = await server.call(verifyPasswordResetOtp, { json: { challenge_id: challengeId, code } });
  assert.equal(guess.status, 410);
  server.clock.nowMs += MINUTE_MS;
  const mailed = (await server.mails()).length;
  // It answers like that of an address without an account, which has no code to end either.
  assert.equal((await server.call(resendOtp, { json: { challenge_id: last } })).status, 202);
  assert.equal((await server.mails()).length, mailed, "a code that opens nothing is not mailed");
  assert.equal(await tryLogin(server, NEW), 200);
  const registered = await server.call(verifyOtp, {
    json: { challenge_id: elsewhere.body.challenge_id, code: await server.codeFor("new@example.org") },
  });
  assert.equal(registered.status, 201, "another address's registration goes on");
});

Deno.test("confirmPasswordReset: proves the mailbox, and enables nobody", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  await overwriteUser(server, ada, { isEmailVerified: false, status: "disabled" });
  assert.equal((await confirm(server, await takeResetToken(server, ADA))).status, 204);
  const user = await server.kv.find(keys.user(ada.id));
  assert.equal(user.value?.isEmailVerified, true);
  const refused = await server.call(login, { json: { email: ADA, password: NEW } });
  assert.equal(refused.body.code, "account_disabled");
  assert.equal(await tryLogin(server, PASSWORD), 401);
});

Deno.test("password reset: survives a restart between any two steps", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  await server.restart();
  const challengeId = await startReset(server, ADA);
  await server.restart();
  const code = await server.codeFor(ADA);
  await server.restart();
  const { body } = await server.call(verifyPasswordResetOtp, { json: { challenge_id: challengeId, code } });
  await server.restart();
  assert.equal((await confirm(server, body.reset_token)).status, 204);
  await server.restart();
  assert.equal((await confirm(server, body.reset_token, WRONG)).status, 410);
  assert.equal((await server.call(readMe, { token: ada.accessToken })).status, 401);
  assert.deepEqual([await tryLogin(server, PASSWORD), await tryLogin(server, NEW)], [401, 200]);
});
