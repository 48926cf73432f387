// Passwords: the change for who is signed in and knows the old one, and the limit on guessing it from inside.

import assert from "node:assert/strict";
import { readMe, requestEmailChange } from "../openapi/account.ts";
import { changePassword } from "../openapi/passwords.ts";
import { login, refreshTokens } from "../openapi/sessions.ts";
import {
  type Answer,
  MINUTE_MS,
  PASSWORD,
  SECOND_MS,
  startServer,
  type TestServer,
  UNLIMITED,
} from "./harness.ts";
import { overwriteUser, type Person, signIn, signUp } from "./person.ts";

const NEW = "seven-otters-paddle-41";
const WRONG = "not-the-password-7";

const change = (
  server: TestServer,
  { accessToken: token }: Pick<Person, "accessToken">,
  json: Record<string, unknown> = {},
): Promise<Answer> =>
  server.call(changePassword, { token, json: { current_password: PASSWORD, new_password: NEW, ...json } });

Deno.test("changePassword: this session goes on, every other one ends, also after a restart", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const others = [await signIn(server, ada), await signIn(server, ada)];
  const answer = await change(server, ada, { new_password_confirm: NEW });
  assert.equal(answer.status, 204);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  for (const when of ["at once", "after a restart"]) {
    assert.equal((await server.call(readMe, { token: ada.accessToken })).status, 200, when);
    for (const { accessToken, refreshToken } of others) {
      assert.equal((await server.call(readMe, { token: accessToken })).body.code, "token_invalid", when);
      const refreshed = await server.call(refreshTokens, { json: { refresh_token: refreshToken } });
      assert.equal(refreshed.body.code, "refresh_token_invalid", when);
    }
    await server.restart();
  }
  const refreshed = await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
  assert.equal(refreshed.status, 200);
  assert.equal((await server.call(login, { json: { email: ada.email, password: PASSWORD } })).status, 401);
  await signIn(server, { ...ada, password: NEW });
});

Deno.test("changePassword: tells the owner when and from where, and nothing of the password", async () => {
  await using server = await startServer();
  const ada = await signUp(server);
  server.clock.nowMs += 5 * MINUTE_MS;
  await server.call(changePassword, {
    token: ada.accessToken,
    json: { current_password: PASSWORD, new_password: NEW },
    ip: "2001:db8::7",
    headers: { "user-agent": "curl/8.9.1" },
  });
  const notice = (await server.mails()).at(-1);
  assert.deepEqual([notice?.kind, notice?.to, notice?.code], ["password_changed", ada.email, null]);
  assert.match(notice?.text ?? "", /When: 2026-11-21 09:05 UTC\nFrom: 2001:db8::7\nWith: curl/);
  assert(!notice?.text.includes(NEW) && !notice?.text.includes(PASSWORD));
});

Deno.test("changePassword: refuses", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server, { email: "archimedes@example.org", username: "quibblewort" });
  const other = await signIn(server, ada);
  const rows = [
    {
      name: "a wrong current password",
      json: { current_password: WRONG },
      status: 401,
      problem: "password_invalid",
    },
    {
      name: "a weak one before a wrong current password",
      json: { current_password: WRONG, new_password: "archimedes7" },
      pointer: "/new_password",
    },
    { name: "no current password", json: { current_password: undefined }, pointer: "/current_password" },
    { name: "no new password", json: { new_password: undefined }, pointer: "/new_password" },
    { name: "a short one", json: { new_password: "k7#pQ2z" }, pointer: "/new_password" },
    { name: "a common one", json: { new_password: "password1" }, pointer: "/new_password" },
    { name: "one like the email", json: { new_password: "archimedes7" }, pointer: "/new_password" },
    { name: "one like the username", json: { new_password: "quibblewort9" }, pointer: "/new_password" },
    {
      name: "not the same twice",
      json: { new_password_confirm: `${NEW}!` },
      pointer: "/new_password_confirm",
    },
    { name: "an unknown member", json: { email: "eve@example.org" }, pointer: "/email" },
    { name: "no token", caller: {}, json: {}, status: 401, problem: "token_missing" },
    { name: "a junk token", caller: { token: "junk" }, json: {}, status: 401, problem: "token_invalid" },
    {
      name: "no token, before anything else",
      caller: {},
      json: { new_password: "k7#pQ2z" },
      status: 401,
      problem: "token_missing",
    },
  ];
  const owner = { token: ada.accessToken };
  for (const { name, caller = owner, json, pointer, status = 422, problem = "validation_failed" } of rows) {
    await t.step(name, async () => {
      const answer = await server.call(changePassword, {
        ...caller,
        json: { current_password: PASSWORD, new_password: NEW, ...json },
      });
      assert.equal(answer.status, status, answer.text);
      assert.equal(answer.body.code, problem);
      if (pointer) assert.equal(answer.body.errors[0].pointer, pointer);
      for (const password of [WRONG, PASSWORD, NEW, json.new_password ?? NEW]) {
        assert(!answer.text.includes(password), "a password is echoed");
      }
    });
  }
  assert.equal((await server.mails()).length, 1, "nobody is told of what did not happen");
  assert.equal((await server.call(readMe, { token: other.accessToken })).status, 200, "nothing has ended");
  await signIn(server, ada);
});

Deno.test("changePassword: a disabled account's session changes nothing", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  await overwriteUser(server, ada, { status: "disabled" });
  assert.equal((await change(server, ada)).body.code, "account_disabled");
  await overwriteUser(server, ada, { status: "active" });
  await signIn(server, ada);
});

Deno.test("changePassword: five attempts a minute an account, wherever they come from and whatever they try", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, THROTTLE_PASSWORD: "5/1m" } });
  const ada = await signUp(server);
  const bob = await signUp(server, { email: "bob@example.org" });
  const elsewhere = await signIn(server, ada, { ip: "203.0.113.9" });
  const wrong = { current_password: WRONG, new_password: NEW };
  const asked = [
    () => change(server, ada, wrong),
    () => server.call(changePassword, { token: elsewhere.accessToken, json: wrong, ip: "203.0.113.9" }),
    () =>
      server.call(requestEmailChange, {
        token: ada.accessToken,
        json: { new_email: "new@example.org", current_password: WRONG },
      }),
    () => change(server, ada, wrong),
    () => change(server, elsewhere, wrong),
  ];
  for (const ask of asked) assert.equal((await ask()).body.code, "password_invalid");
  for (const { accessToken: token } of [ada, elsewhere]) {
    const answer = await server.call(changePassword, {
      token,
      json: { current_password: PASSWORD, new_password: NEW },
    });
    assert.equal(answer.status, 429, "the right password as well");
    assert.equal(answer.body.policy, "password");
    assert.equal(answer.headers.get("retry-after"), "60");
  }
  assert.equal((await change(server, bob)).status, 204, "another account has a count of its own");
  server.clock.nowMs += MINUTE_MS - 1 * SECOND_MS;
  assert.equal((await change(server, ada)).status, 429);
  server.clock.nowMs += SECOND_MS;
  assert.equal((await change(server, ada)).status, 204);
});
