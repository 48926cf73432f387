// What has ended and is not swept yet. Deno KV sweeps about once a minute here, elsewhere whenever it likes: until then
// such records stand where living ones are looked for, and must hide none of them, however many there are.

import assert from "node:assert/strict";
import { confirmAccountDeletion, readMe, requestAccountDeletion } from "../openapi/account.ts";
import { changePassword, confirmPasswordReset } from "../openapi/passwords.ts";
import { endOtherSessions, listSessions } from "../openapi/sessions.ts";
import { endUserSessions, updateUser } from "../openapi/users.ts";
import { newId } from "../src/id.ts";
import { resumeDeletions } from "../src/store/deletion.ts";
import { keys } from "../src/store/keys.ts";
import { isPresent, type Key } from "../src/store/kv.ts";
import { addMail } from "../src/store/mails.ts";
import { collectKnownNetworks } from "../src/store/sessions.ts";
import { collectSigningKeys, replaceSigningKey } from "../src/store/signing_keys.ts";
import {
  type CallInput,
  PASSWORD,
  SECOND_MS,
  START_MS,
  startServer,
  type TestServer,
  UNLIMITED,
} from "./harness.ts";
import { NOTICE } from "./mail_setup.ts";
import { type Person, sessionIdOf, signIn, signUp, signUpAdmin, takeResetToken } from "./person.ts";

const NEW_PASSWORD = "amber-kettle-81";
/** More than any read of so few records takes at a time. */
const UNSWEPT = 250;
const LIVING_MAX = 50;

interface Scene {
  readonly server: TestServer;
  /** This one and the thief's are the only sessions that live. */
  readonly ada: Person;
  readonly thief: Person;
  readonly admin: Person;
}

const json = { current_password: PASSWORD, new_password: NEW_PASSWORD };

/** What must end the session of whoever took Ada's token. */
const endings: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  "changePassword": ({ server, ada }) => act(server, changePassword, { token: ada.accessToken, json }),
  "endOtherSessions": ({ server, ada }) => act(server, endOtherSessions, { token: ada.accessToken }),
  "confirmPasswordReset": async ({ server, ada }) => {
    const reset_token = await takeResetToken(server, ada.email);
    await act(server, confirmPasswordReset, { json: { reset_token, new_password: NEW_PASSWORD } });
  },
  "endUserSessions": ({ server, ada, admin }) =>
    act(server, endUserSessions, { token: admin.accessToken, params: { user_id: ada.id } }),
  "updateUser that disables, and one that enables again": async ({ server, ada, admin }) => {
    for (const status of ["disabled", "active"]) {
      const params = { user_id: ada.id };
      await act(server, updateUser, { token: admin.accessToken, params, json: { status } });
    }
  },
};

for (const [name, end] of Object.entries(endings)) {
  Deno.test(`unswept: ${name}: ends every session behind those that have expired`, async () => {
    await using server = await startServer({ env: UNLIMITED });
    const scene = await setScene(server);
    await end(scene);
    const { status, body } = await server.call(readMe, { token: scene.thief.accessToken });
    assert.deepEqual([status, body.code], [401, "token_invalid"]);
  });
}

Deno.test("unswept: listSessions: shows every session behind those that have expired", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const { ada, thief } = await setScene(server);
  const { body } = await server.call(listSessions, { token: ada.accessToken });
  assert.deepEqual(
    body.data.map(({ id }: { readonly id: string }) => id).sort(),
    [ada, thief].map(sessionIdOf).sort(),
  );
});

Deno.test("unswept: login: counts the sessions that live, and no others", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const { ada } = await setScene(server);
  const newest: Person[] = [];
  for (let more = 0; more < LIVING_MAX; more++) {
    server.clock.nowMs += 1;
    newest.push(await signIn(server, ada));
  }
  const { body } = await server.call(listSessions, {
    token: newest[0]?.accessToken ?? "",
    query: { limit: "100" },
  });
  assert.deepEqual(
    body.data.map(({ id }: { readonly id: string }) => id),
    newest.map(sessionIdOf).reverse(),
  );
});

