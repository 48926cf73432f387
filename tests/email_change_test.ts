// A new email address: who may ask for it, what proves it, and that an address leads to one account at any moment.

import assert from "node:assert/strict";
import {
  confirmAccountDeletion,
  confirmEmailChange,
  readMe,
  requestAccountDeletion,
  requestEmailChange,
} from "../openapi/account.ts";
import { changePassword, confirmPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { register, resendOtp, verifyOtp } from "../openapi/registration.ts";
import { login, refreshTokens } from "../openapi/sessions.ts";
import { OPERATOR } from "../src/store/client.ts";
import { collectSessions } from "../src/store/sessions.ts";
import { replaceUser } from "../src/store/users.ts";
import { type Answer, MINUTE_MS, PASSWORD, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { type Person, signIn, signUp, startReset, takeResetToken } from "./person.ts";
import { collectBrokenInvariants } from "./store_invariants.ts";
import { watchKv } from "./watched_kv.ts";
import { type Proof, type Refusal, refusals } from "./worthless_proofs.ts";

const OLD = "ada@example.org";
const NEW = "ada@lovelace.example";
const NEW_PASSWORD = "granite-otter-58";

function ask(
  server: TestServer,
  { accessToken: token, password }: Person,
  newEmail = NEW,
): Promise<Answer> {
  // Mails of one millisecond have no order.
  server.clock.nowMs += 1;
  return server.call(requestEmailChange, {
    token,
    json: { new_email: newEmail, current_password: password },
  });
}

/** Asks for the change and gives the challenge id and the code. */
async function begin(server: TestServer, person: Person, newEmail = NEW): Promise<Proof> {
  const { status, body, text } = await ask(server, person, newEmail);
  assert.equal(status, 202, text);
  return { challenge_id: body.challenge_id, code: await server.codeFor(newEmail) };
}

function confirm(server: TestServer, { accessToken: token }: Person, proof: Proof): Promise<Answer> {
  return server.call(confirmEmailChange, { token, json: proof });
}

async function emailOf(server: TestServer, { accessToken: token }: Person): Promise<string> {
  return (await server.call(readMe, { token })).body.email;
}

/** What signing in with an address and a password comes to. */
async function tryLogin(server: TestServer, email: string, password = PASSWORD): Promise<string> {
  const { status, body } = await server.call(login, { json: { email, password } });
  return status === 200 ? body.user.id : body.code;
}

async function mailsAfter(server: TestServer, count: number): Promise<string[]> {
  return (await server.mails()).slice(count).map(({ kind, to }) => `${kind} to ${to}`).sort();
}

Deno.test("requestEmailChange, confirmEmailChange: the whole way", async () => {
  await using server = await startServer();
  const ada = await signUp(server, { username: "ada" });
  const other = await signIn(server, ada);
  let mailCount = (await server.mails()).length;

  const asked = await ask(server, ada);
  assert.equal(asked.status, 202);
  const { challenge_id, ...rest } = asked.body;
  assert.deepEqual(rest, { purpose: "email_change", expires_in: 600, resend_after: 60 });
  assert.equal(asked.headers.get("cache-control"), "no-store");
  assert.deepEqual(await mailsAfter(server, mailCount), [
    `email_change_code to ${NEW}`,
    `email_change_requested to ${OLD}`,
  ]);
  const code = await server.codeFor(NEW);
  for (const { to, subject, text, html } of await server.mails()) {
    assert.equal([subject, text, html].some((part) => part.includes(code)), to === NEW, "only there");
  }
  assert.equal(await emailOf(server, ada), OLD);
  assert.equal(await tryLogin(server, NEW), "credentials_invalid");
  assert.equal(await tryLogin(server, OLD), ada.id);

  mailCount = (await server.mails()).length;
  server.clock.nowMs += MINUTE_MS;
  const confirmed = await confirm(server, ada, { challenge_id, code });
  assert.equal(confirmed.status, 200, confirmed.text);
  assert.equal(confirmed.headers.get("cache-control"), "no-store");
  const read = await server.call(readMe, { token: ada.accessToken });
  assert.deepEqual(confirmed.body, read.body);
  assert.equal(confirmed.headers.get("etag"), read.headers.get("etag"));
  const { email, email_verified, username, updated_at } = read.body;
  assert.deepEqual([email, email_verified, username], [NEW, true, "ada"]);
  assert.equal(updated_at, "2026-11-21T09:01:00.001Z");
  assert.deepEqual(await mailsAfter(server, mailCount), [
    `email_changed to ${OLD}`,
    `email_changed to ${NEW}`,
  ]);

  assert.equal(await tryLogin(server, NEW), ada.id);
  assert.equal(await tryLogin(server, OLD), "credentials_invalid");
  assert.equal((await server.call(readMe, { token: other.accessToken })).body.code, "token_invalid");
  const refresh = async ({ refreshToken }: Person): Promise<number> =>
    (await server.call(refreshTokens, { json: { refresh_token: refreshToken } })).status;
  assert.deepEqual([await refresh(ada), await refresh(other)], [200, 401]);
  assert.equal((await confirm(server, ada, { challenge_id, code })).body.code, "otp_expired", "works once");
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
});

const malformedRequests = [
  { name: "no address", json: { new_email: undefined }, pointer: "/new_email" },
  { name: "a space before the address", json: { new_email: ` ${NEW}` }, pointer: "/new_email" },
  { name: "a Kelvin sign", json: { new_email: "mi\u212ae@example.org" }, pointer: "/new_email" },
  { name: "an ideographic full stop", json: { new_email: "ada@example\u3002org" }, pointer: "/new_email" },
  { name: "two addresses", json: { new_email: `${NEW},eve@example.org` }, pointer: "/new_email" },
  { name: "a header in it", json: { new_email: `${NEW}\r\nBcc: eve@example.org` }, pointer: "/new_email" },
  {
    name: "255 characters",
    json: { new_email: `a@${"b".repeat(60)}.${"c".repeat(192)}` },
    pointer: "/new_email",
  },
  { name: "the present address", json: { new_email: OLD }, pointer: "/new_email" },
  {
    name: "the present address before a wrong password",
    json: { new_email: OLD, current_password: "not-the-password-7" },
    pointer: "/new_email",
  },
  { name: "the present address in capitals", json: { new_email: "ADA@Example.ORG" }, pointer: "/new_email" },
  { name: "no password", json: { current_password: undefined }, pointer: "/current_password" },
  { name: "an unknown member", json: { code: "000000" }, pointer: "/code" },
];

Deno.test("requestEmailChange: refuses what does not fit, and mails nobody", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const { accessToken: token, password } = await signUp(server);
  for (const { name, json, pointer } of malformedRequests) {
    await t.step(name, async () => {
      const answer = await server.call(requestEmailChange, {
        token,
        json: { new_email: NEW, current_password: password, ...json },
      });
      assert.equal(answer.status, 422, answer.text);
      assert.equal(answer.body.errors[0].pointer, pointer);
    });
  }
  assert.equal((await server.mails()).length, 1);
});

Deno.test("requestEmailChange, confirmEmailChange: refuse who is not signed in", async () => {
  await using server = await startServer();
  const ada = await signUp(server);
  const proof = await begin(server, ada);
  for (const token of [undefined, "words"]) {
    const input = token === undefined ? {} : { token };
    const asked = await server.call(requestEmailChange, { json: { new_email: NEW }, ...input });
    assert.equal(asked.status, 401, "before the body is looked at");
    assert.equal((await server.call(confirmEmailChange, { json: proof, ...input })).status, 401);
  }
});

Deno.test("requestEmailChange: a wrong password is refused, five times a minute, whatever it is for", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, THROTTLE_PASSWORD: "5/1m" } });
  const ada = await signUp(server);
  const wrong = { ...ada, password: "not-the-password-7" };
  for (let times = 0; times < 4; times++) {
    const answer = await ask(server, wrong);
    assert.equal(answer.status, 401);
    assert.equal(answer.body.code, "password_invalid");
  }
  const elsewhere = await server.call(changePassword, {
    token: ada.accessToken,
    json: { current_password: wrong.password, new_password: NEW_PASSWORD },
  });
  assert.equal(elsewhere.body.code, "password_invalid");
  const refused = await ask(server, ada);
  assert.equal(refused.status, 429);
  assert.equal(refused.body.policy, "password");
  assert.equal((await server.mails()).length, 1, "nobody was mailed");
  server.clock.nowMs += MINUTE_MS;
  assert.equal((await ask(server, ada)).status, 202);
});

