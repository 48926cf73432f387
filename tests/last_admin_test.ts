// An active admin always remains, whoever demotes, disables or deletes whom, also at the same moment.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import { deleteUser, listUsers, updateUser } from "../openapi/users.ts";
import { OPERATOR } from "../src/store/client.ts";
import { keys } from "../src/store/keys.ts";
import { replaceUser } from "../src/store/users.ts";
import { startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { type Person, signUp, signUpAdmin } from "./person.ts";

async function countActiveAdmins({ kv }: TestServer): Promise<{ listed: number; counted: number }> {
  const { entries } = await kv.collect(keys.users(), { limit: 100 });
  const active = entries.filter(({ value }) => value.role === "admin" && value.status === "active");
  return { listed: active.length, counted: (await kv.find(keys.activeAdmins())).value?.count ?? 0 };
}

/** The three ways to get rid of an admin. */
const attacks: readonly { name: string; route: RouteConfig; json?: unknown }[] = [
  { name: "demoting", route: updateUser, json: { role: "user" } },
  { name: "disabling", route: updateUser, json: { status: "disabled" } },
  { name: "deleting", route: deleteUser },
];

for (const { name, route, json } of attacks) {
  Deno.test(`the last active admin withstands ${name}`, async () => {
    await using server = await startServer({ env: UNLIMITED });
    const admin = await signUpAdmin(server, "root@example.org");
    const ada = await signUp(server);
    // A disabled admin does not count.
    await replaceUser(server.deps, ada.id, { role: "admin", status: "disabled" }, OPERATOR);
    const { status, body } = await server.call(route, {
      token: admin.accessToken,
      params: { user_id: admin.id },
      json,
    });
    assert.deepEqual([status, body.code], [409, "last_admin"]);
    assert.equal((await server.call(listUsers, { token: admin.accessToken })).status, 200);
    assert.deepEqual(await countActiveAdmins(server), { listed: 1, counted: 1 });
  });

  for (const other of attacks) {
    Deno.test(`of two admins, one ${name} and one ${other.name} the other, exactly one remains`, async () => {
      await using server = await startServer({ env: UNLIMITED });
      const [ada, bob] = [
        await signUpAdmin(server, "ada@example.org"),
        await signUpAdmin(server, "bob@example.org"),
      ];
      const answers = await Promise.all([
        server.call(route, { token: ada.accessToken, params: { user_id: bob.id }, json }),
        server.call(other.route, { token: bob.accessToken, params: { user_id: ada.id }, json: other.json }),
      ]);
      assert.equal(answers.filter(({ status }) => status < 300).length, 1);
      const refusal = answers.find(({ status }) => status >= 400);
      assert(
        ["last_admin", "token_invalid", "account_disabled"].includes(refusal?.body.code),
        refusal?.text ?? "",
      );
      assert.deepEqual(await countActiveAdmins(server), { listed: 1, counted: 1 });
    });
  }
}

Deno.test("updateUser: of five admins who demote each other all at once, exactly one remains", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const admins: Person[] = [];
  for (const name of ["ada", "bob", "cleo", "dora", "emil"]) {
    admins.push(await signUpAdmin(server, `${name}@example.org`));
  }
  const attempts = admins.flatMap(({ accessToken: token }) =>
    admins.map(({ id }) =>
      server.call(updateUser, { token, params: { user_id: id }, json: { role: "user" } })
    )
  );
  await Promise.all(attempts);
  assert.deepEqual(await countActiveAdmins(server), { listed: 1, counted: 1 });
});

Deno.test("deleteUser: an admin who is not the last may go", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const admin = await signUpAdmin(server, "root@example.org");
  const other = await signUpAdmin(server, "other@example.org");
  const input = { token: admin.accessToken, params: { user_id: admin.id } };
  assert.equal((await server.call(deleteUser, input)).status, 204);
  assert.equal((await server.call(listUsers, input)).body.code, "token_invalid");
  assert.equal((await server.call(listUsers, { token: other.accessToken })).status, 200);
  assert.deepEqual(await countActiveAdmins(server), { listed: 1, counted: 1 });
});
