// People for tests: an account made the way people make one, through the contract.

import assert from "node:assert/strict";
import { decodeJwt } from "jose";
import { requestPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { login } from "../openapi/sessions.ts";
import { OPERATOR } from "../src/store/client.ts";
import { keys, type UserRecord } from "../src/store/keys.ts";
import { isPresent } from "../src/store/kv.ts";
import { replaceUser } from "../src/store/users.ts";
import { type CallInput, PASSWORD, type TestServer } from "./harness.ts";

/** A signed-in person. */
export interface Person {
  readonly id: string;
  readonly email: string;
  readonly password: string;
  readonly accessToken: string;
  readonly refreshToken: string;
}

/** Registers and confirms; the person is signed in from `ip`. */
export async function signUp(
  server: TestServer,
  { email = "ada@example.org", password = PASSWORD, ip = "192.0.2.1", ...profile }: {
    readonly email?: string;
    readonly password?: string;
    readonly username?: string;
    readonly ip?: string;
  } = {},
): Promise<Person> {
  const challenge = await server.call(register, { json: { email, password, ...profile }, ip });
  assert.equal(challenge.status, 202, challenge.text);
  const { status, body, text } = await server.call(verifyOtp, {
    json: { challenge_id: challenge.body.challenge_id, code: await server.codeFor(email) },
    ip,
  });
  assert.equal(status, 201, text);
  return {
    id: body.user.id,
    email,
    password,
    accessToken: body.access_token,
    refreshToken: body.refresh_token,
  };
}

/** Signs a person in once more; the session is another one. */
export async function signIn(
  server: TestServer,
  { id, email, password }: Pick<Person, "id" | "email" | "password">,
  input: Pick<CallInput, "ip" | "headers"> = {},
): Promise<Person> {
  const { status, body, text } = await server.call(login, { json: { email, password }, ...input });
  assert.equal(status, 200, text);
  return { id, email, password, accessToken: body.access_token, refreshToken: body.refresh_token };
}

/** An admin, signed in with a token that says so. */
export async function signUpAdmin(
  server: TestServer,
  email: string,
  input: Pick<CallInput, "ip"> = {},
): Promise<Person> {
  const person = await signUp(server, { email, ...input });
  await makeAdmin(server, person);
  return await signIn(server, person, input);
}

/** Gives the role as an operator does. The tokens that the person has say nothing of it. */
export async function makeAdmin(server: TestServer, { id }: Pick<Person, "id">): Promise<void> {
  assert.equal((await replaceUser(server.deps, id, { role: "admin" }, OPERATOR)).outcome, "changed");
}

/** The session of an access token. */
export function sessionIdOf({ accessToken }: Pick<Person, "accessToken">): string {
  return String(decodeJwt(accessToken).sid);
}

/** Asks for a password reset and gives the challenge id. */
export async function startReset(
  server: TestServer,
  email: string,
  input: Pick<CallInput, "ip"> = {},
): Promise<string> {
  // Mails of one millisecond have no order.
  server.clock.nowMs += 1;
  const { status, body, text } = await server.call(requestPasswordReset, { json: { email }, ...input });
  assert.equal(status, 202, text);
  return body.challenge_id;
}

/** A password reset up to the reset token. */
export async function takeResetToken(server: TestServer, email: string): Promise<string> {
  const challengeId = await startReset(server, email);
  const { status, body, text } = await server.call(verifyPasswordResetOtp, {
    json: { challenge_id: challengeId, code: await server.codeFor(email) },
  });
  assert.equal(status, 200, text);
  return body.reset_token;
}

/** A well-formed code that is not `code`. */
export function otherThan(code: string): string {
  return code === "000000" ? "000001" : "000000";
}

/** Writes members of an account past every rule. */
export async function overwriteUser(
  server: TestServer,
  { id }: Pick<Person, "id">,
  members: Partial<UserRecord>,
): Promise<void> {
  const entry = await server.kv.find(keys.user(id));
  assert(isPresent(entry));
  assert(await server.kv.change().check(entry).set(entry.key, { ...entry.value, ...members }).commit());
}
