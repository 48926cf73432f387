// Registration: from a stranger's request to an account, and everything that is refused on the way.

import assert from "node:assert/strict";
import { readMe, updateMe } from "../openapi/account.ts";
import { register, resendOtp, verifyOtp } from "../openapi/registration.ts";
import { login } from "../openapi/sessions.ts";
import {
  DAY_MS,
  HOUR_MS,
  MINUTE_MS,
  PASSWORD,
  SECOND_MS,
  startServer,
  type TestServer,
  UNKNOWN_ID,
  UNLIMITED,
} from "./harness.ts";
import { otherThan } from "./person.ts";
import { watchKv } from "./watched_kv.ts";

const ADA = "ada@example.org";

/** Registers and gives the challenge id. */
async function begin(server: TestServer, json: Record<string, unknown> = {}): Promise<string> {
  // Mails of one millisecond have no order.
  server.clock.nowMs += 1;
  const answer = await server.call(register, { json: { email: ADA, password: PASSWORD, ...json } });
  assert.equal(answer.status, 202, answer.text);
  return answer.body.challenge_id;
}

Deno.test("register, verifyOtp: opens the account and signs in", async () => {
  await using server = await startServer();
  const answer = await server.call(register, {
    json: {
      email: "Ada@Example.ORG",
      password: PASSWORD,
      username: "Ada",
      name: "Ada Lovelace",
      locale: "en-GB",
    },
  });
  assert.equal(answer.status, 202);
  assert.equal(answer.body.purpose, "registration");
  assert.equal(answer.body.expires_in, 600);
  assert.equal(answer.body.resend_after, 60);
  assert.equal(answer.headers.get("cache-control"), "no-store");

  const [mail] = await server.mails();
  assert.equal(mail?.to, ADA);
  const verified = await server.call(verifyOtp, {
    json: { challenge_id: answer.body.challenge_id, code: await server.codeFor(ADA) },
  });
  assert.equal(verified.status, 201);
  const { user, ...tokens } = verified.body;
  assert.equal(user.email, ADA);
  assert.equal(user.email_verified, true);
  assert.equal(user.username, "Ada");
  assert.equal(user.name, "Ada Lovelace");
  assert.equal(user.role, "user");
  assert.equal(user.plan, "free");
  assert.equal(user.last_login_at, "2026-11-21T09:00:00.000Z");
  assert.deepEqual({ ...tokens, access_token: "", refresh_token: "" }, {
    access_token: "",
    refresh_token: "",
    token_type: "Bearer",
    expires_in: 1800,
    refresh_expires_in: 86_400,
  });
  assert.equal((await server.call(readMe, { token: tokens.access_token })).body.id, user.id);
  assert.equal((await server.call(login, { json: { email: ADA, password: PASSWORD } })).status, 200);
});

