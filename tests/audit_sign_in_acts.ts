// The trail of who registers, signs in, refreshes and signs out, or tries to.

import assert from "node:assert/strict";
import { register, resendOtp, verifyOtp } from "../openapi/registration.ts";
import { endOtherSessions, endSession, login, logout, refreshTokens } from "../openapi/sessions.ts";
import { keys } from "../src/store/keys.ts";
import {
  type Act,
  beginRegistration,
  byAnyone,
  byOwner,
  failed,
  mailed,
  ONE_MAIL,
  plan,
  sessionOf,
  STRANGER,
  wrong,
  WRONG_PASSWORD,
} from "./audit_acts.ts";
import { MINUTE_MS, PASSWORD, SECOND_MS, UNKNOWN_ID } from "./harness.ts";
import { overwriteUser, sessionIdOf, signIn } from "./person.ts";

const registration: readonly Act[] = [
  ...[["an address", STRANGER, "registration_code"], [
    "a known address",
    "ada@example.org",
    "registration_known",
  ]]
    .map(([name = "", email = "", kind = ""]): Act => ({
      name: `the registration of ${name}`,
      status: 202,
      plan: (scene) =>
        plan(register, { json: { email, password: PASSWORD } }, async () => [
          byAnyone("code_sent", null, {
            details: { purpose: "registration", mail_id: await mailed(scene, kind) },
          }),
        ]),
    })),
  {
    name: "a registration beyond the mails of an address",
    status: 202,
    env: ONE_MAIL,
    plan: async (scene) => {
      await beginRegistration(scene);
      return plan(register, { json: { email: STRANGER, password: PASSWORD } }, [
        byAnyone("code_withheld", null, failed("registration", "mail_limit")),
      ]);
    },
  },
  {
    name: "a registration with a username that is taken",
    status: 409,
    plan: () => plan(register, { json: { email: STRANGER, password: PASSWORD, username: "ada" } }),
  },
  {
    name: "a new code",
    status: 202,
    plan: async (scene) => {
      const { challenge_id } = await beginRegistration(scene);
      scene.server.clock.nowMs += MINUTE_MS;
      return plan(resendOtp, { json: { challenge_id } }, async () => [
        byAnyone("code_sent", null, {
          details: { purpose: "registration", mail_id: await mailed(scene, "registration_code") },
        }),
      ]);
    },
  },
  {
    name: "a new code too early",
    status: 429,
    plan: async (scene) =>
      plan(resendOtp, { json: { challenge_id: (await beginRegistration(scene)).challenge_id } }),
  },
  {
    name: "the right code of a registration",
    status: 201,
    plan: async (scene) =>
      plan(verifyOtp, { json: await beginRegistration(scene) }, ({ body }) => [
        byOwner("account_created", body.user, sessionOf(body.access_token)),
      ]),
  },
  {
    name: "a wrong code of a registration",
    status: 400,
    plan: async (scene) =>
      plan(verifyOtp, { json: wrong(await beginRegistration(scene)) }, [
        byAnyone("code_failed", null, failed("registration")),
      ]),
  },
  {
    name: "an expired code of a registration",
    status: 410,
    plan: async (scene) => {
      const json = await beginRegistration(scene);
      scene.server.clock.nowMs += 10 * MINUTE_MS;
      return plan(verifyOtp, { json }, [byAnyone("code_failed", null, failed("registration", "expired"))]);
    },
  },
  {
    name: "a code of a challenge that is not there",
    status: 410,
    plan: () => plan(verifyOtp, { json: { challenge_id: UNKNOWN_ID, code: "000000" } }),
  },
];

