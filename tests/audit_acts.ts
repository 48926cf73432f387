// What the tables of the audit trail are made of: acts, each one request, and what is then told of it.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import { requestAccountDeletion, requestEmailChange } from "../openapi/account.ts";
import { register } from "../openapi/registration.ts";
import type { AuditType } from "../src/store/audit_event.ts";
import { keys } from "../src/store/keys.ts";
import type { Scene } from "./audit_scene.ts";
import { type Answer, type CallInput, PASSWORD } from "./harness.ts";
import { otherThan, sessionIdOf, startReset } from "./person.ts";

/** What an event says; where from, when and in which request follows from the request. */
export interface Told {
  readonly type: AuditType;
  readonly actor_kind: "anyone" | "user" | "admin";
  readonly actor_id: string | null;
  readonly user_id: string | null;
  readonly cause: string | null;
  readonly details: Readonly<Record<string, string>>;
  /** The account that it came from is deleted. */
  readonly isWiped?: boolean;
}

/** One request, and what is told of it. */
export interface Plan {
  readonly route: RouteConfig;
  readonly input: CallInput;
  readonly told: readonly Told[] | ((answer: Answer) => readonly Told[] | Promise<readonly Told[]>);
}

export interface Act {
  readonly name: string;
  readonly status: number;
  /** Limits that are not off. */
  readonly env?: Readonly<Record<string, string>>;
  /** Somebody else writes between its reading and its commit. */
  readonly isRace?: boolean;
  /** Brings about what has to be there before. */
  readonly plan: (scene: Scene) => Plan | Promise<Plan>;
}

export const NEW_PASSWORD = "granite-otter-58";
export const WRONG_PASSWORD = "not-the-password-7";
export const NEW_EMAIL = "countess@example.org";
export const STRANGER = "nobody@example.org";
export const ONE_MAIL = { THROTTLE_MAIL: "1/1d" };

type Words = Partial<Pick<Told, "cause" | "details" | "isWiped">>;

const plain = { cause: null, details: {} } as const;

export function byAnyone(type: AuditType, userId: string | null, words: Words = {}): Told {
  return { type, actor_kind: "anyone", actor_id: null, user_id: userId, ...plain, ...words };
}

export function byOwner(type: AuditType, { id }: { readonly id: string }, words: Words = {}): Told {
  return { type, actor_kind: "user", actor_id: id, user_id: id, ...plain, ...words };
}

export function byAdmin(type: AuditType, { admin, ada }: Scene, words: Words = {}): Told {
  return { type, actor_kind: "admin", actor_id: admin.id, user_id: ada.id, ...plain, ...words };
}

export function plan(route: RouteConfig, input: CallInput, told: Plan["told"] = []): Plan {
  return { route, input, told };
}

/** The mail of this kind that was written last, as an event names it. */
export async function mailed({ server }: Scene, kind: string): Promise<string> {
  const { entries } = await server.kv.collect(keys.mails(), { limit: 5, isNewestFirst: true });
  return entries.find(({ value }) => value.kind === kind)?.value.id ?? assert.fail(`No ${kind} was mailed`);
}

interface Pending {
  readonly challenge_id: string;
  readonly code: string;
}

async function pending({ server }: Scene, to: string, asked: Promise<Answer>): Promise<Pending> {
  const { status, body, text } = await asked;
  assert.equal(status, 202, text);
  return { challenge_id: body.challenge_id, code: await server.codeFor(to) };
}

export function beginRegistration(scene: Scene): Promise<Pending> {
  const json = { email: STRANGER, password: PASSWORD };
  return pending(scene, STRANGER, scene.server.call(register, { json }));
}

export async function beginReset({ server, ada: { email } }: Scene): Promise<Pending> {
  return { challenge_id: await startReset(server, email), code: await server.codeFor(email) };
}

export function beginEmailChange(scene: Scene): Promise<Pending> {
  const json = { new_email: NEW_EMAIL, current_password: PASSWORD };
  const token = scene.ada.accessToken;
  return pending(scene, NEW_EMAIL, scene.server.call(requestEmailChange, { token, json }));
}

export function beginDeletion(scene: Scene): Promise<Pending> {
  scene.server.clock.nowMs += 1;
  const { email, accessToken: token } = scene.ada;
  return pending(scene, email, scene.server.call(requestAccountDeletion, { token }));
}

export function wrong({ challenge_id, code }: Pending): Pending {
  return { challenge_id, code: otherThan(code) };
}

export function failed(purpose: string, cause = "wrong"): Words {
  return { cause, details: { purpose } };
}

export function sessionOf(accessToken: string): Words {
  return { details: { session_id: sessionIdOf({ accessToken }) } };
}
