// Users, for admins: who may, and what each operation does at once and everywhere. What the list finds is
// users_list_test.ts, that an admin always remains last_admin_test.ts.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import { readMe } from "../openapi/account.ts";
import { createNote } from "../openapi/notes.ts";
import { login, refreshTokens, verifyToken } from "../openapi/sessions.ts";
import { deleteUser, endUserSessions, listUsers, readUser, updateUser } from "../openapi/users.ts";
import { OPERATOR } from "../src/store/client.ts";
import { keys, type UserRecord } from "../src/store/keys.ts";
import { replaceUser } from "../src/store/users.ts";
import {
  MINUTE_MS,
  PASSWORD,
  SECOND_MS,
  startServer,
  type TestServer,
  UNKNOWN_ID,
  UNLIMITED,
} from "./harness.ts";
import { type Person, signIn, signUp, signUpAdmin, startReset } from "./person.ts";

const ADMIN_IP = "198.51.100.7";

/** A server with an admin and somebody who is none. */
async function startOffice(): Promise<{ server: TestServer; admin: Person; ada: Person }> {
  const server = await startServer({ env: UNLIMITED });
  const admin = await signUpAdmin(server, "root@example.org", { ip: ADMIN_IP });
  server.clock.nowMs += SECOND_MS;
  return { server, admin, ada: await signUp(server, { username: "Lovelace" }) };
}

async function findRecord({ kv }: TestServer, { id }: Person): Promise<UserRecord | null> {
  return (await kv.find(keys.user(id))).value;
}

/** Every operation, with what it takes, what it does to somebody, and what does not fit it. */
const operations: readonly {
  route: RouteConfig;
  json?: unknown;
  misfit?: { json?: unknown; query?: Record<string, string> };
  takesId?: boolean;
}[] = [
  { route: listUsers, misfit: { query: { limit: "0" } } },
  { route: readUser, takesId: true },
  { route: updateUser, json: { plan: "premium" }, misfit: { json: { plan: 7 } }, takesId: true },
  { route: deleteUser, takesId: true },
  { route: endUserSessions, takesId: true },
];

/** Who is refused, by what makes an admin into it. */
const strangers: readonly {
  name: string;
  become: (server: TestServer, admin: Person) => Promise<string | undefined>;
  status: number;
  code: string;
}[] = [
  {
    name: "a stranger",
    become: () => Promise.resolve(undefined),
    status: 401,
    code: "token_missing",
  },
  { name: "a forger", become: () => Promise.resolve("a.b.c"), status: 401, code: "token_invalid" },
  {
    name: "a user",
    become: async (server) => (await signUp(server, { email: "bob@example.org" })).accessToken,
    status: 403,
    code: "role_insufficient",
  },
  {
    name: "an admin who was demoted",
    become: async (server, admin) => {
      await replaceUser(server.deps, admin.id, { role: "user" }, OPERATOR);
      return admin.accessToken;
    },
    status: 401,
    code: "token_invalid",
  },
  {
    name: "an admin who was demoted and has refreshed",
    become: async (server, admin) => {
      await replaceUser(server.deps, admin.id, { role: "user" }, OPERATOR);
      const { body } = await server.call(refreshTokens, { json: { refresh_token: admin.refreshToken } });
      return body.access_token;
    },
    status: 403,
    code: "role_insufficient",
  },
  {
    name: "an admin who was disabled",
    become: async (server, admin) => {
      await replaceUser(server.deps, admin.id, { status: "disabled" }, OPERATOR);
      return admin.accessToken;
    },
    status: 403,
    code: "account_disabled",
  },
];

for (const { route, json, misfit = {}, takesId } of operations) {
  Deno.test(`${route.operationId}: refuses, before it looks at the request`, async (t) => {
    for (const { name, become, status, code } of strangers) {
      await t.step(name, async () => {
        const { server, admin, ada } = await startOffice();
        await using _ = server;
        // Another one, so that this one can be demoted.
        await signUpAdmin(server, "other@example.org");
        const token = await become(server, admin);
        const before = await findRecord(server, ada);
        const bearer = token === undefined ? {} : { token };
        for (const input of [{ json }, misfit, { json, params: { user_id: "none" } }]) {
          const answer = await server.call(route, { params: { user_id: ada.id }, ...input, ...bearer });
          assert.deepEqual([answer.status, answer.body.code], [status, code]);
          assert.doesNotMatch(answer.text, /ada@|Lovelace/);
        }
        assert.deepEqual(await findRecord(server, ada), before);
        assert.equal((await server.call(readMe, { token: ada.accessToken })).status, 200);
      });
    }
  });

  if (!takesId) continue;

  Deno.test(`${route.operationId}: refuses an id that nobody has, or that is none`, async () => {
    const { server, admin } = await startOffice();
    await using _ = server;
    const rows = [
      { user_id: UNKNOWN_ID, status: 404, code: "user_not_found" },
      { user_id: "1", status: 422, code: "validation_failed" },
      { user_id: "../me", status: 422, code: "validation_failed" },
      { user_id: `${UNKNOWN_ID}\u0000`, status: 422, code: "validation_failed" },
    ];
    for (const { user_id, status, code } of rows) {
      const answer = await server.call(route, { token: admin.accessToken, params: { user_id }, json });
      assert.deepEqual([answer.status, answer.body.code], [status, code]);
    }
  });
}