Deno.test("requestEmailChange: a taken address looks like a free one, and gets neither mail nor account", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const bob = await signUp(server, { email: "bob@example.org" });
  const mailCount = (await server.mails()).length;
  const free = await ask(server, ada, NEW);
  const known = await ask(server, ada, "Bob@example.org");
  const shape = ({ status, headers, body }: Answer): unknown => ({
    status,
    headers: [...headers.keys()],
    body: { ...body, challenge_id: "" },
  });
  assert.deepEqual(shape(known), shape(free));
  const requested = `email_change_requested to ${OLD}`;
  // The code to the free address was replaced before it could leave.
  assert.deepEqual(await mailsAfter(server, mailCount), [requested, requested]);

  const { challenge_id } = known.body;
  server.clock.nowMs += MINUTE_MS;
  const resent = await server.call(resendOtp, { json: { challenge_id } });
  assert.equal(resent.status, 202);
  assert.equal((await mailsAfter(server, mailCount)).length, 2);
  for (const remaining of [4, 3, 2, 1, 0]) {
    const guess = await confirm(server, ada, { challenge_id, code: "123456" });
    assert.equal(guess.body.attempts_remaining, remaining, guess.text);
  }
  assert.equal(await emailOf(server, ada), OLD);
  assert.equal(await emailOf(server, bob), bob.email);
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
});

