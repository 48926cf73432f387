// The end of an account: who may ask for it, that it happens once and whole, and that nothing comes of it afterwards.

import assert from "node:assert/strict";
import {
  confirmAccountDeletion,
  confirmEmailChange,
  readMe,
  requestAccountDeletion,
  requestEmailChange,
} from "../openapi/account.ts";
import { createNote } from "../openapi/notes.ts";
import { confirmPasswordReset, requestPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { resendOtp, verifyOtp } from "../openapi/registration.ts";
import { login, refreshTokens, verifyToken } from "../openapi/sessions.ts";
import { OPERATOR } from "../src/store/client.ts";
import { keys } from "../src/store/keys.ts";
import { replaceUser } from "../src/store/users.ts";
import { assertGone, furnish, NEW_EMAIL, NOTE } from "./belongings.ts";
import { type Answer, MINUTE_MS, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { makeAdmin, otherThan, type Person, signIn, signUp, startReset } from "./person.ts";
import { collectBrokenInvariants } from "./store_invariants.ts";
import { type Proof, type Refusal, refusals } from "./worthless_proofs.ts";

const ADA = "ada@example.org";
const NEW_PASSWORD = "granite-otter-58";

/** Asks for the deletion and gives the challenge id and the code. */
async function begin(server: TestServer, { accessToken: token, email }: Person): Promise<Proof> {
  // Mails of one millisecond have no order.
  server.clock.nowMs += 1;
  const { status, body, text } = await server.call(requestAccountDeletion, { token });
  assert.equal(status, 202, text);
  return { challenge_id: body.challenge_id, code: await server.codeFor(email) };
}

function confirm(server: TestServer, { accessToken: token }: Person, proof: Proof): Promise<Answer> {
  return server.call(confirmAccountDeletion, { token, json: proof });
}

async function isThere(server: TestServer, { accessToken: token }: Person): Promise<boolean> {
  return (await server.call(readMe, { token })).status === 200;
}

Deno.test("requestAccountDeletion, confirmAccountDeletion: everything of the account is gone", async () => {
  await using server = await startServer();
  const owner = await furnish(server);
  const { ada, elsewhere } = owner;
  const bob = await signUp(server, { email: "bob@example.org", ip: "203.0.113.9" });
  const before = (await server.mails()).length;

  server.clock.nowMs += MINUTE_MS;
  const asked = await server.call(requestAccountDeletion, { token: ada.accessToken, json: {} });
  assert.equal(asked.status, 202);
  const { challenge_id, ...rest } = asked.body;
  assert.deepEqual(rest, { purpose: "account_deletion", expires_in: 600, resend_after: 60 });
  assert.equal(asked.headers.get("cache-control"), "no-store");
  const code = await server.codeFor(ADA);
  assert(await isThere(server, ada) && await isThere(server, elsewhere), "nothing has changed yet");

  const confirmed = await confirm(server, ada, { challenge_id, code });
  assert.equal(confirmed.status, 204, confirmed.text);
  assert.equal(confirmed.headers.get("cache-control"), "no-store");
  const mails = (await server.mails()).slice(before);
  assert.deepEqual(mails.map(({ kind, to }) => [kind, to]), [
    ["account_deletion_code", ADA],
    ["account_deleted", ADA],
  ]);
  await assertEnded(server, ada);
  await assertEnded(server, elsewhere);
  await assertGone(server, owner);
  assert(await isThere(server, bob));
  await server.restart();
  await assertEnded(server, ada);
});

/** Fails unless nothing that the person holds is worth anything. */
async function assertEnded(server: TestServer, person: Person): Promise<void> {
  const { accessToken: token, refreshToken, email, password } = person;
  assert.equal((await server.call(readMe, { token })).body.code, "token_invalid");
  assert.equal((await server.call(createNote, { token, json: { title: NOTE } })).body.code, "token_invalid");
  assert.equal((await server.call(verifyToken, { json: { token } })).body.active, false);
  const refreshed = await server.call(refreshTokens, { json: { refresh_token: refreshToken } });
  assert.equal(refreshed.body.code, "refresh_token_invalid");
  const signedIn = await server.call(login, { json: { email, password }, ip: "203.0.113.77" });
  assert.equal(signedIn.body.code, "credentials_invalid");
}

Deno.test("confirmAccountDeletion: codes, reset tokens and changes that were pending open nothing", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const owner = await furnish(server);
  const { ada, reset, resetToken } = owner;
  const change = await server.call(requestEmailChange, {
    token: ada.accessToken,
    json: { new_email: NEW_EMAIL, current_password: ada.password },
  });
  const changeProof = {
    challenge_id: change.body.challenge_id,
    code: await server.codeFor(NEW_EMAIL),
  };
  assert.equal((await confirm(server, ada, await begin(server, ada))).status, 204);

  // Somebody else has the address now: what the old account began must not reach the new one.
  const next = await signUp(server, { password: NEW_PASSWORD });
  assert.notEqual(next.id, ada.id);
  const exchanged = await server.call(verifyPasswordResetOtp, { json: reset });
  assert.equal(exchanged.body.code, "otp_expired");
  const json = { reset_token: resetToken, new_password: "quiet-harbour-21" };
  assert.equal((await server.call(confirmPasswordReset, { json })).body.code, "otp_expired");
  const token = next.accessToken;
  const moved = await server.call(confirmEmailChange, { token, json: changeProof });
  assert.equal(moved.body.code, "otp_expired");
  await assertEnded(server, ada);
  assert(await isThere(server, await signIn(server, next)));
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
});

Deno.test("confirmAccountDeletion: of mails on their way no code leaves, and the last one does", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const owner = await furnish(server);
  const { ada } = owner;
  const proof = await begin(server, ada);
  const before = (await server.mails()).length;
  const json = { new_email: "ada@elsewhere.example", current_password: ada.password };
  await server.call(requestEmailChange, { token: ada.accessToken, json });
  await server.call(requestPasswordReset, { json: { email: ADA } });
  assert.equal((await confirm(server, ada, proof)).status, 204);
  const mails = (await server.mails()).slice(before).map(({ kind, to, code }) => [kind, to, code]);
  assert.deepEqual(mails.sort(), [["account_deleted", ADA, null], ["email_change_requested", ADA, null]]);
  await assertGone(server, owner);
});

