// Events against what happens at the same moment: a sign-in or a refresh that comes between the event's read and its
// commit does not outlive it, and one that read before the event and commits after it is refused.

import assert from "node:assert/strict";
import {
  confirmAccountDeletion,
  confirmEmailChange,
  readMe,
  requestAccountDeletion,
  requestEmailChange,
} from "../openapi/account.ts";
import { changePassword, confirmPasswordReset } from "../openapi/passwords.ts";
import { login, refreshTokens } from "../openapi/sessions.ts";
import { OPERATOR } from "../src/store/client.ts";
import { replaceUser } from "../src/store/users.ts";
import { type Answer, PASSWORD, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { type Person, signIn, signUp, takeResetToken } from "./person.ts";
import { type WatchedKv, watchKv } from "./watched_kv.ts";

const NEW_PASSWORD = "seven-otters-paddle-41";
const NEW_EMAIL = "countess@example.org";

/** Prepares an event up to its one commit. It resolves to whether it happened. */
const events: readonly {
  name: string;
  prepare(server: TestServer, here: Person): Promise<() => Promise<boolean>>;
  /** For an event that hides what it should have ended. */
  takeBack?(server: TestServer, here: Person): Promise<unknown>;
}[] = [
  {
    name: "a password reset",
    async prepare(server, { email }) {
      const json = { reset_token: await takeResetToken(server, email), new_password: NEW_PASSWORD };
      return async () => (await server.call(confirmPasswordReset, { json })).status === 204;
    },
  },
  {
    name: "a password change",
    prepare(server, { accessToken: token }) {
      const json = { current_password: PASSWORD, new_password: NEW_PASSWORD };
      return Promise.resolve(async () => (await server.call(changePassword, { token, json })).status === 204);
    },
  },
  {
    name: "an e-mail change",
    async prepare(server, { accessToken: token }) {
      const { body } = await server.call(requestEmailChange, {
        token,
        json: { new_email: NEW_EMAIL, current_password: PASSWORD },
      });
      const json = { challenge_id: body.challenge_id, code: await server.codeFor(NEW_EMAIL) };
      return async () => (await server.call(confirmEmailChange, { token, json })).status === 200;
    },
  },
  {
    name: "disabling",
    prepare: ({ deps }, { id }) =>
      Promise.resolve(async () =>
        (await replaceUser(deps, id, { status: "disabled" }, OPERATOR)).outcome === "changed"
      ),
    takeBack: ({ deps }, { id }) => replaceUser(deps, id, { status: "active" }, OPERATOR),
  },
  {
    name: "a deletion",
    async prepare(server, { accessToken: token, email }) {
      server.clock.nowMs += 1;
      const { body } = await server.call(requestAccountDeletion, { token, json: {} });
      const json = { challenge_id: body.challenge_id, code: await server.codeFor(email) };
      return async () => (await server.call(confirmAccountDeletion, { token, json })).status === 204;
    },
  },
];

/** What somebody with the old password or an old token does at that moment. */
const rivals: readonly {
  name: string;
  act(server: TestServer, other: Person): Promise<Answer>;
  refusals: readonly string[];
}[] = [
  {
    name: "a sign-in",
    act: (server, { email, password }) => server.call(login, { json: { email, password } }),
    refusals: ["credentials_invalid", "account_disabled"],
  },
  {
    name: "a refresh",
    act: (server, { refreshToken }) => server.call(refreshTokens, { json: { refresh_token: refreshToken } }),
    refusals: ["refresh_token_invalid", "account_disabled"],
  },
];

async function prepareScene(
  server: TestServer,
  { prepare }: (typeof events)[number],
): Promise<{ readonly other: Person; readonly happen: () => Promise<boolean> }> {
  const ada = await signUp(server);
  const happen = await prepare(server, ada);
  return { other: await signIn(server, ada), happen };
}

/** Neither token of a session that the rival got is good. */
async function assertOver(server: TestServer, { body }: Answer): Promise<void> {
  assert.equal((await server.call(readMe, { token: body.access_token })).body.code, "token_invalid");
  const refreshed = await server.call(refreshTokens, { json: { refresh_token: body.refresh_token } });
  assert.equal(refreshed.body.code, "refresh_token_invalid");
}

async function start(): Promise<{ readonly server: TestServer; readonly watched: WatchedKv }> {
  const watched = watchKv();
  return { watched, server: await startServer({ env: UNLIMITED, wrapKv: watched.wrap }) };
}

for (const event of events) {
  for (const { name, act, refusals } of rivals) {
    Deno.test(`${event.name}: ${name} just before its commit ends with it`, async () => {
      const { server, watched } = await start();
      await using _ = server;
      const { other, happen } = await prepareScene(server, event);
      const answers: Answer[] = [];
      watched.beforeNextCommit(async () => answers.push(await act(server, other)));
      assert.equal(await happen(), true);
      const [rival = assert.fail("The rival did not act")] = answers;
      assert.equal(rival.status, 200, rival.text);
      await event.takeBack?.(server, other);
      await assertOver(server, rival);
    });

    Deno.test(`${event.name}: ${name} that read before it and commits after it is refused`, async () => {
      const { server, watched } = await start();
      await using _ = server;
      const { other, happen } = await prepareScene(server, event);
      const happened: boolean[] = [];
      watched.beforeNextCommit(async () => happened.push(await happen()));
      const late = await act(server, other);
      assert.deepEqual(happened, [true]);
      assert(refusals.includes(late.body.code), late.text);
    });
  }
}
