// The audit trail of a deleted account: what happened stays, with ids only; from where is wiped, also of what was written
// at the moment of the deletion, and the trail still proves itself.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import { exportMe, readMe, updateMe } from "../openapi/account.ts";
import { changePassword, requestPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { login, logout, refreshTokens } from "../openapi/sessions.ts";
import { deleteUser, updateUser } from "../openapi/users.ts";
import { runJobs } from "../src/jobs.ts";
import { addAuditEvents } from "../src/store/audit.ts";
import type { AuditEventRecord } from "../src/store/audit_event.ts";
import { proveAudit } from "../src/store/audit_proof.ts";
import { OPERATOR, owner } from "../src/store/client.ts";
import { removeUser } from "../src/store/deletion.ts";
import { keys } from "../src/store/keys.ts";
import { addUser } from "../src/store/users.ts";
import { NEW_PASSWORD, STRANGER, WRONG_PASSWORD } from "./audit_acts.ts";
import { FROM, IP, listEvents, openScene, type Scene } from "./audit_scene.ts";
import { type CallInput, DAY_MS, SECOND_MS } from "./harness.ts";
import { otherThan, signIn, startReset } from "./person.ts";
import { collectBrokenInvariants } from "./store_invariants.ts";

/** Every event that names the account, newest first. */
async function eventsOf({ server, ada }: Scene): Promise<AuditEventRecord[]> {
  const events = await Array.fromAsync(
    server.db.list<AuditEventRecord>({ prefix: keys.auditEvents().path }, { reverse: true }),
  );
  return events.map(({ value }) => value).filter(({ userId, actorId }) => [userId, actorId].includes(ada.id));
}

/** Nothing tells from where the account, or somebody who tried to be it, came; and the trail is whole. */
async function assertWiped(scene: Scene): Promise<void> {
  const { server, ada, admin } = scene;
  await server.mails();
  await runJobs(server.deps);
  for (const { id, type, actorId, origin } of await eventsOf(scene)) {
    if (actorId !== admin.id) assert.equal(origin, null, `${type} ${id}`);
  }
  assert.deepEqual((await proveAudit(server.kv, server.deps.secrets)).faults, []);
  // A permit that was taken at that very moment is forgotten within a day, and holds nothing but the id.
  assert.deepEqual(await collectBrokenInvariants(server.db, { nowMs: server.clock.nowMs + 2 * DAY_MS }), []);
  for (const { actor_id, ip, user_agent } of await listEvents(scene, { user_id: ada.id })) {
    if (actor_id !== admin.id) assert.deepEqual([ip, user_agent], [null, null]);
  }
}

Deno.test("audit: a deleted account's events stay, without from where; those of admins and strangers keep theirs", async () => {
  await using scene = await openScene();
  const { server, ada, admin } = scene;
  await signIn(server, ada, FROM);
  await server.call(login, { ...FROM, json: { email: ada.email, password: WRONG_PASSWORD } });
  await server.call(login, { ...FROM, json: { email: STRANGER, password: WRONG_PASSWORD } });
  await startReset(server, ada.email, FROM);
  const onAda = { token: admin.accessToken, params: { user_id: ada.id }, ...FROM };
  await server.call(updateUser, { ...onAda, json: { plan: "premium" } });
  const before = await listEvents(scene, { user_id: ada.id });
  server.clock.nowMs += SECOND_MS;
  assert.equal((await server.call(deleteUser, onAda)).status, 204);

  await assertWiped(scene);
  const [deleted, ...after] = await listEvents(scene, { user_id: ada.id });
  assert.equal(deleted?.type, "account_deleted");
  const blank = { ip: null, user_agent: null };
  assert.deepEqual(
    after,
    before.map((event) => event.actor_id === admin.id ? event : { ...event, ...blank }),
  );
  const kept = (await listEvents(scene)).filter(({ ip }) => ip === IP).map(({ type, cause }) =>
    cause ?? type
  );
  assert.deepEqual(kept.sort(), ["account_deleted", "account_unknown", "plan_changed"]);
});

/** What is under way when an admin's deletion comes between its reading and its commit, and what it tells of. */
const latecomers: readonly {
  readonly name: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly prepare?: (scene: Scene) => Promise<CallInput>;
  readonly route: RouteConfig;
  readonly input: (scene: Scene) => CallInput;
  readonly told: string | null;
}[] = [
  {
    name: "a sign-in with a wrong password",
    route: login,
    input: ({ ada }) => ({ json: { email: ada.email, password: WRONG_PASSWORD } }),
    told: "sign_in_failed",
  },
  {
    name: "a sign-in",
    route: login,
    input: ({ ada }) => ({ json: { email: ada.email, password: ada.password } }),
    told: "sign_in_failed",
  },
  {
    name: "a wrong current password",
    route: changePassword,
    input: ({ ada }) => ({
      token: ada.accessToken,
      json: { current_password: WRONG_PASSWORD, new_password: NEW_PASSWORD },
    }),
    told: "password_failed",
  },
  {
    name: "an export",
    route: exportMe,
    input: ({ ada }) => ({ token: ada.accessToken }),
    told: "data_exported",
  },
  {
    name: "a request for a password reset",
    route: requestPasswordReset,
    input: ({ ada }) => ({ json: { email: ada.email } }),
    told: null,
  },
  {
    name: "a wrong code",
    prepare: async ({ server, ada }) => {
      const challenge_id = await startReset(server, ada.email);
      return { json: { challenge_id, code: otherThan(await server.codeFor(ada.email)) } };
    },
    route: verifyPasswordResetOtp,
    input: () => ({}),
    told: "code_failed",
  },
  {
    name: "the replay of a refresh token",
    prepare: async ({ server, ada }) => {
      await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
      server.clock.nowMs += 10 * SECOND_MS;
      return {};
    },
    route: refreshTokens,
    input: ({ ada }) => ({ json: { refresh_token: ada.refreshToken } }),
    told: null,
  },
  {
    name: "a sign-out",
    route: logout,
    input: ({ ada }) => ({ token: ada.accessToken }),
    told: null,
  },
  {
    name: "another name",
    route: updateMe,
    input: ({ ada }) => ({ token: ada.accessToken, json: { name: "Ada" } }),
    told: null,
  },
  {
    name: "the last permit of the account",
    env: { THROTTLE_USER: "9/1d" },
    prepare: async ({ server, ada: { accessToken: token } }) => {
      for (let permits = 1; permits < 9; permits++) await server.call(readMe, { token });
      return {};
    },
    route: readMe,
    input: ({ ada }) => ({ token: ada.accessToken }),
    // The deletion forgets what the account has used of it.
    told: null,
  },
  {
    name: "the last permit of an account that somebody else tries to be",
    env: { THROTTLE_LOGIN: "1/1d", THROTTLE_USER: "20/1d" },
    prepare: async ({ server, admin: { accessToken: token } }) => {
      for (let permits = 1; permits < 20; permits++) await server.call(readMe, { token });
      return {};
    },
    route: login,
    input: ({ ada, admin }) => ({
      token: admin.accessToken,
      json: { email: ada.email, password: WRONG_PASSWORD },
    }),
    told: "limit_reached",
  },
];

for (const { name, env, prepare, route, input, told } of latecomers) {
  Deno.test(`audit: ${name} at the moment of the deletion leaves no trace of from where`, async () => {
    await using scene = await openScene(env);
    const { server, watched, ada } = scene;
    const prepared = await prepare?.(scene);
    const before = new Set((await eventsOf(scene)).map(({ id }) => id));
    watched.beforeNextCommit(async () => {
      assert.equal(await removeUser(server.deps, ada.id, OPERATOR), "removed");
    });
    await server.call(route, { ...FROM, ...input(scene), ...prepared });
    const late = (await eventsOf(scene)).filter(({ id }) => !before.has(id)).map(({ type }) => type);
    assert.deepEqual(late.sort(), ["account_deleted", ...(told === null ? [] : [told])]);
    await assertWiped(scene);
  });
}

Deno.test("audit: however many events an account has, all are wiped, also after a crash half-way", async () => {
  await using scene = await openScene();
  const { server, faulty, ada } = scene;
  const client = { address: IP, networkHash: "n", userAgent: "Telescope/2", requestId: "r" };
  const draft = { type: "profile_changed", actor: owner(ada.id, client), userId: ada.id } as const;
  for (let commit = 0; commit < 4; commit++) {
    const change = server.kv.change();
    await addAuditEvents(server.deps, change, Array.from({ length: 90 }, () => draft));
    assert(await change.commit());
  }
  const wipedCount = async (): Promise<number> =>
    (await eventsOf(scene)).filter(({ origin }) => origin === null).length;
  const before = await wipedCount();
  // Its record, its sessions and its known network go first, each in a commit.
  faulty.breakDown({ at: 5 });
  assert.equal(await removeUser(server.deps, ada.id, OPERATOR), "removed");
  assert(faulty.repair());
  const halfWay = await wipedCount() - before;
  assert(halfWay > 50 && halfWay < 300, `${halfWay} of 360 are wiped`);
  await assertWiped(scene);
});

Deno.test("audit: who is imported again under the same id is no reason to doubt what was wiped", async () => {
  await using scene = await openScene();
  const { server: { kv, deps, clock }, ada: { id, email } } = scene;
  const { value: user } = await kv.find(keys.user(id));
  assert(user);
  assert.equal(await removeUser(deps, id, OPERATOR), "removed");
  await scene.server.mails();
  await runJobs(deps);
  const change = kv.change();
  const newUser = { email, username: null, name: null, locale: null, passwordHash: "none" };
  assert(
    await addUser(kv, change, { newUser, past: { ...user, createdAtMs: clock.nowMs } }),
  );
  assert(await change.commit());
  assert.deepEqual((await proveAudit(kv, deps.secrets)).faults, []);
  // But of an account that was never deleted nothing may be wiped.
  const [event] = (await eventsOf({ ...scene, ada: scene.admin })).filter(({ origin }) => origin);
  assert(event);
  await kv.change().set(keys.auditEvent(event.id), { ...event, origin: null }).commit();
  assert.match(
    (await proveAudit(kv, deps.secrets)).faults.join(),
    new RegExp(`${event.id} has lost its origin`),
  );
});