Deno.test("account deletion: the address and the username can be registered again, by another account", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const { ada } = await furnish(server);
  assert.equal((await confirm(server, ada, await begin(server, ada))).status, 204);
  const next = await signUp(server, { username: "ada.l", password: NEW_PASSWORD });
  assert.notEqual(next.id, ada.id);
  const { body } = await server.call(readMe, { token: next.accessToken });
  assert.deepEqual([body.name, body.created_at.slice(0, 16)], [null, "2026-11-21T09:00"]);
  await assertEnded(server, ada);
});

/** Beside what makes every code worthless. */
const ownRefusals: readonly Refusal[] = [
  {
    name: "a later request",
    meddle: async (server, ada) => void await begin(server, ada),
    problem: "otp_expired",
  },
  {
    name: "another flow's code",
    meddle: async (server) => ({
      challenge_id: await startReset(server, ADA),
      code: await server.codeFor(ADA),
    }),
    problem: "otp_expired",
  },
  {
    name: "another user's code",
    meddle: async (server) => await begin(server, await signUp(server, { email: "bob@example.org" })),
    problem: "otp_expired",
  },
];

Deno.test("confirmAccountDeletion: refuses, and the account stays", async (t) => {
  for (const { name, meddle, problem } of [...refusals, ...ownRefusals]) {
    await t.step(name, async () => {
      await using server = await startServer({ env: UNLIMITED });
      const ada = await signUp(server);
      const proof = await begin(server, ada);
      const answer = await confirm(server, ada, { ...proof, ...await meddle(server, ada, proof) });
      assert.equal(answer.body.code, problem, answer.text);
      assert(!answer.text.includes(proof.code));
      assert(await isThere(server, ada));
      assert.deepEqual(await collectBrokenInvariants(server.db), []);
    });
  }
});

Deno.test("requestAccountDeletion, confirmAccountDeletion: refuse strangers and what does not fit", async () => {
  await using server = await startServer();
  const ada = await signUp(server);
  const { accessToken: token } = ada;
  const proof = await begin(server, ada);
  for (const route of [requestAccountDeletion, confirmAccountDeletion]) {
    assert.equal((await server.call(route, { json: proof })).body.code, "token_missing");
    assert.equal((await server.call(route, { json: proof, token: "words" })).body.code, "token_invalid");
    const json = { ...proof, reason: "none" };
    assert.equal((await server.call(route, { json, token })).body.code, "validation_failed");
  }
  assert(await isThere(server, ada));
});

Deno.test("confirmAccountDeletion: five wrong guesses end the challenge, the right code included", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const proof = await begin(server, ada);
  const wrong = { ...proof, code: otherThan(proof.code) };
  for (const remaining of [4, 3, 2, 1, 0]) {
    assert.equal((await confirm(server, ada, wrong)).body.attempts_remaining, remaining);
  }
  assert.equal((await confirm(server, ada, proof)).body.code, "otp_expired");
  assert(await isThere(server, ada));
});

