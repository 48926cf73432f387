// Three servers over one store, asked at the same moment: limits count once, everything that works once has one winner,
// what is ended at one is refused by all, and they sign with the same keys.

import assert from "node:assert/strict";
import { confirmAccountDeletion, readMe, requestAccountDeletion } from "../openapi/account.ts";
import { createNote } from "../openapi/notes.ts";
import { confirmPasswordReset, requestPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { verifyOtp } from "../openapi/registration.ts";
import { readKeys } from "../openapi/service.ts";
import { login, logout, refreshTokens, verifyToken } from "../openapi/sessions.ts";
import { updateUser } from "../openapi/users.ts";
import {
  type Cluster,
  codeFor,
  join,
  type Member,
  startCluster,
  startRegistration,
  tally,
} from "./cluster.ts";
import { PASSWORD, UNLIMITED } from "./harness.ts";
import { eventually } from "./process.ts";

const LIMIT = 5;
const WINDOW_MS = 2_000;
const NEW_PASSWORD = "amber-kettle-81";
/** Within which all servers know what one of them, or a tool, has done. */
const KNOWN_LIMIT_MS = 1_000;

Deno.test("instances: no window holds more requests than the limit, and none that could fit is refused", async () => {
  await using cluster = await startCluster({ ...UNLIMITED, THROTTLE_LOGIN: `${LIMIT}/2s` });
  const admitted: { readonly sentAtMs: number; readonly answeredAtMs: number }[] = [];
  const stopAtMs = performance.now() + 3.5 * WINDOW_MS;
  const ask = async (lane: number): Promise<void> => {
    while (performance.now() < stopAtMs) {
      const sentAtMs = performance.now();
      const { status, text } = await cluster.call(lane, login, {
        json: { email: "nobody@example.org", password: PASSWORD },
      });
      assert(status === 401 || status === 429, text);
      if (status === 401) admitted.push({ sentAtMs, answeredAtMs: performance.now() });
    }
  };
  await Promise.all(Array.from({ length: 12 }, (_, lane) => ask(lane)));

  admitted.sort((a, b) => a.answeredAtMs - b.answeredAtMs);
  for (const [index, first] of admitted.entries()) {
    const next = admitted[index + LIMIT];
    // Each was admitted at some moment between the two that are known of it.
    if (next) {
      assert(next.answeredAtMs - first.sentAtMs >= WINDOW_MS, `${index}: ${JSON.stringify([first, next])}`);
    }
  }
  assert(admitted.length >= 3 * LIMIT, `${admitted.length} were admitted`);
});

Deno.test("instances: a parallel burst over all of them admits exactly the limit", async () => {
  await using cluster = await startCluster({ ...UNLIMITED, THROTTLE_LOGIN: `${LIMIT}/1h` });
  const json = { email: "nobody@example.org", password: PASSWORD };
  const answers = await cluster.callAll(login, { json }, 20);
  assert.deepEqual(tally(answers), { 401: LIMIT, 429: 60 - LIMIT });
});

Deno.test("instances: what works once has one winner among them", async (t) => {
  await using cluster = await startCluster();

  await t.step("a code", async () => {
    const email = "code@example.org";
    const json = {
      challenge_id: await startRegistration(cluster, email),
      code: await codeFor(cluster, email),
    };
    assert.deepEqual(tally(await cluster.callAll(verifyOtp, { json }, 4)), { 201: 1, 410: 11 });
  });

  await t.step("a refresh token: all get the same successor", async () => {
    const { refreshToken } = await join(cluster, "refresh@example.org");
    const answers = await cluster.callAll(refreshTokens, { json: { refresh_token: refreshToken } }, 4);
    assert.deepEqual(tally(answers), { 200: 12 });
    assert.equal(new Set(answers.map(({ body }) => body.refresh_token)).size, 1);
  });

  await t.step("a reset token", async () => {
    const email = "reset@example.org";
    await join(cluster, email);
    const challenge = await cluster.call(0, requestPasswordReset, { json: { email } });
    const verified = await cluster.call(1, verifyPasswordResetOtp, {
      json: {
        challenge_id: challenge.body.challenge_id,
        code: await codeFor(cluster, email, { mails: 2 }),
      },
    });
    const json = { reset_token: verified.body.reset_token, new_password: NEW_PASSWORD };
    assert.deepEqual(tally(await cluster.callAll(confirmPasswordReset, { json }, 4)), { 204: 1, 410: 11 });
  });

  await t.step("the twentieth note", async () => {
    const { accessToken: token } = await join(cluster, "notes@example.org");
    const answers = await cluster.callAll(createNote, { token, json: { title: "Milk" } }, 9);
    assert.deepEqual(tally(answers), { 201: 20, 409: 7 });
  });

  await t.step("the last admin", async () => {
    const ada = await joinAsAdmin(cluster, "ada@example.org");
    const eve = await joinAsAdmin(cluster, "eve@example.org");
    for (let round = 0; round < 5; round++) {
      const demote = (at: number, { accessToken: token, id }: Member) =>
        cluster.call(at, updateUser, { token, params: { user_id: id }, json: { role: "user" } });
      const answers = await Promise.all([demote(0, ada), demote(1, eve)]);
      assert.deepEqual(tally(answers), { 200: 1, 409: 1 });
      const [winner, loser] = answers[0]?.status === 200 ? [eve, ada] : [ada, eve];
      const promoted = await cluster.call(2, updateUser, {
        token: winner.accessToken,
        params: { user_id: loser.id },
        json: { role: "admin" },
      });
      assert.equal(promoted.status, 200, promoted.text);
    }
  });
});

Deno.test("instances: what is ended at one is refused by all within a second", async (t) => {
  await using cluster = await startCluster();
  const admin = await joinAsAdmin(cluster, "admin@example.org");
  const endings: { name: string; end: (member: Member) => Promise<number>; code: string }[] = [
    {
      name: "logout",
      end: async ({ accessToken: token }) => (await cluster.call(0, logout, { token, json: {} })).status,
      code: "token_invalid",
    },
    {
      name: "disabled",
      end: async ({ id }) => {
        const { status } = await cluster.call(0, updateUser, {
          token: admin.accessToken,
          params: { user_id: id },
          json: { status: "disabled" },
        });
        return status === 200 ? 204 : status;
      },
      code: "account_disabled",
    },
    { name: "reset", end: (member) => resetPassword(cluster, member), code: "token_invalid" },
    { name: "deletion", end: (member) => deleteAccount(cluster, member), code: "token_invalid" },
  ];
  for (const { name, end, code } of endings) {
    await t.step(name, async () => {
      const member = await join(cluster, `${name}@example.org`);
      const token = member.accessToken;
      assert.deepEqual(tally(await cluster.callAll(readMe, { token })), { 200: 3 });
      assert.equal(await end(member), 204);
      await eventually("all refuse", async () => {
        const answers = await cluster.callAll(readMe, { token });
        return answers.every(({ body }) => body.code === code);
      }, { limitMs: KNOWN_LIMIT_MS });
      for (const { body } of await cluster.callAll(verifyToken, { json: { token } })) {
        assert.deepEqual(body, { active: false });
      }
      const refreshed = await cluster.callAll(refreshTokens, {
        json: { refresh_token: member.refreshToken },
      });
      assert(refreshed.every(({ status }) => status >= 400), JSON.stringify(tally(refreshed)));
    });
  }
});

Deno.test("instances: fifty mails leave once each, whichever server they were asked of", async () => {
  await using cluster = await startCluster();
  const emails = Array.from({ length: 50 }, (_, index) => `person-${index}@example.org`);
  await Promise.all(emails.map((email, at) => startRegistration(cluster, email, { at })));
  await eventually("every mail arrives", () => cluster.receiver.received.length >= emails.length);
  const sent = () =>
    cluster.servers.map((server) => server.stdout().match(/"mail sent"/g)?.length ?? 0).reduce((a, b) =>
      a + b
    );
  await eventually(() => `${sent()} are written down as sent`, () => sent() >= emails.length);
  const recipients = cluster.receiver.received.flatMap((mail) => mail.recipients);
  assert.deepEqual(recipients.sort(), emails.sort());
});

Deno.test("instances: they sign with the same keys, and know a new one within a second", async () => {
  await using cluster = await startCluster();
  const kids = async (): Promise<string[]> => {
    const sets = await cluster.callAll(readKeys);
    return sets.map(({ body }) => body.keys.map(({ kid }: { readonly kid: string }) => kid).sort().join(" "));
  };
  const [first = "", ...others] = await kids();
  assert.deepEqual(others, [first, first], "They started on an empty store at once");

  const { accessToken: token, refreshToken } = await join(cluster, "ada@example.org");
  assert.deepEqual(tally(await cluster.callAll(readMe, { token })), { 200: 3 });

  await runTool(cluster, "keys:rotate", []);
  const rotated = await eventually("all publish two keys", async () => {
    const [set = "", ...rest] = await kids();
    return set.split(" ").length === 2 && rest.every((other) => other === set) && set;
  }, { limitMs: KNOWN_LIMIT_MS });
  assert(rotated.split(" ").includes(first));
  assert.deepEqual(tally(await cluster.callAll(readMe, { token })), { 200: 3 }, "The old one still verifies");

  await runTool(cluster, "keys:rotate", ["--revoke-old"]);
  await eventually("all refuse a token of a revoked key", async () => {
    const answers = await cluster.callAll(readMe, { token });
    return answers.every(({ body }) => body.code === "token_invalid");
  }, { limitMs: KNOWN_LIMIT_MS });
  const refreshed = await cluster.call(2, refreshTokens, { json: { refresh_token: refreshToken } });
  assert.deepEqual(tally(await cluster.callAll(readMe, { token: refreshed.body.access_token })), { 200: 3 });
});

async function joinAsAdmin(cluster: Cluster, email: string): Promise<Member> {
  await join(cluster, email);
  await runTool(cluster, "admin:create", ["--email", email]);
  const { body, text, status } = await cluster.call(0, login, { json: { email, password: PASSWORD } });
  assert.equal(status, 200, text);
  return { id: body.user.id, email, accessToken: body.access_token, refreshToken: body.refresh_token };
}

async function runTool(cluster: Cluster, task: string, args: readonly string[]): Promise<void> {
  const tool = cluster.sites[0]?.spawn(task, { args, settings: cluster.settings });
  assert.equal(await tool?.ended(), 0, tool?.stderr() ?? "");
}

async function resetPassword(cluster: Cluster, { email }: Member): Promise<number> {
  const challenge = await cluster.call(0, requestPasswordReset, { json: { email } });
  const verified = await cluster.call(0, verifyPasswordResetOtp, {
    json: {
      challenge_id: challenge.body.challenge_id,
      code: await codeFor(cluster, email, { mails: 2 }),
    },
  });
  const json = { reset_token: verified.body.reset_token, new_password: NEW_PASSWORD };
  return (await cluster.call(0, confirmPasswordReset, { json })).status;
}

async function deleteAccount(cluster: Cluster, { email, accessToken: token }: Member): Promise<number> {
  const challenge = await cluster.call(0, requestAccountDeletion, { token, json: {} });
  const json = {
    challenge_id: challenge.body.challenge_id,
    code: await codeFor(cluster, email, { mails: 2 }),
  };
  return (await cluster.call(0, confirmAccountDeletion, { token, json })).status;
}
