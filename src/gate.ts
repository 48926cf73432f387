// What stands before every handler under /api, in the order of contract §6.9: body size, media type, token, role,
// limits, body syntax. A route names its gate on its own line; there is no way past the order, and no route without
// the limits that count for everybody.

import type { Context, MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import type { AccessClaims } from "./access_token.ts";
import type { AppEnv } from "./app_env.ts";
import { readBody, type RequestBody, textMember } from "./body.ts";
import type { Deps } from "./deps.ts";
import { Problem } from "./problem.ts";
import { announceLimits, type LimitRule } from "./rate_limit.ts";
import type { Client } from "./store/client.ts";
import type { SessionRecord, UserRecord } from "./store/keys.ts";
import type { Present } from "./store/kv.ts";
import { findPresentedToken, ownerOfToken, type PresentedToken } from "./store/rotation.ts";
import { findSession, touchSession } from "./store/sessions.ts";
import type { Subject } from "./store/limits.ts";

/** What a handler behind `requireUser` or `requireAdmin` finds besides. */
export interface SignedInEnv {
  Variables: AppEnv["Variables"] & { user: Present<UserRecord>; session: Present<SessionRecord> };
}

/** What a handler behind `admitRefreshToken` finds besides: null for what does not have the form of one. */
export interface PresentingEnv {
  Variables: AppEnv["Variables"] & { presented: PresentedToken | null };
}

/** Who presents an access token. */
type Bearer =
  | { readonly state: "missing" | "invalid" | "disabled" }
  | {
    readonly state: "signed_in";
    readonly user: Present<UserRecord>;
    readonly session: Present<SessionRecord>;
    readonly claims: AccessClaims;
  };

const REFUSALS = {
  missing: "token_missing",
  invalid: "token_invalid",
  disabled: "account_disabled",
} as const;

/** A gate that everybody passes, as far as the limits allow. A junk token counts as none. */
export function admitAnyone(deps: Deps, ...rules: LimitRule[]): MiddlewareHandler<AppEnv> {
  return createMiddleware<AppEnv>(async (c, next) => {
    const body = await readBody(c.req);
    const bearer = await findBearer(deps, c.req.header("authorization"));
    const userId = userIdOf(bearer) ?? await ownerOfBodyToken(deps, body.value);
    await applyLimits(c, deps, { client: c.get("client"), userId, body, rules });
    await next();
  });
}

/** A gate for who brings a refresh token: looked up once, to count for its user and to be exchanged. */
export function admitRefreshToken(deps: Deps): MiddlewareHandler<PresentingEnv> {
  return createMiddleware<PresentingEnv>(async (c, next) => {
    const body = await readBody(c.req);
    const token = textMember(body.value, "refresh_token");
    const presented = token === null ? null : await findPresentedToken(deps.kv, token);
    const bearer = await findBearer(deps, c.req.header("authorization"));
    const userId = userIdOf(bearer) ?? (presented && ownerOfToken(deps, presented)?.userId) ?? null;
    await applyLimits(c, deps, { client: c.get("client"), userId, body, rules: [] });
    c.set("presented", presented);
    await next();
  });
}

/** A gate for who is signed in: 401, or 403 for a disabled account. */
export function requireUser(deps: Deps, ...rules: LimitRule[]): MiddlewareHandler<SignedInEnv> {
  return signedInGate(deps, rules, { isAdminOnly: false });
}

/** A gate for admins: 403 `role_insufficient` for everybody else who is signed in. */
export function requireAdmin(deps: Deps, ...rules: LimitRule[]): MiddlewareHandler<SignedInEnv> {
  return signedInGate(deps, rules, { isAdminOnly: true });
}

/** Whose access token this is, if its session lives. */
export async function findBearerOfToken(deps: Deps, token: string): Promise<Bearer> {
  const claims = await deps.accessTokens.verify(token);
  if (!claims) return { state: "invalid" };
  const { user, session } = await findSession(deps.kv, { userId: claims.sub, sessionId: claims.sid });
  if (user?.value.status === "disabled") return { state: "disabled" };
  if (!user || !session) return { state: "invalid" };
  // A demoted admin's token says too much; its session lives on, and a refresh gives one that is true.
  if (claims.role === "admin" && user.value.role !== "admin") return { state: "invalid" };
  return { state: "signed_in", user, session, claims };
}

function signedInGate(
  deps: Deps,
  rules: readonly LimitRule[],
  { isAdminOnly }: { readonly isAdminOnly: boolean },
): MiddlewareHandler<SignedInEnv> {
  return createMiddleware<SignedInEnv>(async (c, next) => {
    const body = await readBody(c.req);
    const bearer = await findBearer(deps, c.req.header("authorization"));
    if (bearer.state !== "signed_in") throw new Problem(REFUSALS[bearer.state]);
    const { user, session } = bearer;
    if (isAdminOnly && user.value.role !== "admin") throw new Problem("role_insufficient");
    await applyLimits(c, deps, { client: c.get("client"), userId: user.value.id, body, rules });
    await touchSession(deps.kv, session);
    c.set("user", user);
    c.set("session", session);
    await next();
  });
}

/** RFC 6750 §2.1: the header only, never the query. */
async function findBearer(deps: Deps, authorization: string | undefined): Promise<Bearer> {
  if (authorization === undefined) return { state: "missing" };
  const token = /^Bearer +([\w.~+/-]+=*) *$/i.exec(authorization)?.[1];
  return token ? await findBearerOfToken(deps, token) : { state: "invalid" };
}

/** A request that brings its token in the body counts as its user's (contract §4, `user`). */
async function ownerOfBodyToken(deps: Deps, body: unknown): Promise<string | null> {
  const token = textMember(body, "refresh_token") ?? textMember(body, "token");
  if (token === null) return null;
  const presented = await findPresentedToken(deps.kv, token);
  if (presented) return ownerOfToken(deps, presented)?.userId ?? null;
  return userIdOf(await findBearerOfToken(deps, token));
}

function userIdOf(bearer: Bearer): string | null {
  return bearer.state === "signed_in" ? bearer.user.value.id : null;
}

/** The end of every gate: the limits, and only then whether the body could be read. */
async function applyLimits(
  c: Context,
  deps: Deps,
  { client, userId, body, rules }: {
    readonly client: Client;
    readonly userId: string | null;
    readonly body: RequestBody;
    readonly rules: readonly LimitRule[];
  },
): Promise<void> {
  const subjects: Subject[] = [
    userId === null
      ? { policy: "anonymous", subject: client.networkHash, userId: null }
      : { policy: "user", subject: userId, userId },
  ];
  for (const rule of rules) {
    const counted = await rule.subjectOf(deps, { client, userId, body: body.value });
    if (counted !== null) subjects.push({ policy: rule.policy, ...counted });
  }
  announceLimits(c, await deps.limits.admit(subjects, client));
  if (body.fault) throw body.fault;
}