Deno.test("unswept: readKeys: shows the keys behind those that have expired, and a rotation ends them", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const [key] = await collectSigningKeys(server.kv);
  assert(key);
  // Before all others: the ids of keys are base64url.
  await leaveExpired(server, (nth) => [keys.signingKey(`-${nth}`), { ...key, kid: `-${nth}` }]);
  assert.deepEqual(await collectSigningKeys(server.kv), [key]);
  const othersEndAtMs = server.clock.nowMs + SECOND_MS;
  const next = { ...key, kid: "next" };
  assert.equal(await replaceSigningKey(server.deps, next, { othersEndAtMs, isRevoking: false }), true);
  assert.deepEqual(await collectSigningKeys(server.kv), [next, { ...key, expiresAtMs: othersEndAtMs }]);
});

Deno.test("unswept: readSignInReport: knows the networks behind those that have expired", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const known = await collectKnownNetworks(server.kv, ada.id, LIVING_MAX);
  assert.equal(known.length, 1);
  await leaveExpired(server, (nth) => [keys.knownNetwork(ada.id, nth), { lastSignInAtMs: START_MS }]);
  assert.deepEqual(await collectKnownNetworks(server.kv, ada.id, 1), known);
});

Deno.test("unswept: confirmAccountDeletion: a mail on its way behind those that have expired goes with the account", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  await leaveExpired(server, (nth) => [keys.mailOf(ada.id, nth), { mailId: nth }]);
  const asked = await server.call(requestAccountDeletion, { token: ada.accessToken, json: {} });
  const json = { challenge_id: asked.body.challenge_id, code: await server.codeFor(ada.email) };
  const change = server.kv.change();
  const mailId = addMail(server.deps, change, { to: ada.email, userId: ada.id, content: NOTICE });
  await change.commit();

  await act(server, confirmAccountDeletion, { token: ada.accessToken, json });
  assert(isPresent(await server.kv.find(keys.mail(mailId))), "it has yet to leave");
  await server.mails();
  await resumeDeletions(server.kv);
  assert(!isPresent(await server.kv.find(keys.mail(mailId))));
});

/** Two sessions that live, and behind which none is seen by who reads the first records only. */
async function setScene(server: TestServer): Promise<Scene> {
  const admin = await signUpAdmin(server, "root@example.org");
  const ada = await signUp(server);
  server.clock.nowMs += 1;
  const thief = await signIn(server, ada);
  const { value: session } = await server.kv.find(keys.session(ada.id, sessionIdOf(ada)));
  assert(session);
  await leaveExpired(server, (nth) => [keys.session(ada.id, nth), { ...session, id: nth }]);
  return { server, ada, thief, admin };
}

/** Records before all others below their key, which ended just now. `recordOf` takes the last part of their keys. */
async function leaveExpired<Value extends object>(
  { kv, clock }: TestServer,
  recordOf: (nth: string) => readonly [Key<Value>, Omit<Value, "expiresAtMs">],
): Promise<void> {
  const change = kv.change();
  for (let number = 0; number < UNSWEPT; number++) {
    const [key, record] = recordOf(newId(number));
    // The rest of the record is whole.
    change.set(key, { ...record, expiresAtMs: clock.nowMs } as unknown as Value);
  }
  assert(await change.commit());
  const page = await kv.collect({ path: recordOf("")[0].path.slice(0, -1) }, { limit: UNSWEPT });
  assert.deepEqual(page.entries, [], "Whoever reads so many sees none that lives");
}

async function act(
  server: TestServer,
  route: Parameters<TestServer["call"]>[0],
  input: CallInput,
): Promise<void> {
  const { status, text } = await server.call(route, input);
  assert(status === 200 || status === 204, text);
}
