// Every code of the contract's table, provoked once through the contract, each with its own status.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import { readMe, requestEmailChange } from "../openapi/account.ts";
import { createNote, readNote } from "../openapi/notes.ts";
import { type ProblemCode, problemCodes, problemTable } from "../openapi/problem.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { readReadiness } from "../openapi/service.ts";
import { endSession, login, refreshTokens } from "../openapi/sessions.ts";
import { listUsers, readUser, updateUser } from "../openapi/users.ts";
import { OPERATOR } from "../src/store/client.ts";
import { replaceUser } from "../src/store/users.ts";
import { type CallInput, PASSWORD, SECOND_MS, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { type Person, signUp } from "./person.ts";

const UNKNOWN_ID = "01981f6e-7a4c-7d1e-9b60-2f5d1c8e4a10";

interface Stage {
  readonly server: TestServer;
  readonly ada: Person;
  /** The only admin. */
  readonly root: Person;
  /** While it is true every read of the store fails. */
  readonly fault: { isOn: boolean };
}

type Provocation = (stage: Stage) => Promise<{ readonly route: RouteConfig; readonly input?: CallInput }>;

const now = (route: RouteConfig, input: CallInput = {}): ReturnType<Provocation> =>
  Promise.resolve({ route, input });

/** A raw request: for what no contract declares. */
const raw = (path: string, init: RequestInit = {}): (stage: Stage) => Promise<Response> => ({ server }) =>
  server.request(path, init);

const JSON_TYPE = { "content-type": "application/json" };

const provocations: Record<ProblemCode, Provocation | ReturnType<typeof raw>> = {
  body_malformed: raw(login.path, { method: "POST", headers: JSON_TYPE, body: "{" }),
  otp_invalid: async ({ server }) => {
    const { body } = await server.call(register, { json: { email: "eve@example.org", password: PASSWORD } });
    const code = await server.codeFor("eve@example.org") === "000000" ? "000001" : "000000";
    return { route: verifyOtp, input: { json: { challenge_id: body.challenge_id, code } } };
  },
  token_missing: () => now(readMe),
  token_invalid: () => now(readMe, { token: "junk" }),
  credentials_invalid: ({ ada }) =>
    now(login, { json: { email: ada.email, password: "not-the-password-7" } }),
  refresh_token_invalid: () => now(refreshTokens, { json: { refresh_token: "junk" } }),
  refresh_token_reused: async ({ server, ada }) => {
    await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
    server.clock.nowMs += 10 * SECOND_MS;
    return { route: refreshTokens, input: { json: { refresh_token: ada.refreshToken } } };
  },
  password_invalid: ({ ada }) =>
    now(requestEmailChange, {
      token: ada.accessToken,
      json: { new_email: "new@example.org", current_password: "not-the-password-7" },
    }),
  role_insufficient: ({ ada }) => now(listUsers, { token: ada.accessToken }),
  account_disabled: async ({ server, ada }) => {
    await replaceUser(server.deps, ada.id, { status: "disabled" }, OPERATOR);
    return { route: readMe, input: { token: ada.accessToken } };
  },
  route_unknown: raw("/nope"),
  user_not_found: ({ root }) => now(readUser, { token: root.accessToken, params: { user_id: UNKNOWN_ID } }),
  session_not_found: ({ ada }) =>
    now(endSession, { token: ada.accessToken, params: { session_id: UNKNOWN_ID } }),
  note_not_found: ({ ada }) => now(readNote, { token: ada.accessToken, params: { note_id: UNKNOWN_ID } }),
  method_not_allowed: raw(login.path),
  body_too_large: raw(login.path, { method: "POST", headers: JSON_TYPE, body: " ".repeat(65_537) }),
  media_type_unsupported: raw(login.path, { method: "POST", body: "a=1" }),
  validation_failed: () => now(login, { json: {} }),
  username_taken: () =>
    now(register, { json: { email: "eve@example.org", password: PASSWORD, username: "ADA" } }),
  last_admin: ({ root }) =>
    now(updateUser, { token: root.accessToken, params: { user_id: root.id }, json: { role: "user" } }),
  plan_limit_reached: async ({ server, ada }) => {
    const input = { token: ada.accessToken, json: { title: "one more" } };
    for (let held = 0; held < 20; held++) await server.call(createNote, input);
    return { route: createNote, input };
  },
  otp_expired: () => now(verifyOtp, { json: { challenge_id: UNKNOWN_ID, code: "123456" } }),
  rate_limited: async ({ server }) => {
    const input = { json: { email: "eve@example.org", password: PASSWORD }, ip: "203.0.113.7" };
    for (let asked = 0; asked < 5; asked++) await server.call(login, input);
    return { route: login, input };
  },
  internal_error: ({ fault }) => {
    fault.isOn = true;
    return now(login, { json: { email: "ada@example.org", password: PASSWORD } });
  },
  unavailable: ({ fault }) => {
    fault.isOn = true;
    return now(readReadiness);
  },
};

for (const code of problemCodes) {
  Deno.test(`code: ${code} is answered with ${problemTable[code][0]}`, async () => {
    const fault = { isOn: false };
    const failing = new Error("The disk is gone");
    await using server = await startServer({
      env: { ...UNLIMITED, THROTTLE_LOGIN: "5/1m" },
      wrapKv: (kv) => ({
        ...kv,
        find: (key) => fault.isOn ? Promise.reject(failing) : kv.find(key),
        findMany: (keys) => fault.isOn ? Promise.reject(failing) : kv.findMany(keys),
        change: () => {
          if (fault.isOn) throw failing;
          return kv.change();
        },
      }),
    });
    const ada = await signUp(server, { username: "ada" });
    const root = await signUp(server, { email: "root@example.org" });
    await replaceUser(server.deps, root.id, { role: "admin" }, OPERATOR);

    const provoked = await provocations[code]({ server, ada, root, fault });
    if (provoked instanceof Response) {
      const body = await provoked.json();
      assert.deepEqual([body.code, provoked.status], [code, problemTable[code][0]]);
      return;
    }
    const answer = await server.call(provoked.route, provoked.input);
    assert.deepEqual([answer.body.code, answer.status], [code, problemTable[code][0]]);
  });
}
