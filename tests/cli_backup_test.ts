// Backup and restore as the operator runs them: what was acknowledged before a backup is in it, also while a server
// writes; and a restore happens as a whole, or not at all.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { readMe } from "../openapi/account.ts";
import { createNote, listNotes } from "../openapi/notes.ts";
import { login, refreshTokens } from "../openapi/sessions.ts";
import { PASSWORD, UNLIMITED } from "./harness.ts";
import { createSite, eventually, type Settings, type Site } from "./process.ts";
import { requireTask, runTask } from "./tool_run.ts";

const EMAIL = "ada@example.org";
const SETTINGS: Settings = {
  ...UNLIMITED,
  FREE_NOTES: "10000",
  SECRET_KEY: "7Vb2xk0Qm9ZtRrY4sWcL1pHdJ8gNfEuA",
};
const NOTES_BEFORE = 100;

Deno.test("backup beside a writing server holds every note acknowledged before it, and none with a gap", async () => {
  await using site = await createSite();
  const server = await site.startServer(SETTINGS);
  const { token } = await signInAt(site);
  const writer = startNotes(site, token);
  await eventually("notes are written", () => writer.count() >= NOTES_BEFORE);
  const acknowledged = writer.count();
  const backup = `${site.folder}/backup.kv`;
  const printed = await requireTask(site, "backup", [backup], { settings: SETTINGS });
  await writer.stop();
  await server.stop();
  assert.match(printed, /^\S+backup\.kv is a whole copy of \S+: [\d,]+ bytes, proved to open\.\n$/);
  assert.equal(modeOf(backup), 0o600);
  assert.deepEqual(namesIn(site.folder), ["backup.kv", "data"]);

  // Brought from elsewhere it may have any mode.
  await Deno.chmod(backup, 0o644);
  assert.match(
    await requireTask(site, "restore", [backup], { settings: SETTINGS }),
    /is the store of .*kept as/s,
  );
  assert.equal(modeOf(site.storePath), 0o600);
  await site.startServer(SETTINGS);
  const titles = await readTitles(site, token);
  assert(titles.length >= acknowledged, `${acknowledged} were acknowledged, ${titles.length} are there`);
  assert.deepEqual(titles, titles.map((_, index) => String(titles.length - 1 - index)));
});

Deno.test("backup of a store whose server was killed holds what stood in its log, and restores elsewhere", async () => {
  await using site = await createSite();
  await using other = await createSite();
  // The issuer of its tokens, wherever it runs.
  const settings = { ...SETTINGS, PUBLIC_URL: site.url };
  const server = await site.startServer(settings);
  const { token } = await signInAt(site);
  const writer = startNotes(site, token);
  await eventually("notes are written", () => writer.count() >= NOTES_BEFORE);
  await Promise.all([server.kill(), writer.stop()]);

  const backup = `${other.folder}/backup.kv`;
  await requireTask(site, "backup", [backup], { settings });
  // A machine that never had a store.
  const printed = await requireTask(other, "restore", [backup], { settings });
  assert.doesNotMatch(printed, /kept/);
  await other.startServer(settings);
  assert((await readTitles(other, token)).length >= writer.count());
});

Deno.test("restore brings back what was there; with --end-sessions nobody is signed in", async (t) => {
  await using site = await createSite();
  let server = await site.startServer(SETTINGS);
  const { token, refreshToken } = await signInAt(site);
  const backup = `${site.folder}/backup.kv`;
  await requireTask(site, "backup", [backup], { settings: SETTINGS });
  await addAdmin(site, "late@example.org");

  await t.step("refused while a server runs", async () => {
    const { status, stderr } = await runTask(site, "restore", [backup], { settings: SETTINGS });
    assert.equal(status, 1);
    assert.match(stderr, /^A Latchkey server runs on the store .*: stop it first\n$/);
    assert.equal((await site.call(readMe, { token })).status, 200);
  });
  await t.step("without the option", async () => {
    // So that what came last stands in the log.
    await server.kill();
    await requireTask(site, "restore", [backup], { settings: SETTINGS });
    server = await site.startServer(SETTINGS);
    assert.equal((await site.call(readMe, { token })).status, 200);
    const late = await site.call(login, { json: { email: "late@example.org", password: PASSWORD } });
    assert.equal(late.status, 401);
    const kept = namesIn(`${site.folder}/data`).filter((name) => /before-restore-[\d-]+T[\d-]+Z$/.test(name));
    assert.equal(kept.length, 1);
  });
  await t.step("with the option", async () => {
    await server.stop();
    const printed = await requireTask(site, "restore", ["--end-sessions", backup], { settings: SETTINGS });
    assert.match(printed, /sessions \(1\) have ended/);
    server = await site.startServer(SETTINGS);
    assert.equal((await site.call(readMe, { token })).status, 401);
    const json = { refresh_token: refreshToken };
    assert.equal((await site.call(refreshTokens, { json })).body.code, "refresh_token_invalid");
    assert.equal((await site.call(login, { json: { email: EMAIL, password: PASSWORD } })).status, 200);
  });
  await t.step("the store that was there can be restored, with its log", async () => {
    await server.kill();
    const [newest = ""] = namesIn(`${site.folder}/data`).filter((name) => name.endsWith("Z")).sort();
    const path = `${site.folder}/data/${newest}`;
    await requireTask(site, "restore", [path], { settings: SETTINGS });
    server = await site.startServer(SETTINGS);
    const late = await site.call(login, { json: { email: "late@example.org", password: PASSWORD } });
    assert.equal(late.status, 200);
    await server.stop();
  });
});

