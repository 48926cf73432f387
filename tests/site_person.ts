// A person at a started server: an account made the way people make one, the code read from the development mailbox.

import assert from "node:assert/strict";
import { register, verifyOtp } from "../openapi/registration.ts";
import { readMailbox } from "../openapi/service.ts";
import { PASSWORD } from "./harness.ts";
import { eventually, type Site } from "./process.ts";

/** The tokens of somebody who has just registered. */
export interface SitePerson {
  readonly email: string;
  readonly accessToken: string;
  readonly refreshToken: string;
}

/** Registers and confirms, with the password of the harness. */
export async function signUpAt(site: Site, email = "ada@example.org"): Promise<SitePerson> {
  const challenge = await site.call(register, { json: { email, password: PASSWORD } });
  assert.equal(challenge.status, 202, challenge.text);
  const json = { challenge_id: challenge.body.challenge_id, code: await readCodeAt(site, email) };
  const { status, body, text } = await site.call(verifyOtp, { json });
  assert.equal(status, 201, text);
  return { email, accessToken: body.access_token, refreshToken: body.refresh_token };
}

/** The code of the newest mail to this address, once there is one. */
export function readCodeAt(site: Site, email: string): Promise<string> {
  return eventually(`a code is mailed to ${email}`, async () => {
    const { body } = await site.call(readMailbox, { headers: { accept: "application/json" } });
    // Newest first.
    const mail = body.data.find(({ to, code }: Mail) => to === email && code !== null);
    return mail?.code;
  });
}

interface Mail {
  readonly to: string;
  readonly code: string | null;
}
