// People for tests: an account made the way people make one, through the contract.

import assert from "node:assert/strict";
import { register, verifyOtp } from "../openapi/registration.ts";
import { PASSWORD, type TestServer } from "./harness.ts";

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