/** Beside what makes every code worthless. */
const ownRefusals: readonly Refusal[] = [
  {
    name: "a later request",
    meddle: async (server, ada) => void await begin(server, ada, "ada@engine.example"),
    problem: "otp_expired",
  },
  {
    name: "a later request for the same address",
    meddle: async (server, ada) => void await begin(server, ada),
    problem: "otp_expired",
  },
  {
    name: "an account that the address has got meanwhile",
    meddle: async (server) => void await signUp(server, { email: NEW }),
    problem: "otp_expired",
  },
  {
    name: "another account's change to the address",
    meddle: async (server) => {
      const bob = await signUp(server, { email: "bob@example.org" });
      assert.equal((await confirm(server, bob, await begin(server, bob))).status, 200);
    },
    problem: "otp_expired",
  },
];

Deno.test("confirmEmailChange: refuses, and the address stays", async (t) => {
  for (const { name, meddle, problem } of [...refusals, ...ownRefusals]) {
    await t.step(name, async () => {
      await using server = await startServer({ env: UNLIMITED });
      const ada = await signUp(server);
      const proof = await begin(server, ada);
      const changed = { ...proof, ...await meddle(server, ada, proof) };
      const answer = await confirm(server, ada, changed);
      assert.equal(answer.body.code, problem, answer.text);
      assert(!answer.text.includes(proof.code) && !answer.text.includes(NEW));
      assert.equal(await emailOf(server, ada), OLD);
      assert.deepEqual(await collectBrokenInvariants(server.db), []);
    });
  }
});

Deno.test("confirmEmailChange: a password reset ends the change that was pending", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const proof = await begin(server, ada);
  const json = { reset_token: await takeResetToken(server, OLD), new_password: NEW_PASSWORD };
  assert.equal((await server.call(confirmPasswordReset, { json })).status, 204);
  const back = await signIn(server, { ...ada, password: NEW_PASSWORD });
  assert.equal((await confirm(server, back, proof)).body.code, "otp_expired");
  server.clock.nowMs += MINUTE_MS;
  const resent = await server.call(resendOtp, { json: { challenge_id: proof.challenge_id } });
  assert.equal(resent.body.code, "otp_expired");
  assert.equal(await emailOf(server, back), OLD);
});