Deno.test("restore refuses what is no store of ours, and leaves the store alone", async (t) => {
  await using site = await createSite();
  const server = await site.startServer(SETTINGS);
  await signInAt(site);
  const backup = `${site.folder}/backup.kv`;
  await requireTask(site, "backup", [backup], { settings: SETTINGS });
  await server.stop();
  const store = await Deno.readFile(site.storePath);
  const { folder } = site;
  const names = namesIn(`${folder}/data`);

  await Deno.writeTextFile(`${folder}/text`, "This is no store.\n".repeat(100));
  await Deno.writeFile(`${folder}/half.kv`, (await Deno.readFile(backup)).slice(0, 20_000));
  new DatabaseSync(`${folder}/other.db`).exec("CREATE TABLE t (x); INSERT INTO t VALUES (1)");
  await makeNewer(backup, `${folder}/newer.kv`);
  const otherKey = { ...SETTINGS, SECRET_KEY: "1Xo8vT5gQe2RnZyK7mBpWcJ4hUdLsAfE" };
  const cases = [
    { name: "a text", args: ["text"], says: /text is damaged, or no store at all: file is not a database/ },
    { name: "half a store", args: ["half.kv"], says: /half\.kv is damaged, or no store at all/ },
    { name: "another database", args: ["other.db"], says: /other\.db is not the store of a Latchkey server/ },
    { name: "a newer layout", args: ["newer.kv"], says: /newer\.kv was written by a newer Latchkey/ },
    {
      name: "another SECRET_KEY",
      args: ["backup.kv"],
      settings: otherKey,
      says: /made under another SECRET_KEY: set that one, .*export SECRET_KEY=\$\(cat /,
    },
    { name: "a file that is not there", args: ["gone.kv"], says: /There is no file \S+gone\.kv/ },
    { name: "a folder", args: ["data"], says: /data cannot be copied/ },
    { name: "the store itself", args: ["data/latchkey.kv"], says: /is the store itself/ },
    { name: "two files", args: ["backup.kv", "text"], says: /^Unexpected argument '\S+text'/ },
    { name: "no file", args: [], says: /^FILE is missing/ },
    {
      name: "a store elsewhere",
      args: ["backup.kv"],
      settings: { ...SETTINGS, KV_PATH: "https://kv.example.org" },
      says: /^Only a store in a file of this machine/,
    },
  ];
  for (const { name, args, settings = SETTINGS, says } of cases) {
    await t.step(name, async () => {
      const paths = args.map((arg) => `${folder}/${arg}`);
      const { status, stdout, stderr } = await runTask(site, "restore", paths, { settings });
      assert.deepEqual([status, stdout], [1, ""], stderr);
      assert.match(stderr, says);
      assert.deepEqual(namesIn(`${folder}/data`), names);
      assert.deepEqual(await Deno.readFile(site.storePath), store);
    });
  }
});

Deno.test("restore with the key of a development server: the one that is there, and none is made up", async () => {
  await using site = await createSite();
  const server = await site.startServer();
  await server.stop();
  const backup = `${site.folder}/backup.kv`;
  await requireTask(site, "backup", [backup]);
  await requireTask(site, "restore", [backup]);

  const elsewhere = { KV_PATH: `${site.folder}/drill/latchkey.kv` };
  const { status, stderr } = await runTask(site, "restore", [backup], { settings: elsewhere });
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^SECRET_KEY is missing: set the one that \S+ was made under\. A development server keeps it /,
  );
  assert(!namesIn(site.folder).includes("drill"));
  const SECRET_KEY = (await Deno.readTextFile(`${site.storePath}.secret`)).trim();
  await requireTask(site, "restore", [backup], { settings: { ...elsewhere, SECRET_KEY } });
  assert.deepEqual(namesIn(`${site.folder}/drill`), ["latchkey.kv", "latchkey.kv.lock"]);
});

