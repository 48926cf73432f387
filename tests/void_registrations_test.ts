// Registrations that are void because another one made the account: they stay so when the account leaves the address again.

import assert from "node:assert/strict";
import {
  confirmAccountDeletion,
  confirmEmailChange,
  requestAccountDeletion,
  requestEmailChange,
} from "../openapi/account.ts";
import { register, resendOtp, verifyOtp } from "../openapi/registration.ts";
import { deleteUser } from "../openapi/users.ts";
import { OPERATOR } from "../src/store/client.ts";
import { removeUser } from "../src/store/deletion.ts";
import { addUser } from "../src/store/users.ts";
import {
  type Answer,
  DAY_MS,
  MINUTE_MS,
  PASSWORD,
  startServer,
  type TestServer,
  UNLIMITED,
} from "./harness.ts";
import { type Person, signUp, signUpAdmin } from "./person.ts";
import { watchKv } from "./watched_kv.ts";

const ADA = "ada@example.org";

/** Registers and gives the challenge id. */
async function begin(server: TestServer, password = PASSWORD): Promise<string> {
  // Mails of one millisecond have no order.
  server.clock.nowMs += 1;
  const answer = await server.call(register, { json: { email: ADA, password } });
  assert.equal(answer.status, 202, answer.text);
  return answer.body.challenge_id;
}

/** How an account can leave its address. */
const departures: readonly {
  readonly name: string;
  leave(server: TestServer, ada: Person): Promise<Answer>;
}[] = [
  {
    name: "its owner deletes the account",
    async leave(server, { accessToken: token, email }) {
      const { body } = await server.call(requestAccountDeletion, { token });
      const json = { challenge_id: body.challenge_id, code: await server.codeFor(email) };
      return await server.call(confirmAccountDeletion, { token, json });
    },
  },
  {
    name: "an admin deletes the account",
    async leave(server, { id }) {
      const { accessToken: token } = await signUpAdmin(server, "root@example.org");
      return await server.call(deleteUser, { token, params: { user_id: id } });
    },
  },
  {
    name: "the account moves to another address",
    async leave(server, { accessToken: token, password }) {
      const json = { new_email: "ada@example.net", current_password: password };
      const { body } = await server.call(requestEmailChange, { token, json });
      const proof = { challenge_id: body.challenge_id, code: await server.codeFor("ada@example.net") };
      return await server.call(confirmEmailChange, { token, json: proof });
    },
  },
];

for (const { name, leave } of departures) {
  Deno.test(`verifyOtp: a void registration stays void when ${name}, and a later one is good`, async () => {
    await using server = await startServer({ env: UNLIMITED });
    const older = { challenge_id: await begin(server), code: await server.codeFor(ADA) };
    server.clock.nowMs += 1;
    const ada = await signUp(server);
    // While there is an account nobody gets a code; afterwards neither.
    const meanwhile = await begin(server, "the-strangers-own-1");
    server.clock.nowMs += MINUTE_MS;
    const left = await leave(server, ada);
    assert(left.status < 300, left.text);
    const mailCount = (await server.mails()).length;
    assert.equal((await server.call(verifyOtp, { json: older })).body.code, "otp_expired");
    for (const challengeId of [meanwhile, older.challenge_id]) {
      assert.equal((await server.call(resendOtp, { json: { challenge_id: challengeId } })).status, 202);
    }
    assert.equal((await server.mails()).length, mailCount, "no code that opens nothing leaves");
    server.clock.nowMs += DAY_MS - MINUTE_MS - 3;
    for (const challengeId of [meanwhile, older.challenge_id]) {
      await server.call(resendOtp, { json: { challenge_id: challengeId } });
    }
    assert.equal((await server.mails()).length, mailCount, "nor on the last moment of its day");
    const later = { challenge_id: await begin(server), code: await server.codeFor(ADA) };
    assert.equal((await server.call(verifyOtp, { json: later })).status, 201);
  });
}

Deno.test("verifyOtp: a registration that comes to an account's end in the very moment does not slip through", async () => {
  const watched = watchKv();
  await using server = await startServer({ env: UNLIMITED, wrapKv: watched.wrap });
  const older = { challenge_id: await begin(server), code: await server.codeFor(ADA) };
  server.clock.nowMs += 1;
  watched.beforeNextCommit(async () => {
    const change = server.kv.change();
    const newUser = { email: ADA, username: null, name: null, locale: null, passwordHash: "imported" };
    const user = await addUser(server.kv, change, { newUser });
    assert(user && await change.commit());
    assert.equal(await removeUser(server.deps, user.id, OPERATOR), "removed");
  });
  assert.equal((await server.call(verifyOtp, { json: older })).body.code, "otp_expired");
});
