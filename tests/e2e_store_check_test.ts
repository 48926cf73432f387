// `deno task store:check` as its operator runs it: beside a server that is busy, on a damaged store, on a backup, and on
// what is no store.

import assert from "node:assert/strict";
import { requestAccountDeletion, updateMe } from "../openapi/account.ts";
import { createNote, deleteNote } from "../openapi/notes.ts";
import { requestPasswordReset } from "../openapi/passwords.ts";
import { register } from "../openapi/registration.ts";
import { endOtherSessions, login, refreshTokens } from "../openapi/sessions.ts";
import { hashEmail, keys } from "../src/store/keys.ts";
import { createKv } from "../src/store/kv.ts";
import { openDatabase } from "../src/store/open.ts";
import { addUser } from "../src/store/users.ts";
import { type Answer, PASSWORD, UNLIMITED } from "./harness.ts";
import { createSite, type Site } from "./process.ts";
import { signUpAt, type SitePerson } from "./site_person.ts";
import { requireTask, runTask } from "./tool_run.ts";

/** So many that a check takes a while. */
const USERS = 1_500;
const PEOPLE = 4;
const CHECKS = 3;

Deno.test("store:check: finds nothing wrong beside a server that is busy", async () => {
  await using site = await createSite();
  await populate(site.storePath);
  await site.startServer({ ...UNLIMITED, FREE_NOTES: "1000" });
  const people: SitePerson[] = [];
  for (let index = 0; index < PEOPLE; index++) people.push(await signUpAt(site, `busy-${index}@example.org`));
  let isOver = false;
  const lives = Promise.allSettled(people.map(async (person) => {
    let steps = 0;
    for await (const _ of live(site, person)) {
      steps++;
      if (isOver) break;
    }
    assert(steps > 20, `${steps} steps`);
  }));
  try {
    for (let check = 0; check < CHECKS; check++) {
      const said = await requireTask(site, "store:check");
      assert.match(said, /^[\d,]+ records, and nothing is wrong with them\.$/m);
    }
  } finally {
    isOver = true;
    await lives;
  }
  for (const life of await lives) if (life.status === "rejected") throw life.reason;
});

Deno.test("store:check: names what is wrong, and no address, while the server runs", async () => {
  await using site = await createSite();
  await site.startServer();
  const { email } = await signUpAt(site);
  const db = await openDatabase(site.storePath);
  const { key: path, value: userId } = await requireIndex(db, email);
  await db.delete(path);
  await db.set(["bookmarks", email], "https://example.com");

  const { status, stdout, stderr } = await runTask(site, "store:check");
  assert.equal(status, 1);
  assert.equal(stdout, "");
  const [first, second, ...advice] = stderr.trim().split("\n");
  assert.deepEqual([first, second], [
    "bookmarks/… is of a kind that this version does not know",
    `users/${userId} is not found by its address`,
  ]);
  assert.match(advice.join(" "), /^2 faults\. .*`deno task backup FILE`.*`deno task restore FILE`/);
  assert.doesNotMatch(stderr, /@|https/);

  await db.set(path, userId);
  await db.delete(["bookmarks", email]);
  db.close();
  await requireTask(site, "store:check");
});

Deno.test("store:check: looks at a backup by its name", async () => {
  await using site = await createSite();
  await site.startServer();
  await signUpAt(site);
  const copy = `${site.folder}/copy.kv`;
  await requireTask(site, "backup", [copy]);
  assert.match(
    await requireTask(site, "store:check", [], { settings: { KV_PATH: copy } }),
    /nothing is wrong/,
  );
});

Deno.test("store:check: refuses in a sentence, and makes no store", async (t) => {
  await using site = await createSite();
  const [missing, other, empty] = ["missing", "other", "empty"].map((name) => `${site.folder}/${name}.kv`);
  await Deno.writeTextFile(other ?? "", "Not a store.\n".repeat(100));
  await Deno.writeTextFile(empty ?? "", "");
  const rows = [
    {
      name: "a file that is not there",
      path: missing,
      args: [],
      says: `There is no store at ${missing}: see KV_PATH`,
    },
    {
      name: "a file with nothing in it",
      path: empty,
      args: [],
      says: `There is no store at ${empty}: see KV_PATH`,
    },
    {
      name: "another file",
      path: other,
      args: [],
      says:
        `The store ${other} cannot be opened: file is not a database. Restore a backup, or let KV_PATH name ` +
        "another file",
    },
    { name: "an operand", path: missing, args: ["FILE"], says: "Unexpected argument 'FILE'" },
  ];
  for (const { name, path = "", args, says } of rows) {
    await t.step(name, async () => {
      const { status, stdout, stderr } = await runTask(site, "store:check", args, {
        settings: { KV_PATH: path },
      });
      assert.deepEqual({ status, stdout, says: stderr.split("\n")[0] }, { status: 1, stdout: "", says });
    });
  }
  await assert.rejects(Deno.stat(missing ?? ""), Deno.errors.NotFound);
  assert.match(await requireTask(site, "store:check", ["--help"]), /deno task store:check/);
});

/** One request after the other, all of which write, again and again. */
async function* live(site: Site, { email, accessToken: token, ...first }: SitePerson): AsyncGenerator<void> {
  let { refreshToken } = first;
  const settle = ({ status, text }: Answer): void => assert(status < 300, text);
  for (let round = 0;; round++) {
    const name = `${email.split("@")[0]}-${round}`;
    settle(await site.call(updateMe, { token, json: { username: name } }));
    yield;
    settle(await site.call(login, { json: { email, password: PASSWORD } }));
    yield;
    settle(
      await site.call(register, {
        json: { email: `${name}@example.org`, username: `new-${name}`, password: PASSWORD },
      }),
    );
    yield;
    const note = await site.call(createNote, { token, json: { title: "Milk" } });
    settle(note);
    yield;
    const refreshed = await site.call(refreshTokens, { json: { refresh_token: refreshToken } });
    settle(refreshed);
    refreshToken = refreshed.body.refresh_token;
    yield;
    settle(await site.call(requestPasswordReset, { json: { email } }));
    settle(await site.call(requestAccountDeletion, { token, json: {} }));
    yield;
    // The last one takes the count along.
    settle(await site.call(deleteNote, { token, params: { note_id: note.body.id } }));
    settle(await site.call(endOtherSessions, { token }));
    yield;
  }
}

/** Accounts without sessions, past every rule, before there is a server. */
async function populate(path: string): Promise<void> {
  const db = await openDatabase(path);
  const kv = createKv(db, Date.now);
  for (let index = 0; index < USERS;) {
    const change = kv.change();
    // As many as the checks of one commit allow.
    for (let users = 0; users < 4; users++, index++) {
      const username = `person-${index}`;
      const newUser = {
        username,
        email: `${username}@example.org`,
        name: null,
        locale: null,
        passwordHash: "$",
      };
      assert(await addUser(kv, change, { newUser }));
    }
    assert(await change.commit());
  }
  db.close();
}

async function requireIndex(db: Deno.Kv, email: string): Promise<Deno.KvEntry<string>> {
  const entry = await db.get<string>(keys.userIdByEmail(hashEmail(email)).path);
  assert(entry.value !== null);
  return entry;
}