Deno.test("backup says what is wrong in a sentence, and writes nothing", async (t) => {
  await using site = await createSite();
  await Deno.writeTextFile(`${site.folder}/there`, "mine\n");
  const target = `${site.folder}/new.kv`;
  await t.step("no store yet", async () => {
    const { status, stderr } = await runTask(site, "backup", [target]);
    assert.equal(status, 1);
    assert.match(stderr, /^There is no store at .*: see KV_PATH\n$/);
  });
  await requireTask(site, "keys:rotate");
  const remote = { KV_PATH: "https://kv.example.org" };
  const cases = [
    { name: "existing file", args: [`${site.folder}/there`], says: /there exists already: .*--force/ },
    { name: "missing folder", args: [`${site.folder}/no/new.kv`], says: /cannot be written: No such file/ },
    { name: "comma", args: [`${site.folder}/a,b`], says: /must not have a comma/ },
    { name: "no file", args: [], says: /^FILE is missing/ },
    {
      name: "KV Connect",
      args: [target],
      settings: remote,
      says: /no file here\. Back it up where.*users:export/,
    },
  ];
  for (const { name, args, settings = {}, says } of cases) {
    await t.step(name, async () => {
      const { status, stdout, stderr } = await runTask(site, "backup", args, { settings });
      assert.deepEqual([status, stdout], [1, ""], stderr);
      assert.match(stderr, says);
      assert.deepEqual(namesIn(site.folder), ["data", "there"]);
    });
  }
  await t.step("--force replaces the file", async () => {
    await requireTask(site, "backup", [`${site.folder}/there`, "--force"]);
    assert.equal(modeOf(`${site.folder}/there`), 0o600);
    assert.match(await Deno.readTextFile(`${site.folder}/there`), /^SQLite format 3/);
  });
});

interface NoteWriter {
  /** Notes acknowledged so far; their titles are 0, 1, 2, … */
  count(): number;
  stop(): Promise<void>;
}

/** Writes one note after the other until it is stopped, or the server is gone. */
function startNotes(site: Site, token: string): NoteWriter {
  let [count, isStopped] = [0, false];
  const run = async (): Promise<void> => {
    while (!isStopped) {
      const { status, text } = await site.call(createNote, { token, json: { title: String(count) } });
      assert.equal(status, 201, text);
      count++;
    }
  };
  const done = run().catch((error) => {
    if (error instanceof assert.AssertionError) throw error;
  });
  return {
    count: () => count,
    stop() {
      isStopped = true;
      return done;
    },
  };
}

/** Newest first. */
async function readTitles(site: Site, token: string): Promise<string[]> {
  const titles: string[] = [];
  let cursor: string | null = null;
  do {
    const path: string = `${listNotes.path}?limit=100${cursor === null ? "" : `&cursor=${cursor}`}`;
    const { status, body, text } = await site.call({ ...listNotes, path }, { token });
    assert.equal(status, 200, text);
    titles.push(...body.data.map(({ title }: { title: string }) => title));
    cursor = body.next_cursor;
  } while (cursor !== null);
  return titles;
}

async function signInAt(site: Site): Promise<{ readonly token: string; readonly refreshToken: string }> {
  await addAdmin(site, EMAIL);
  const { status, body, text } = await site.call(login, { json: { email: EMAIL, password: PASSWORD } });
  assert.equal(status, 200, text);
  return { token: body.access_token, refreshToken: body.refresh_token };
}

async function addAdmin(site: Site, email: string): Promise<void> {
  const args = ["--email", email, "--password-stdin"];
  await requireTask(site, "admin:create", args, { settings: SETTINGS, stdin: `${PASSWORD}\n` });
}

/** A copy of the backup that says it has the layout of a later version. */
async function makeNewer(backup: string, path: string): Promise<void> {
  await Deno.copyFile(backup, path);
  using kv = await Deno.openKv(path);
  await kv.set(["store"], { schema: 2, createdAtMs: 0 });
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

function modeOf(path: string): number {
  return (Deno.statSync(path).mode ?? 0) & 0o777;
}