Deno.test("register: refuses what does not fit, and says where", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const rows = [
    { name: "no email", json: { email: undefined }, pointer: "/email" },
    { name: "no password", json: { password: undefined }, pointer: "/password" },
    { name: "space before the address", json: { email: " ada@example.org" }, pointer: "/email" },
    { name: "Kelvin sign", json: { email: "mi\u212Ae@example.org" }, pointer: "/email" },
    { name: "ideographic full stop", json: { email: "ada@example\u3002org" }, pointer: "/email" },
    { name: "two addresses", json: { email: "ada@example.org,eve@example.org" }, pointer: "/email" },
    { name: "a number for a password", json: { password: 12345678 }, pointer: "/password" },
    {
      name: "short password",
      json: { password: "k7#pQ2z" },
      pointer: "/password",
      code: "password_too_short",
    },
    {
      name: "long password",
      json: { password: "k7#pQ2z!".repeat(17) },
      pointer: "/password",
      code: "password_too_long",
    },
    {
      name: "common password",
      json: { password: "password1" },
      pointer: "/password",
      code: "password_common",
    },
    {
      name: "password like the service",
      json: { password: "latchkey1" },
      pointer: "/password",
      code: "password_like_service",
    },
    {
      name: "password like the email",
      json: { email: "archimedes@example.org", password: "archimedes7" },
      pointer: "/password",
      code: "password_like_email",
    },
    {
      name: "password like the username",
      json: { username: "quibblewort", password: "quibblewort9" },
      pointer: "/password",
      code: "password_like_username",
    },
    {
      name: "password like the name",
      json: { name: "Wolfeschlegel", password: "wolfeschlegel1" },
      pointer: "/password",
      code: "password_like_name",
    },
    {
      name: "confirmation differs",
      json: { password_confirm: `${PASSWORD}!` },
      pointer: "/password_confirm",
    },
    { name: "username too short", json: { username: "ab" }, pointer: "/username" },
    { name: "username with a space", json: { username: "a b c" }, pointer: "/username" },
    { name: "an unknown member", json: { role: "admin" }, pointer: "/role", code: "unrecognized_keys" },
    { name: "a prototype", json: JSON.parse('{"__proto__":{"role":"admin"}}'), pointer: "/__proto__" },
  ];
  for (const { name, json, pointer, code } of rows) {
    await t.step(name, async () => {
      const body = Object.assign(Object.create(null), { email: ADA, password: PASSWORD });
      for (const [member, value] of Object.entries(json)) {
        Object.defineProperty(body, member, { value, enumerable: true, configurable: true });
      }
      const answer = await server.call(register, { json: body });
      assert.equal(answer.status, 422, answer.text);
      assert.equal(answer.body.code, "validation_failed");
      assert(answer.body.errors.some((fault: { pointer: string }) => fault.pointer === pointer), answer.text);
      if (code) assert.equal(answer.body.errors[0].code, code);
      const password = json.password ?? PASSWORD;
      assert(!answer.text.includes(String(password)), "the password is echoed");
    });
  }
  assert.deepEqual(await server.mails(), []);
});

Deno.test("register: a known address gets the same answer, no code, and its owner is told", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const first = await begin(server);
  await server.call(verifyOtp, { json: { challenge_id: first, code: await server.codeFor(ADA) } });

  server.clock.nowMs += 1;
  const known = await server.call(register, { json: { email: ADA, password: "another-pass-55" } });
  const unknown = await server.call(register, {
    json: { email: "bob@example.org", password: "another-pass-55" },
  });
  const shape = (answer: typeof known): unknown => ({
    status: answer.status,
    headers: [...answer.headers.keys()],
    body: { ...answer.body, challenge_id: "" },
  });
  assert.deepEqual(shape(known), shape(unknown));
  const mail = (await server.mails()).findLast(({ to }) => to === ADA);
  assert.equal(mail?.kind, "registration_known");
  assert.equal(mail?.code, null);
  const guess = await server.call(verifyOtp, {
    json: { challenge_id: known.body.challenge_id, code: "123456" },
  });
  assert.equal(guess.body.code, "otp_invalid");
});

Deno.test("register: a username is reserved while a registration is pending, without regard to case", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await begin(server, { username: "Ada" });
  const taken = await server.call(register, {
    json: { email: "bob@example.org", password: PASSWORD, username: "aDA" },
  });
  assert.equal(taken.body.code, "username_taken");
  server.clock.nowMs += DAY_MS;
  await begin(server, { email: "bob@example.org", username: "aDA" });
});

Deno.test("register: whoever lost the answer registers again with the same username, and either code opens it", async () => {
  for (const confirmed of [0, 1]) {
    await using server = await startServer({ env: UNLIMITED });
    const challenges = [await begin(server, { username: "ada" })];
    const codes = [await server.codeFor(ADA)];
    server.clock.nowMs += 1;
    challenges.push(await begin(server, { username: "ada" }));
    codes.push(await server.codeFor(ADA));
    const json = { challenge_id: challenges[confirmed], code: codes[confirmed] };
    const opened = await server.call(verifyOtp, { json });
    assert.equal(opened.status, 201, opened.text);
    assert.equal(opened.body.user.username, "ada");
    const other = { challenge_id: challenges[1 - confirmed], code: codes[1 - confirmed] };
    assert.equal((await server.call(verifyOtp, { json: other })).body.code, "otp_expired");
  }
});