Deno.test("listUsers and readUser: what the person sees, and nothing secret", async () => {
  const { server, admin, ada } = await startOffice();
  await using _ = server;
  await server.call(createNote, { token: ada.accessToken, json: { title: "a-private-matter" } });
  await startReset(server, ada.email);
  const token = admin.accessToken;
  const me = await server.call(readMe, { token: ada.accessToken });
  const read = await server.call(readUser, { token, params: { user_id: ada.id.toUpperCase() } });
  const list = await server.call(listUsers, { token });
  assert.deepEqual(read.body, me.body);
  assert.deepEqual(list.body.data[0], me.body);
  for (const { text } of [read, list]) {
    assert.doesNotMatch(text, /argon2|hash|epoch|a-private-matter|violet|lkr_/i);
  }
});

Deno.test("readUser: 304 while nothing changed", async () => {
  const { server, admin, ada } = await startOffice();
  await using _ = server;
  const input = { token: admin.accessToken, params: { user_id: ada.id } };
  const etag = (await server.call(readUser, input)).headers.get("etag") ?? assert.fail("no ETag");
  const again = { ...input, headers: { "if-none-match": etag } };
  assert.equal((await server.call(readUser, again)).status, 304);
  const changed = await server.call(updateUser, { ...input, json: { plan: "premium" } });
  const read = await server.call(readUser, again);
  assert.equal(read.status, 200);
  assert.equal(read.headers.get("etag"), changed.headers.get("etag"));
});

const changes: readonly { json: Record<string, string> }[] = [
  { json: { role: "admin" } },
  { json: { plan: "premium" } },
  { json: { status: "disabled" } },
  { json: { role: "admin", plan: "premium", status: "disabled" } },
  { json: { role: "user", plan: "free", status: "active" } },
];

Deno.test("updateUser: changes what is named and nothing else", async (t) => {
  for (const { json } of changes) {
    await t.step(JSON.stringify(json), async () => {
      const { server, admin, ada } = await startOffice();
      await using _ = server;
      const input = { token: admin.accessToken, params: { user_id: ada.id } };
      const { body: before } = await server.call(readUser, input);
      server.clock.nowMs += MINUTE_MS;
      const { status, body: after } = await server.call(updateUser, { ...input, json });
      assert.equal(status, 200);
      assert.deepEqual(after, { ...before, ...json, updated_at: new Date(server.clock.nowMs).toISOString() });
      assert.deepEqual((await server.call(readUser, input)).body, after);
      const { body: found } = await server.call(listUsers, {
        token: input.token,
        query: { q: "ada", ...json },
      });
      assert.deepEqual(found.data, [after]);
    });
  }
});

const misfits: readonly { name: string; json: unknown; pointer: string }[] = [
  { name: "nothing", json: {}, pointer: "" },
  { name: "a role that there is not", json: { role: "owner" }, pointer: "/role" },
  { name: "no role", json: { role: null }, pointer: "/role" },
  { name: "a status that there is not", json: { status: "deleted" }, pointer: "/status" },
  { name: "a plan that there is not", json: { plan: ["premium"] }, pointer: "/plan" },
  ...["password", "password_hash", "email", "email_verified", "username", "name", "id", "code_epoch"].map((
    member,
  ) => ({
    name: `the ${member}`,
    json: { plan: "premium", [member]: "violet-comet-94" },
    pointer: `/${member}`,
  })),
];

Deno.test("updateUser: refuses", async (t) => {
  const { server, admin, ada } = await startOffice();
  await using _ = server;
  const before = await findRecord(server, ada);
  for (const { name, json, pointer } of misfits) {
    await t.step(name, async () => {
      const input = { token: admin.accessToken, params: { user_id: ada.id }, json };
      const { status, body, text } = await server.call(updateUser, input);
      assert.deepEqual([status, body.errors[0].pointer], [422, pointer]);
      assert.doesNotMatch(text, /violet/);
      assert.deepEqual(await findRecord(server, ada), before);
    });
  }
});

Deno.test("updateUser: disabling shuts out at once, and enabling revives nothing", async () => {
  const { server, admin, ada } = await startOffice();
  await using _ = server;
  const set = async (status: string) => {
    const input = { token: admin.accessToken, params: { user_id: ada.id }, json: { status } };
    assert.equal((await server.call(updateUser, input)).status, 200);
  };
  const outcomes = async () => {
    const me = await server.call(readMe, { token: ada.accessToken });
    const refreshed = await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
    const verified = await server.call(verifyToken, { json: { token: ada.accessToken } });
    return [me.body.code, refreshed.body.code, verified.body.active];
  };
  await set("disabled");
  assert.deepEqual(await outcomes(), ["account_disabled", "account_disabled", false]);
  const right = await server.call(login, { json: { email: ada.email, password: PASSWORD } });
  const wrong = await server.call(login, { json: { email: ada.email, password: "wrong-comet-93" } });
  assert.deepEqual([right.body.code, wrong.body.code], ["account_disabled", "credentials_invalid"]);

  await set("active");
  assert.deepEqual(await outcomes(), ["token_invalid", "refresh_token_invalid", false]);
  const anew = await signIn(server, ada);
  assert.equal((await server.call(readMe, { token: anew.accessToken })).status, 200);
});