Deno.test("confirmEmailChange: ends the reset that was pending at the old address", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const resetToken = await takeResetToken(server, OLD);
  const challengeId = await startReset(server, OLD);
  const resetCode = await server.codeFor(OLD);
  assert.equal((await confirm(server, ada, await begin(server, ada))).status, 200);
  const exchanged = await server.call(verifyPasswordResetOtp, {
    json: { challenge_id: challengeId, code: resetCode },
  });
  assert.equal(exchanged.body.code, "otp_expired");
  const reset = await server.call(confirmPasswordReset, {
    json: { reset_token: resetToken, new_password: NEW_PASSWORD },
  });
  assert.equal(reset.body.code, "otp_expired");
  assert.equal(await tryLogin(server, NEW), ada.id);
});

Deno.test("confirmEmailChange: a code for one address never sets another", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const first = await begin(server, ada, "ada@first.example");
  const second = await begin(server, ada, "ada@second.example");
  if (first.code !== second.code) {
    const crossed = await confirm(server, ada, { ...second, code: first.code });
    assert.equal(crossed.body.code, "otp_invalid");
  }
  assert.equal((await confirm(server, ada, first)).body.code, "otp_expired");
  assert.equal(await emailOf(server, ada), OLD);
  assert.equal((await confirm(server, ada, second)).body.email, "ada@second.example");
});

Deno.test("confirmEmailChange: another user's challenge is 410 for everybody else, and lives on unharmed", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const eve = await signUp(server, { email: "eve@example.org" });
  const proof = await begin(server, ada);
  for (let times = 0; times < 6; times++) {
    assert.equal((await confirm(server, eve, proof)).body.code, "otp_expired");
    assert.equal((await confirm(server, eve, { ...proof, code: "123456" })).body.code, "otp_expired");
  }
  assert.equal(await emailOf(server, eve), eve.email);
  assert.equal((await confirm(server, ada, proof)).status, 200);
});

Deno.test("confirmEmailChange: codes of other flows open nothing here, nor this one elsewhere", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const { accessToken: token } = ada;
  const deletion = await server.call(requestAccountDeletion, { token, json: {} });
  const others = [{ challenge_id: deletion.body.challenge_id, code: await server.codeFor(OLD) }];
  others.push({ challenge_id: await startReset(server, OLD), code: await server.codeFor(OLD) });
  const registration = await server.call(register, {
    json: { email: "new@example.org", password: PASSWORD },
  });
  others.push({
    challenge_id: registration.body.challenge_id,
    code: await server.codeFor("new@example.org"),
  });
  for (const other of others) {
    assert.equal((await confirm(server, ada, other)).body.code, "otp_expired");
  }
  const proof = await begin(server, ada);
  for (const route of [verifyOtp, verifyPasswordResetOtp, confirmAccountDeletion]) {
    assert.equal((await server.call(route, { token, json: proof })).body.code, "otp_expired");
  }
  assert.equal((await confirm(server, ada, proof)).status, 200, "and it lives on");
});

Deno.test("confirmEmailChange: of 20 parallel ones one changes the address", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const proof = await begin(server, ada);
  const answers = await Promise.all(Array.from({ length: 20 }, () => confirm(server, ada, proof)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(19).fill(410)]);
  assert.equal((await mailsAfter(server, 0)).filter((mail) => mail.startsWith("email_changed")).length, 2);
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
});