Deno.test("register: once another registration of the address was confirmed, a reserved username is its owner's for the day", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, ACCESS_TOKEN_TTL: "48h" } });
  const bobs = { email: "bob@example.org", password: PASSWORD, username: "ada" };
  await begin(server, { username: "ada" });
  await begin(server, { username: "countess" });
  server.clock.nowMs += 1;
  const third = await begin(server, { username: "lovelace" });
  const { body } = await server.call(verifyOtp, {
    json: { challenge_id: third, code: await server.codeFor(ADA) },
  });
  // Whether the address has an account by now is nobody's business.
  assert.equal((await server.call(register, { json: bobs })).body.code, "username_taken");
  const patch = { token: body.access_token, json: { username: "Countess" } };
  assert.equal((await server.call(updateMe, patch)).body.username, "Countess");
  server.clock.nowMs += DAY_MS;
  assert.equal((await server.call(register, { json: bobs })).status, 202);
});

Deno.test("register: of 20 parallel ones with one username, one reserves it", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const answers = await Promise.all(
    Array.from(
      { length: 20 },
      (_, index) =>
        server.call(register, {
          json: { email: `u${index}@example.org`, password: PASSWORD, username: "ada" },
        }),
    ),
  );
  assert.equal(answers.filter(({ status }) => status === 202).length, 1);
  assert.equal(answers.filter(({ body }) => body.code === "username_taken").length, 19);
});

Deno.test("register: of two that reserve a username at the same moment the one that comes later is refused", async () => {
  const watched = watchKv();
  await using server = await startServer({ env: UNLIMITED, wrapKv: watched.wrap });
  watched.beforeNextCommit(() => begin(server, { email: "bob@example.org", username: "ada" }));
  const late = await server.call(register, { json: { email: ADA, password: PASSWORD, username: "Ada" } });
  assert.deepEqual([late.status, late.body.code], [409, "username_taken"]);
});

Deno.test("verifyOtp: refuses", async (t) => {
  const rows = [
    { name: "a wrong code", code: "wrong", status: 400, problem: "otp_invalid" },
    { name: "an expired code", afterMs: 10 * MINUTE_MS, status: 410, problem: "otp_expired" },
    { name: "a pending registration that ended", afterMs: DAY_MS, status: 410, problem: "otp_expired" },
    { name: "an unknown challenge", id: UNKNOWN_ID, status: 410, problem: "otp_expired" },
    { name: "a malformed challenge id", id: "42", status: 422, problem: "validation_failed" },
    { name: "a malformed code", code: "12345", status: 422, problem: "validation_failed" },
  ];
  for (const { name, id, code, afterMs = 0, status, problem } of rows) {
    await t.step(name, async () => {
      await using server = await startServer();
      const challengeId = await begin(server);
      const right = await server.codeFor(ADA);
      server.clock.nowMs += afterMs;
      const answer = await server.call(verifyOtp, {
        json: { challenge_id: id ?? challengeId, code: code === "wrong" ? otherThan(right) : code ?? right },
      });
      assert.equal(answer.status, status, answer.text);
      assert.equal(answer.body.code, problem);
      assert(!answer.text.includes(right));
    });
  }
});

Deno.test("verifyOtp: the last moment of a code counts, the next does not", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const challengeId = await begin(server);
  const code = await server.codeFor(ADA);
  server.clock.nowMs += 10 * MINUTE_MS;
  assert.equal((await server.call(verifyOtp, { json: { challenge_id: challengeId, code } })).status, 410);
  server.clock.nowMs -= 1;
  assert.equal((await server.call(verifyOtp, { json: { challenge_id: challengeId, code } })).status, 201);
});

Deno.test("verifyOtp: five wrong guesses end the challenge, the right code included", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const challengeId = await begin(server);
  const code = await server.codeFor(ADA);
  for (const remaining of [4, 3, 2, 1, 0]) {
    const answer = await server.call(verifyOtp, {
      json: { challenge_id: challengeId, code: otherThan(code) },
    });
    assert.equal(answer.status, 400);
    assert.equal(answer.body.attempts_remaining, remaining);
  }
  const answer = await server.call(verifyOtp, { json: { challenge_id: challengeId, code } });
  assert.equal(answer.body.code, "otp_expired");
  server.clock.nowMs += MINUTE_MS;
  assert.equal((await server.call(resendOtp, { json: { challenge_id: challengeId } })).status, 410);
});