const sessions: readonly Act[] = [
  {
    name: "a sign-in",
    status: 200,
    plan: ({ ada }) =>
      plan(login, { json: { email: ada.email, password: PASSWORD } }, ({ body }) => [
        byOwner("signed_in", ada, sessionOf(body.access_token)),
      ]),
  },
  {
    name: "a sign-in beyond fifty sessions",
    status: 200,
    plan: async ({ server, ada }) => {
      for (let sessions = 1; sessions < 50; sessions++) {
        server.clock.nowMs += 1;
        await signIn(server, ada);
      }
      return plan(login, { json: { email: ada.email, password: PASSWORD } }, ({ body }) => [
        byOwner("signed_in", ada, sessionOf(body.access_token)),
        byOwner("session_ended", ada, { cause: "session_limit", ...sessionOf(ada.accessToken) }),
      ]);
    },
  },
  {
    name: "a sign-in of an unknown address",
    status: 401,
    plan: () =>
      plan(login, { json: { email: STRANGER, password: PASSWORD } }, [
        byAnyone("sign_in_failed", null, { cause: "account_unknown" }),
      ]),
  },
  {
    name: "a sign-in with a wrong password",
    status: 401,
    plan: ({ ada }) =>
      plan(login, { json: { email: ada.email, password: WRONG_PASSWORD } }, [
        byAnyone("sign_in_failed", ada.id, { cause: "password_wrong" }),
      ]),
  },
  {
    name: "a sign-in to a disabled account",
    status: 403,
    plan: async ({ server, ada }) => {
      await overwriteUser(server, ada, { status: "disabled" });
      return plan(login, { json: { email: ada.email, password: PASSWORD } }, [
        byAnyone("sign_in_failed", ada.id, { cause: "account_disabled" }),
      ]);
    },
  },
  {
    name: "a sign-in while the password changes",
    status: 401,
    isRace: true,
    plan: ({ server: { kv }, watched, ada }) => {
      watched.beforeNextCommit(async () => {
        const { key, value } = await kv.find(keys.credential(ada.id));
        assert(value);
        await kv.change().set(key, { ...value, changedAtMs: value.changedAtMs + 1 }).commit();
      });
      return plan(login, { json: { email: ada.email, password: PASSWORD } }, [
        byAnyone("sign_in_failed", ada.id, { cause: "account_changed" }),
      ]);
    },
  },
  ...[
    { name: "a refresh", uses: 0, laterMs: 0, status: 200 },
    { name: "a used refresh token within its grace", uses: 1, laterMs: 0, status: 200 },
    { name: "a used refresh token", uses: 1, laterMs: 10 * SECOND_MS, status: 401 },
    { name: "a used refresh token once more", uses: 2, laterMs: 10 * SECOND_MS, status: 401 },
  ].map(({ name, uses, laterMs, status }): Act => ({
    name,
    status,
    plan: async ({ server, ada }) => {
      const input = { json: { refresh_token: ada.refreshToken } };
      for (let use = 0; use < uses; use++) {
        await server.call(refreshTokens, input);
        server.clock.nowMs += laterMs;
      }
      const isTold = laterMs > 0 && uses === 1;
      const replay = byAnyone("refresh_token_reused", ada.id, sessionOf(ada.accessToken));
      return plan(refreshTokens, input, isTold ? [replay] : []);
    },
  })),
  {
    name: "a sign-out",
    status: 204,
    plan: ({ ada, ada: { accessToken: token, refreshToken: refresh_token } }) =>
      plan(logout, { token, json: { refresh_token } }, [byOwner("session_ended", ada, sessionOf(token))]),
  },
  {
    name: "a sign-out that names another session",
    status: 204,
    plan: async ({ server, ada }) => {
      const { accessToken, refreshToken: refresh_token } = await signIn(server, ada);
      return plan(logout, { token: ada.accessToken, json: { refresh_token } }, [
        byOwner("session_ended", ada, sessionOf(ada.accessToken)),
        byOwner("session_ended", ada, sessionOf(accessToken)),
      ]);
    },
  },
  {
    name: "the end of a session from afar",
    status: 204,
    plan: async ({ server, ada }) => {
      const { accessToken } = await signIn(server, ada);
      const params = { session_id: sessionIdOf({ accessToken }) };
      return plan(endSession, { token: ada.accessToken, params }, [
        byOwner("session_ended", ada, sessionOf(accessToken)),
      ]);
    },
  },
  {
    name: "the end of a session that is not there",
    status: 404,
    plan: ({ ada }) => plan(endSession, { token: ada.accessToken, params: { session_id: UNKNOWN_ID } }),
  },
  {
    name: "the end of all other sessions",
    status: 204,
    plan: ({ ada }) => plan(endOtherSessions, { token: ada.accessToken }, [byOwner("sessions_ended", ada)]),
  },
];

/** Such as leave no event are among them. */
export const signInActs: readonly Act[] = [...registration, ...sessions];