Deno.test("confirmEmailChange: of two accounts and a registration for one address, one gets it", async () => {
  await using server = await startServer({ env: UNLIMITED });
  for (let round = 0; round < 8; round++) {
    const prize = `prize${round}@example.org`;
    const people = [
      await signUp(server, { email: `ada${round}@example.org` }),
      await signUp(server, { email: `bob${round}@example.org` }),
    ];
    const attempts: (() => Promise<Answer>)[] = [];
    for (const person of people) {
      const proof = await begin(server, person, prize);
      attempts.push(() => confirm(server, person, proof));
    }
    server.clock.nowMs += 1;
    const { body } = await server.call(register, { json: { email: prize, password: PASSWORD } });
    const json = { challenge_id: body.challenge_id, code: await server.codeFor(prize) };
    attempts.splice(round % 3, 0, () => server.call(verifyOtp, { json }));
    const answers = await Promise.all(attempts.map((attempt) => attempt()));
    const wins = answers.filter(({ status }) => status < 300);
    assert.equal(wins.length, 1, answers.map(({ text }) => text).join("\n"));
    assert.equal(answers.filter(({ status }) => status === 410).length, 2);
    const winner = wins[0]?.body.user ?? wins[0]?.body;
    assert.equal(await tryLogin(server, prize), winner.id);
    for (const { id, email } of people) {
      assert.equal(await tryLogin(server, email), id === winner.id ? "credentials_invalid" : id);
    }
    assert.deepEqual(await collectBrokenInvariants(server.db), []);
  }
});

Deno.test("confirmEmailChange: loses nothing that changed a moment before it", async () => {
  const watched = watchKv();
  await using server = await startServer({ env: UNLIMITED, wrapKv: watched.wrap });
  const ada = await signUp(server, { username: "ada" });
  const proof = await begin(server, ada);
  watched.beforeNextCommit(async () => {
    await replaceUser(server.deps, ada.id, { username: "countess", plan: "premium" }, OPERATOR);
    await signIn(server, ada);
  });
  const { body } = await confirm(server, ada, proof);
  assert.deepEqual([body.email, body.username, body.plan], [NEW, "countess", "premium"]);
  assert.equal((await collectSessions(server.kv, ada.id)).length, 1);
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
});

Deno.test("confirmEmailChange: the old address is free for others, and for its owner again", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  assert.equal((await confirm(server, ada, await begin(server, ada))).status, 200);
  assert.equal((await confirm(server, ada, await begin(server, ada, OLD))).body.email, OLD);
  assert.equal((await confirm(server, ada, await begin(server, ada))).body.email, NEW);
  server.clock.nowMs += 1;
  const newcomer = await signUp(server, { email: OLD, password: NEW_PASSWORD });
  assert.notEqual(newcomer.id, ada.id);
  assert.equal(await tryLogin(server, OLD, NEW_PASSWORD), newcomer.id);
  assert.equal(await tryLogin(server, NEW), ada.id);
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
});

Deno.test("confirmEmailChange: an international domain becomes punycode, wherever it is used", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const punycode = "ada@xn--bcher-kva.example";
  const { body } = await ask(server, ada, "Ada@Bücher.example");
  const proof = { challenge_id: body.challenge_id, code: await server.codeFor(punycode) };
  assert.equal((await confirm(server, ada, proof)).body.email, punycode);
  assert.equal(await tryLogin(server, "ada@bücher.example"), ada.id);
  const same = await ask(server, ada, "ada@BÜCHER.example");
  assert.equal(same.body.errors[0].pointer, "/new_email");
});

Deno.test("resendOtp: mails another code for the change; the one before is not worth anything", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const old = await begin(server, ada);
  server.clock.nowMs += MINUTE_MS;
  const { status, body } = await server.call(resendOtp, { json: { challenge_id: old.challenge_id } });
  assert.equal(status, 202);
  assert.deepEqual(body, {
    challenge_id: old.challenge_id,
    purpose: "email_change",
    expires_in: 600,
    resend_after: 60,
  });
  const fresh = { ...old, code: await server.codeFor(NEW) };
  if (fresh.code !== old.code) assert.equal((await confirm(server, ada, old)).body.attempts_remaining, 4);
  server.clock.nowMs += 10 * MINUTE_MS - 1;
  assert.equal((await confirm(server, ada, fresh)).body.email, NEW);
});

Deno.test("email change: survives a restart between any two steps", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const { body: { challenge_id } } = await ask(server, ada);
  await server.restart();
  const code = await server.codeFor(NEW);
  await server.restart();
  assert.equal((await confirm(server, ada, { challenge_id, code })).body.email, NEW);
  await server.restart();
  assert.equal(await emailOf(server, ada), NEW);
  assert.equal(await tryLogin(server, OLD), "credentials_invalid");
});