Deno.test("verifyOtp: of 1000 parallel wrong guesses five are compared", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const challengeId = await begin(server);
  const code = await server.codeFor(ADA);
  const answers = await Promise.all(
    Array.from(
      { length: 1000 },
      () => server.call(verifyOtp, { json: { challenge_id: challengeId, code: otherThan(code) } }),
    ),
  );
  assert.equal(answers.filter(({ status }) => status === 400).length, 5);
  assert(answers.every(({ status }) => status === 400 || status === 410 || status === 503));
});

Deno.test("verifyOtp: of 50 parallel right guesses one wins", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const challengeId = await begin(server);
  const code = await server.codeFor(ADA);
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => server.call(verifyOtp, { json: { challenge_id: challengeId, code } })),
  );
  assert.equal(answers.filter(({ status }) => status === 201).length, 1);
  assert.equal(answers.filter(({ status }) => status === 410).length, 49);
});

Deno.test("verifyOtp: one confirmed registration voids the others of its address", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const first = await begin(server, { password: "first-password-1" });
  const firstCode = await server.codeFor(ADA);
  const second = await begin(server, { password: "second-password-2" });
  const secondCode = await server.codeFor(ADA);
  const [one, two] = await Promise.all([
    server.call(verifyOtp, { json: { challenge_id: first, code: firstCode } }),
    server.call(verifyOtp, { json: { challenge_id: second, code: secondCode } }),
  ]);
  assert.deepEqual([one.status, two.status].sort(), [201, 410]);
  const password = one.status === 201 ? "first-password-1" : "second-password-2";
  assert.equal((await server.call(login, { json: { email: ADA, password } })).status, 200);
});

Deno.test("verifyOtp: a code opens only the challenge it was mailed for", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const strangers = await begin(server, { password: "the-strangers-own-1" });
  const strangersCode = await server.codeFor(ADA);
  const owners = await begin(server);
  const ownersCode = await server.codeFor(ADA);
  if (strangersCode !== ownersCode) {
    assert.equal(
      (await server.call(verifyOtp, { json: { challenge_id: strangers, code: ownersCode } })).status,
      400,
    );
  }
  assert.equal(
    (await server.call(verifyOtp, { json: { challenge_id: owners, code: ownersCode } })).status,
    201,
  );
});

Deno.test("resendOtp: a new code, the old one counts as wrong, and wrong guesses stay counted", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const challengeId = await begin(server);
  const old = await server.codeFor(ADA);
  await server.call(verifyOtp, { json: { challenge_id: challengeId, code: otherThan(old) } });
  server.clock.nowMs += MINUTE_MS;
  const resent = await server.call(resendOtp, { json: { challenge_id: challengeId } });
  assert.equal(resent.status, 202);
  assert.equal(resent.body.challenge_id, challengeId);
  const fresh = await server.codeFor(ADA);
  if (fresh !== old) {
    const answer = await server.call(verifyOtp, { json: { challenge_id: challengeId, code: old } });
    assert.equal(answer.body.attempts_remaining, 3);
  }
  assert.equal(
    (await server.call(verifyOtp, { json: { challenge_id: challengeId, code: fresh } })).status,
    201,
  );
});

Deno.test("resendOtp: not before its time, at most five times, and not for what is dead", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const challengeId = await begin(server);
  server.clock.nowMs += 59 * SECOND_MS;
  const early = await server.call(resendOtp, { json: { challenge_id: challengeId } });
  assert.equal(early.status, 429);
  assert.equal(early.body.policy, "resend");
  assert.equal(early.headers.get("retry-after"), "1");
  for (let times = 0; times < 5; times++) {
    server.clock.nowMs += MINUTE_MS;
    assert.equal((await server.call(resendOtp, { json: { challenge_id: challengeId } })).status, 202);
  }
  server.clock.nowMs += MINUTE_MS;
  assert.equal((await server.call(resendOtp, { json: { challenge_id: challengeId } })).status, 410);
  assert.equal((await server.call(resendOtp, { json: { challenge_id: UNKNOWN_ID } })).status, 410);

  const guessedId = await begin(server, { email: "bob@example.org" });
  const code = otherThan(await server.codeFor("bob@example.org"));
  for (let guess = 0; guess < 5; guess++) {
    await server.call(verifyOtp, { json: { challenge_id: guessedId, code } });
  }
  server.clock.nowMs += MINUTE_MS;
  assert.equal((await server.call(resendOtp, { json: { challenge_id: guessedId } })).status, 410);
});

