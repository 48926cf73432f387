// The trail of limits: told is who takes the last permit of a window, and not who is refused then.

import type { RouteConfig } from "@hono/zod-openapi";
import { readMe } from "../openapi/account.ts";
import { changePassword, requestPasswordReset } from "../openapi/passwords.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { login, verifyToken } from "../openapi/sessions.ts";
import {
  type Act,
  byAnyone,
  byOwner,
  failed,
  mailed,
  NEW_PASSWORD,
  plan,
  STRANGER,
  type Told,
  WRONG_PASSWORD,
} from "./audit_acts.ts";
import { FROM, type Scene } from "./audit_scene.ts";
import { type CallInput, PASSWORD, UNKNOWN_ID } from "./harness.ts";

interface Limit {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly permits: number;
  readonly route: RouteConfig;
  readonly status: number;
  /** The nth request, from 1. */
  readonly input: (scene: Scene, nth: number) => CallInput;
  readonly told: (scene: Scene) => readonly Told[] | Promise<readonly Told[]>;
}

/** What is told of a limit of somebody who has not shown who they are. */
function reached(policy: string, userId: string | null, seconds: string): Told {
  return byAnyone("limit_reached", userId, { cause: policy, details: { window_seconds: seconds } });
}

function reachedByOwner(policy: string, { ada }: Scene, seconds: string): Told {
  return byOwner("limit_reached", ada, { cause: policy, details: { window_seconds: seconds } });
}

const unknown = byAnyone("sign_in_failed", null, { cause: "account_unknown" });

const limits: readonly Limit[] = [
  {
    name: "login by network",
    env: { THROTTLE_LOGIN: "3/1m" },
    permits: 3,
    route: login,
    status: 401,
    input: (_, nth) => ({ json: { email: `nobody${nth}@example.org`, password: PASSWORD } }),
    told: () => [reached("login", null, "60"), unknown],
  },
  {
    name: "login by account",
    env: { THROTTLE_LOGIN: "3/1m" },
    permits: 3,
    route: login,
    status: 401,
    input: ({ ada }, nth) => ({
      json: { email: ada.email, password: WRONG_PASSWORD },
      ...(nth < 3 && { ip: `198.51.100.${nth}` }),
    }),
    told: ({ ada }) => [
      reached("login", ada.id, "60"),
      byAnyone("sign_in_failed", ada.id, { cause: "password_wrong" }),
    ],
  },
  {
    name: "login by address without an account",
    env: { THROTTLE_LOGIN: "3/1m" },
    permits: 3,
    route: login,
    status: 401,
    input: (_, nth) => ({
      json: { email: STRANGER, password: PASSWORD },
      ...(nth < 3 && { ip: `198.51.100.${nth}` }),
    }),
    told: () => [reached("login", null, "60"), unknown],
  },
  {
    name: "login of two windows, by network and by account",
    env: { THROTTLE_LOGIN: "2/1m,2/1h" },
    permits: 2,
    route: login,
    status: 401,
    input: ({ ada }) => ({ json: { email: ada.email, password: WRONG_PASSWORD } }),
    told: ({ ada }) => [
      reached("login", null, "60 3600"),
      reached("login", ada.id, "60 3600"),
      byAnyone("sign_in_failed", ada.id, { cause: "password_wrong" }),
    ],
  },
  {
    name: "login to another one's account by who is signed in",
    // The auditor counts as a user, too.
    env: { THROTTLE_LOGIN: "5/1m", THROTTLE_USER: "5/1h" },
    permits: 5,
    route: login,
    status: 401,
    input: ({ ada, admin }) => ({
      token: ada.accessToken,
      json: { email: admin.email, password: WRONG_PASSWORD },
    }),
    told: (scene) => [
      reachedByOwner("user", scene, "3600"),
      reached("login", null, "60"),
      reached("login", scene.admin.id, "60"),
      byAnyone("sign_in_failed", scene.admin.id, { cause: "password_wrong" }),
    ],
  },
  {
    name: "register by network",
    env: { THROTTLE_REGISTER: "3/1m" },
    permits: 3,
    route: register,
    status: 202,
    input: (_, nth) => ({ json: { email: `nobody${nth}@example.org`, password: PASSWORD } }),
    told: async (scene) => [
      reached("register", null, "60"),
      byAnyone("code_sent", null, {
        details: { purpose: "registration", mail_id: await mailed(scene, "registration_code") },
      }),
    ],
  },
  {
    name: "otp by network and by challenge",
    env: { THROTTLE_OTP: "3/1m" },
    permits: 3,
    route: verifyOtp,
    status: 410,
    input: () => ({ json: { challenge_id: UNKNOWN_ID, code: "000000" } }),
    told: () => [reached("otp", null, "60"), reached("otp", null, "60")],
  },
  {
    name: "password_reset by network and by address",
    env: { THROTTLE_PASSWORD_RESET: "2/1h" },
    permits: 2,
    route: requestPasswordReset,
    status: 202,
    input: () => ({ json: { email: STRANGER } }),
    told: () => [
      reached("password_reset", null, "3600"),
      reached("password_reset", null, "3600"),
      byAnyone("code_withheld", null, failed("password_reset", "no_recipient")),
    ],
  },
  {
    name: "password by account",
    env: { THROTTLE_PASSWORD: "2/1m" },
    permits: 2,
    route: changePassword,
    status: 401,
    input: ({ ada }) => ({
      token: ada.accessToken,
      json: { current_password: WRONG_PASSWORD, new_password: NEW_PASSWORD },
    }),
    told: (scene) => [
      reachedByOwner("password", scene, "60"),
      byOwner("password_failed", scene.ada, { cause: "password_wrong" }),
    ],
  },
  {
    name: "anonymous by network",
    env: { THROTTLE_ANONYMOUS: "6/1d" },
    permits: 6,
    route: verifyToken,
    status: 200,
    input: () => ({ json: { token: "a.b.c" } }),
    told: () => [reached("anonymous", null, "86400")],
  },
  {
    name: "user by account",
    env: { THROTTLE_USER: "4/1d" },
    permits: 4,
    route: readMe,
    status: 200,
    input: ({ ada }) => ({ token: ada.accessToken }),
    told: (scene) => [reachedByOwner("user", scene, "86400")],
  },
];

/** Each takes the last permit. */
export const limitActs: readonly Act[] = limits.map(({ name, env, permits, route, status, input, told }) => ({
  name: `limit ${name}`,
  env,
  status,
  plan: async (scene) => {
    for (let nth = 1; nth < permits; nth++) {
      await scene.server.call(route, { ...FROM, ...input(scene, nth) });
    }
    return plan(route, input(scene, permits), () => told(scene));
  },
}));
