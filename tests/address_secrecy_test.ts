// Whether an address has an account never shows: a stranger does the same on two servers that differ in nothing but whose
// address the account has, and gets the same answers, byte for byte, headers included. Ids alone differ.

import assert from "node:assert/strict";
import { exportMe, requestEmailChange, updateMe } from "../openapi/account.ts";
import { requestPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { register, resendOtp, verifyOtp } from "../openapi/registration.ts";
import { login } from "../openapi/sessions.ts";
import {
  type Answer,
  HOUR_MS,
  MINUTE_MS,
  PASSWORD,
  SECOND_MS,
  startServer,
  type TestServer,
} from "./harness.ts";
import { type Person, signUp } from "./person.ts";

const ASKED_ABOUT = "ada@example.org";
const SOMEBODY_ELSE = "eve@example.org";
/** Where the owner of the account signed in. */
const HOME = "192.0.2.1";
const AWAY = "198.51.100.7";
const ID = /[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g;

/** A server that somebody has an account of, and one Mallory. */
interface Scene {
  readonly server: TestServer;
  readonly owner: Person;
  readonly mallory: Person;
  /** One request of the stranger; a second passes before it. */
  ask(route: Parameters<TestServer["call"]>[0], json: unknown, input?: Asker): Promise<Answer>;
}

interface Asker {
  readonly ip?: string;
  readonly token?: string;
}

interface Attempt {
  readonly name: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What the owner of the account does before, whichever address it has. */
  owner?(scene: Scene): Promise<void>;
  stranger(scene: Scene): Promise<void>;
}

/** Guesses `times`, never more than three a minute. */
async function guess(
  { server, ask }: Scene,
  route: typeof verifyOtp | typeof verifyPasswordResetOtp,
  { body: { challenge_id } }: Answer,
  { times, ip = AWAY }: { readonly times: number; readonly ip?: string },
): Promise<void> {
  for (let nth = 0; nth < times; nth++) {
    server.clock.nowMs += 20 * SECOND_MS;
    await ask(route, { challenge_id, code: "000000" }, { ip });
  }
}

/** The owner asks for resets at HOME and mistypes so many codes of each. */
async function mistype(scene: Scene, ...times: readonly number[]): Promise<void> {
  for (const wrong of times) {
    const reset = await scene.ask(requestPasswordReset, { email: scene.owner.email }, { ip: HOME });
    await guess(scene, verifyPasswordResetOtp, reset, { times: wrong, ip: HOME });
  }
  scene.server.clock.nowMs += HOUR_MS;
}

/** As many resets as an address may have in an hour, and all guesses at each. */
async function resetThrice(scene: Scene): Promise<void> {
  for (let nth = 0; nth < 3; nth++) {
    const reset = await scene.ask(requestPasswordReset, { email: ASKED_ABOUT });
    await guess(scene, verifyPasswordResetOtp, reset, { times: 2 });
    scene.server.clock.nowMs += MINUTE_MS;
    await scene.ask(resendOtp, { challenge_id: reset.body.challenge_id });
    await guess(scene, verifyPasswordResetOtp, reset, { times: 4 });
  }
}

const attempts: readonly Attempt[] = [
  { name: "resets, guessing at their codes", stranger: resetThrice },
  {
    name: "registrations, guessing at their codes, and then a reset",
    async stranger(scene) {
      for (const times of [5, 2]) {
        const begun = await scene.ask(register, { email: ASKED_ABOUT, password: PASSWORD });
        await guess(scene, verifyOtp, begun, { times });
      }
      await resetThrice(scene);
    },
  },
  {
    name: "resets, after the owner has mistyped a code",
    owner: (scene) => mistype(scene, 1),
    stranger: resetThrice,
  },
  {
    name: "resets, after the owner has mistyped nine",
    owner: (scene) => mistype(scene, 5, 4),
    stranger: resetThrice,
  },
  {
    name: "a reset, soon after the owner has asked for one",
    owner: ({ ask, owner: { email } }) => ask(requestPasswordReset, { email }, { ip: HOME }).then(() => {}),
    async stranger({ ask }) {
      await ask(requestPasswordReset, { email: ASKED_ABOUT });
    },
  },
  {
    name: "a registration with a username, and another one's with the same",
    async stranger({ server, ask, mallory: { accessToken: token } }) {
      await ask(register, { email: ASKED_ABOUT, password: PASSWORD, username: "probe" });
      await ask(register, { email: "mallory@example.net", password: PASSWORD, username: "Probe" });
      await ask(updateMe, { username: "probe" }, { token });
      server.clock.nowMs += 23 * HOUR_MS;
      await ask(register, { email: "mallory@example.net", password: PASSWORD, username: "probe" });
    },
  },
  {
    name: "sign-ins from elsewhere, and then from the owner's network",
    async stranger({ ask }) {
      const json = { email: ASKED_ABOUT, password: "a-wrong-password" };
      for (const ip of [AWAY, AWAY, HOME, HOME]) await ask(login, json, { ip });
    },
  },
  {
    name: "sign-ins, soon after the owner has from elsewhere",
    owner: ({ ask, owner: { email, password } }) =>
      ask(login, { email, password }, { ip: AWAY }).then(() => {}),
    async stranger({ ask }) {
      await ask(login, { email: ASKED_ABOUT, password: "a-wrong-password" }, { ip: "198.51.100.9" });
    },
  },
  {
    name: "a change to the address, and what is kept of it",
    async stranger({ server, ask, mallory: { accessToken: token, password } }) {
      const json = { new_email: ASKED_ABOUT, current_password: password };
      const begun = await ask(requestEmailChange, json, { token });
      await ask(exportMe, undefined, { token });
      await server.mails();
      await ask(exportMe, undefined, { token });
      server.clock.nowMs += MINUTE_MS;
      await ask(resendOtp, { challenge_id: begun.body.challenge_id });
      await server.mails();
      await ask(exportMe, undefined, { token });
    },
  },
  {
    name: "a change to an address that has had its mails, and what is kept of it",
    env: { THROTTLE_MAIL: "2/1d" },
    owner: async ({ ask, owner: { email } }) => {
      for (let nth = 0; nth < 2; nth++) await ask(requestPasswordReset, { email }, { ip: HOME });
    },
    async stranger({ server, ask, mallory: { accessToken: token, password } }) {
      await ask(requestEmailChange, { new_email: ASKED_ABOUT, current_password: password }, { token });
      await server.mails();
      await ask(exportMe, undefined, { token });
    },
  },
];

/** What a stranger was answered. */
async function see(email: string, { env = {}, owner, stranger }: Attempt): Promise<unknown[]> {
  await using server = await startServer({ env: { ACCESS_TOKEN_TTL: "48h", ...env } });
  const seen: unknown[] = [];
  const scene: Scene = {
    server,
    owner: await signUp(server, { email, ip: HOME }),
    mallory: await signUp(server, { email: "mallory@example.org", ip: AWAY }),
    async ask(route, json, { ip = AWAY, token } = {}) {
      server.clock.nowMs += SECOND_MS;
      const headers = { "x-request-id": "same" };
      const answer = await server.call(route, { json, ip, headers, ...(token ? { token } : {}) });
      const { status, text, body } = answer;
      assert.notEqual(body.code, "token_invalid", "Mallory is signed in all the while");
      seen.push([route.operationId, status, text.replaceAll(ID, "id"), [...answer.headers]]);
      return answer;
    },
  };
  server.clock.nowMs += HOUR_MS;
  await owner?.(scene);
  seen.length = 0;
  await stranger(scene);
  return seen;
}

for (const attempt of attempts) {
  Deno.test(`known or unknown: the same answers, byte for byte, to ${attempt.name}`, async () => {
    const known = await see(ASKED_ABOUT, attempt);
    assert.deepEqual(known, await see(SOMEBODY_ELSE, attempt));
    assert(known.length > 0);
  });
}