Deno.test("resendOtp: revives an expired code while the registration is pending", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const challengeId = await begin(server);
  server.clock.nowMs += 23 * HOUR_MS;
  assert.equal((await server.call(resendOtp, { json: { challenge_id: challengeId } })).status, 202);
  const code = await server.codeFor(ADA);
  assert.equal((await server.call(verifyOtp, { json: { challenge_id: challengeId, code } })).status, 201);
});

Deno.test("resendOtp: of 20 parallel ones a single mail leaves", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const challengeId = await begin(server);
  await server.mails();
  server.clock.nowMs += MINUTE_MS;
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => server.call(resendOtp, { json: { challenge_id: challengeId } })),
  );
  assert.equal(answers.filter(({ status }) => status === 202).length, 1);
  assert.equal((await server.mails()).length, 2);
});

const LONG_CODE = /^[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}$/;

async function makeTenWrongGuesses(server: TestServer): Promise<void> {
  for (let round = 0; round < 2; round++) {
    const challengeId = await begin(server);
    const code = await server.codeFor(ADA);
    for (let guess = 0; guess < 5; guess++) {
      await server.call(verifyOtp, { json: { challenge_id: challengeId, code: otherThan(code) } });
    }
  }
}

Deno.test("codes: after ten wrong guesses in a day they are long, and can be typed as one likes", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await makeTenWrongGuesses(server);
  const challengeId = await begin(server);
  const long = await server.codeFor(ADA);
  assert.match(long, LONG_CODE);
  const typed = long.replace("-", "").toLowerCase();
  assert.equal(
    (await server.call(verifyOtp, { json: { challenge_id: challengeId, code: typed } })).status,
    201,
  );
});

Deno.test("codes: they are long for exactly a day", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await makeTenWrongGuesses(server);
  server.clock.nowMs += DAY_MS - SECOND_MS;
  await begin(server);
  assert.match(await server.codeFor(ADA), LONG_CODE);
  server.clock.nowMs += SECOND_MS;
  await begin(server);
  assert.match(await server.codeFor(ADA), /^\d{6}$/);
});

Deno.test("mail limit: over it the answer stays 202 and no mail leaves", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, THROTTLE_MAIL: "2/1h" } });
  for (let times = 0; times < 4; times++) await begin(server);
  assert.equal((await server.mails()).length, 2);
  server.clock.nowMs += HOUR_MS;
  await begin(server);
  assert.equal((await server.mails()).length, 3);
});

Deno.test("mail limit: of two requests at the same moment the one that comes later mails nothing", async () => {
  const watched = watchKv();
  await using server = await startServer({
    env: { ...UNLIMITED, THROTTLE_MAIL: "1/1h" },
    wrapKv: watched.wrap,
  });
  watched.beforeNextCommit(() => begin(server));
  await begin(server);
  assert.equal((await server.mails()).length, 1);
});

Deno.test("registration: nothing readable of a stranger stands in the store", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const challengeId = await begin(server, { name: "Ada Lovelace" });
  const found: string[] = [];
  for await (const { key, value } of server.db.list({ prefix: [] })) {
    const text = Deno.inspect([key, value], { depth: 20, strAbbreviateSize: 100_000, iterableLimit: 1e6 });
    for (const secret of [ADA, PASSWORD, "Lovelace", challengeId, "argon2id"]) {
      if (text.includes(secret)) found.push(secret);
    }
  }
  assert.deepEqual(found, []);
});

Deno.test("registration: survives a restart between any two steps", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const challengeId = await begin(server);
  await server.restart();
  const code = await server.codeFor(ADA);
  await server.restart();
  const verified = await server.call(verifyOtp, { json: { challenge_id: challengeId, code } });
  await server.restart();
  assert.equal((await server.call(readMe, { token: verified.body.access_token })).status, 200);
});