Deno.test("confirmAccountDeletion: a stranger with the challenge cannot use it, nor use it up", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const eve = await signUp(server, { email: "eve@example.org" });
  const proof = await begin(server, ada);
  for (let times = 0; times < 6; times++) {
    assert.equal((await confirm(server, eve, proof)).body.code, "otp_expired");
  }
  for (const route of [verifyOtp, verifyPasswordResetOtp, confirmEmailChange]) {
    const answer = await server.call(route, { token: ada.accessToken, json: proof });
    assert.equal(answer.body.code, "otp_expired");
  }
  assert(await isThere(server, eve));
  assert.equal((await confirm(server, ada, proof)).status, 204);
});

Deno.test("account deletion: a resent code works, also after a restart between any two steps", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const { challenge_id } = await begin(server, ada);
  await server.restart();
  server.clock.nowMs += MINUTE_MS;
  const resent = await server.call(resendOtp, { json: { challenge_id } });
  assert.equal(resent.body.purpose, "account_deletion");
  await server.restart();
  const code = await server.codeFor(ADA);
  await server.restart();
  assert.equal((await confirm(server, ada, { challenge_id, code })).status, 204);
});

Deno.test("requestAccountDeletion: the last active admin is refused, with the first word", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const bob = await signUp(server, { email: "bob@example.org" });
  await makeAdmin(server, ada);
  const before = (await server.mails()).length;
  const refuse = async (): Promise<void> => {
    const answer = await server.call(requestAccountDeletion, { token: ada.accessToken, json: {} });
    assert.equal(answer.status, 409);
    assert.equal(answer.body.code, "last_admin");
  };
  await refuse();
  assert.equal((await server.mails()).length, before);
  // An admin who is disabled is none.
  await makeAdmin(server, bob);
  await replaceUser(server.deps, bob.id, { status: "disabled" }, OPERATOR);
  await refuse();
  await replaceUser(server.deps, bob.id, { status: "active" }, OPERATOR);
  assert.equal((await confirm(server, ada, await begin(server, ada))).status, 204);
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
});

Deno.test("confirmAccountDeletion: refuses who has become the last admin meanwhile", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const bob = await signUp(server, { email: "bob@example.org" });
  await makeAdmin(server, ada);
  await makeAdmin(server, bob);
  const proof = await begin(server, ada);
  await replaceUser(server.deps, bob.id, { role: "user" }, OPERATOR);
  const answer = await confirm(server, ada, proof);
  assert.equal(answer.status, 409);
  assert.equal(answer.body.code, "last_admin");
  assert(await isThere(server, ada));
  assert.equal((await confirm(server, ada, proof)).body.code, "otp_expired", "the code is used up");
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
});

Deno.test("confirmAccountDeletion: of two last admins at the same moment one goes and one stays", async () => {
  await using server = await startServer({ env: UNLIMITED });
  for (let round = 0; round < 5; round++) {
    const admins: Person[] = [];
    for (const name of ["ada", "bob"]) {
      const admin = await signUp(server, { email: `${name}${round}@example.org` });
      await makeAdmin(server, admin);
      admins.push(admin);
    }
    const confirmations: (() => Promise<Answer>)[] = [];
    for (const admin of admins) {
      const proof = await begin(server, admin);
      confirmations.push(() => confirm(server, admin, proof));
    }
    const answers = await Promise.all(confirmations.map((run) => run()));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 409]);
    assert.deepEqual(await collectBrokenInvariants(server.db), []);
    const left = admins[answers.findIndex(({ status }) => status === 409)];
    assert(left && await isThere(server, left));
    await clearAdmins(server, left);
  }
});

/** Past the rule that one must stay, so that the next round begins with none. */
async function clearAdmins({ kv, deps }: TestServer, { id }: Person): Promise<void> {
  await kv.change().set(keys.activeAdmins(), { count: 2 }).commit();
  await replaceUser(deps, id, { role: "user" }, OPERATOR);
  await kv.change().set(keys.activeAdmins(), { count: 0 }).commit();
}

Deno.test("confirmAccountDeletion: of 20 parallel ones one deletes, and one last mail leaves", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const owner = await furnish(server);
  const proof = await begin(server, owner.ada);
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => confirm(server, owner.ada, proof)),
  );
  assert.equal(answers.filter(({ status }) => status === 204).length, 1);
  const refused = answers.filter(({ body }) => ["otp_expired", "token_invalid"].includes(body?.code));
  assert.equal(refused.length, 19);
  assert.equal((await server.mails()).filter(({ kind }) => kind === "account_deleted").length, 1);
  await assertGone(server, owner);
});