Deno.test("updateUser: a promotion counts from the next request, a demotion too", async () => {
  const { server, admin, ada } = await startOffice();
  await using _ = server;
  const setRole = (token: string, { id: user_id }: Person, role: string) =>
    server.call(updateUser, { token, params: { user_id }, json: { role } });
  assert.equal((await server.call(listUsers, { token: ada.accessToken })).status, 403);
  await setRole(admin.accessToken, ada, "admin");
  assert.equal((await server.call(listUsers, { token: ada.accessToken })).status, 200);

  assert.equal((await setRole(ada.accessToken, admin, "user")).status, 200);
  assert.equal((await setRole(admin.accessToken, ada, "user")).body.code, "token_invalid");
  const { body } = await server.call(refreshTokens, { json: { refresh_token: admin.refreshToken } });
  assert.equal((await setRole(body.access_token, ada, "user")).body.code, "role_insufficient");
  assert.equal((await server.call(readMe, { token: body.access_token })).body.role, "user");
});

Deno.test("deleteUser: everything is gone, and a last mail says so without saying from where", async () => {
  const { server, admin, ada } = await startOffice();
  await using _ = server;
  await server.call(createNote, { token: ada.accessToken, json: { title: "a-private-matter" } });
  await startReset(server, ada.email);
  await server.mails();
  const input = { token: admin.accessToken, params: { user_id: ada.id }, ip: ADMIN_IP };
  assert.equal((await server.call(deleteUser, input)).status, 204);

  assert.equal((await server.call(readMe, { token: ada.accessToken })).body.code, "token_invalid");
  const refreshed = await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
  assert.equal(refreshed.body.code, "refresh_token_invalid");
  const again = await server.call(login, { json: { email: ada.email, password: PASSWORD } });
  assert.equal(again.body.code, "credentials_invalid");
  assert.equal((await server.call(readUser, input)).body.code, "user_not_found");
  assert.equal((await server.call(deleteUser, input)).body.code, "user_not_found");
  for (const q of ["ada", "lovelace"]) {
    assert.deepEqual((await server.call(listUsers, { token: input.token, query: { q } })).body.data, []);
  }

  const last = (await server.mails()).filter(({ to }) => to === ada.email).at(-1);
  assert.match(last?.subject ?? "", /account was deleted/);
  for (const part of [last?.text, last?.html]) {
    assert.doesNotMatch(part ?? "", /198\.51\.100\.7|root|From:|With:/);
  }
  const left = JSON.stringify(await Array.fromAsync(server.db.list({ prefix: [] })));
  assert.doesNotMatch(left, /ada@|lovelace|a-private-matter/i);

  const anew = await signUp(server, { username: "lovelace" });
  assert.notEqual(anew.id, ada.id);
});

Deno.test("deleteUser: of ten at once one deletes, and one mail leaves", async () => {
  const { server, admin, ada } = await startOffice();
  await using _ = server;
  const input = { token: admin.accessToken, params: { user_id: ada.id } };
  const answers = await Promise.all(Array.from({ length: 10 }, () => server.call(deleteUser, input)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [204, ...Array(9).fill(404)]);
  const mails = (await server.mails()).filter(({ subject }) => /was deleted/.test(subject));
  assert.equal(mails.length, 1);
});

Deno.test("endUserSessions: every session ends, here and elsewhere; the password goes on working", async () => {
  const { server, admin, ada } = await startOffice();
  await using _ = server;
  const elsewhere = await signIn(server, ada, { ip: "203.0.113.9" });
  const end = ({ id: user_id }: Person) =>
    server.call(endUserSessions, { token: admin.accessToken, params: { user_id } });
  assert.equal((await end(ada)).status, 204);
  for (const { accessToken, refreshToken } of [ada, elsewhere]) {
    assert.equal((await server.call(readMe, { token: accessToken })).body.code, "token_invalid");
    const { body } = await server.call(refreshTokens, { json: { refresh_token: refreshToken } });
    assert.equal(body.code, "refresh_token_invalid");
  }
  assert.equal((await end(ada)).status, 204);
  const anew = await signIn(server, ada);
  assert.equal((await server.call(readMe, { token: anew.accessToken })).status, 200);

  assert.equal((await end(admin)).status, 204);
  assert.equal((await end(admin)).body.code, "token_invalid");
});

Deno.test("users: what admins do shows no address in the log", async () => {
  const { server, admin, ada } = await startOffice();
  await using _ = server;
  const input = { token: admin.accessToken, params: { user_id: ada.id } };
  await server.call(listUsers, { token: input.token, query: { q: "ada@example.org" } });
  await server.call(updateUser, { ...input, json: { plan: "premium" } });
  await server.call(deleteUser, input);
  assert.doesNotMatch(server.logged.join("\n"), /ada|lovelace/i);
});
