// What a deletion cannot take along at once: mails that are on their way, and the id itself while anything is left
// below it.

import assert from "node:assert/strict";
import { changePassword } from "../openapi/passwords.ts";
import { runJobs } from "../src/jobs.ts";
import { OPERATOR } from "../src/store/client.ts";
import { removeUser } from "../src/store/deletion.ts";
import { keys } from "../src/store/keys.ts";
import { collectMailsOf } from "../src/store/mail_lists.ts";
import { addUser } from "../src/store/users.ts";
import { PASSWORD, startServer, UNLIMITED } from "./harness.ts";
import { signUp } from "./person.ts";

const NEW_PASSWORD = "granite-otter-58";

Deno.test("account deletion: a mail that was on its way is cleared once it has left, and all of the address before", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const { kv, deps } = server;
  const { id, email, accessToken: token } = await signUp(server);
  const address = deps.secrets.mac("address", email);
  assert.equal((await collectMailsOf(kv, address)).length, 1, "the code of the registration");
  const json = { current_password: PASSWORD, new_password: NEW_PASSWORD };
  assert.equal((await server.call(changePassword, { token, json })).status, 204);
  assert.deepEqual((await collectMailsOf(kv, id)).map(({ state }) => state), ["queued"]);

  assert.equal(await removeUser(deps, id, OPERATOR), "removed");
  assert.deepEqual((await collectMailsOf(kv, address)).map(({ kind }) => kind), ["account_deleted_by_admin"]);
  assert.deepEqual((await collectMailsOf(kv, id)).map(({ state }) => state), ["queued"]);
  assert((await kv.find(keys.tombstone(id))).value, "there is something left to clear");

  const kinds = (await server.mails()).slice(1).map(({ kind }) => kind);
  assert.deepEqual(kinds.sort(), ["account_deleted_by_admin", "password_changed"]);
  await runJobs(deps);
  assert.deepEqual([...await collectMailsOf(kv, id), ...await collectMailsOf(kv, address)], []);
  assert.equal((await kv.find(keys.tombstone(id))).value, null);
});

Deno.test("account deletion: nobody is imported under its id before all is cleared away", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const { kv, deps } = server;
  const { id, accessToken: token } = await signUp(server);
  const { value: past } = await kv.find(keys.user(id));
  assert(past);
  await server.call(changePassword, {
    token,
    json: { current_password: PASSWORD, new_password: NEW_PASSWORD },
  });
  assert.equal(await removeUser(deps, id, OPERATOR), "removed");
  const newUser = {
    email: "bob@example.org",
    username: null,
    name: null,
    locale: null,
    passwordHash: "none",
  };
  const importUser = async (): Promise<boolean> => {
    const change = kv.change();
    return await addUser(kv, change, { newUser, past }) !== null && await change.commit();
  };
  assert.equal(await importUser(), false);
  await server.mails();
  await runJobs(deps);
  assert.equal(await importUser(), true);
});
