// A store file that is not as the server left it, or that it may not use: it says so in one line and ends with status 1,
// and never starts silently empty where there was a store. What vanished is in e2e_start_test.ts.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { createNote } from "../openapi/notes.ts";
import { UNLIMITED } from "./harness.ts";
import { spawnBareServer, startBareServer } from "./bare_server.ts";
import { createSite, type Site } from "./process.ts";
import { shellLimit } from "./shell_limit.ts";
import { signUpAt } from "./site_person.ts";

const PAGE_BYTES = 4_096;
/** Root may write what nobody may, unless that is taken from it. */
const WITHOUT_PRIVILEGES = Deno.uid() === 0 ? ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] : [];

interface Damage {
  readonly name: string;
  readonly inflict: (path: string) => Promise<void>;
  readonly line: RegExp;
}

const damages: readonly Damage[] = [
  {
    name: "cut off in the middle",
    inflict: async (path) => await Deno.truncate(path, (await Deno.stat(path)).size / 2 | 0),
    line:
      /^The store \S+ cannot be opened: database disk image is malformed\. Restore a backup, or let KV_PATH/,
  },
  {
    name: "with another beginning",
    inflict: (path) => overwrite(path, 0, new TextEncoder().encode("Not a database")),
    line: /^The store \S+ cannot be opened: file is not a database\. Restore a backup, or let KV_PATH/,
  },
  {
    name: "replaced by an empty store",
    inflict: (path) => replace(path, async () => (await Deno.openKv(path)).close()),
    line:
      /^The store \S+ is not the one that was here: restore a backup, or remove it and \S+\.lock to start/,
  },
  {
    name: "replaced by another program's database",
    inflict: (path) =>
      replace(path, () => {
        const database = new DatabaseSync(path);
        database.exec("CREATE TABLE visits (at INTEGER); INSERT INTO visits VALUES (1)");
        database.close();
      }),
    line: /^The store \S+ is not the one that was here: restore a backup/,
  },
];

Deno.test("store file: one that is damaged or not the one that was here is refused in one line", async (t) => {
  for (const { name, inflict, line } of damages) {
    await t.step(name, async () => {
      await using site = await createSite();
      await copyStore(site);
      await inflict(site.storePath);
      await requireRefusal(site, line);
    });
  }
});

Deno.test("store file: pages without sense end the server, which writes nothing to them", async () => {
  await using site = await createSite();
  await copyStore(site);
  const { size } = await Deno.stat(site.storePath);
  await overwrite(site.storePath, PAGE_BYTES, new Uint8Array(size - PAGE_BYTES));
  const before = await Deno.readFile(site.storePath);
  await using server = spawnBareServer(site);
  // By its own refusal, or by a panic of Deno's sweep, whichever comes first.
  assert.notEqual(await server.ended(), 0);
  assert.match(server.stderr(), /malformed|corrupt|not a database/);
  assert.deepEqual(await Deno.readFile(site.storePath), before);
});

const forbidden: readonly { name: string; file: string; mode: number; line: RegExp }[] = [
  { name: "a store to read only", file: "latchkey.kv", mode: 0o400, line: /^The store .* Permission denied/ },
  { name: "a store of somebody else", file: "latchkey.kv", mode: 0, line: /^The store .* Permission denied/ },
  {
    name: "a folder to read only",
    file: ".",
    mode: 0o500,
    line: /^The store .* readonly database\. KV_PATH must name/,
  },
  { name: "a folder of somebody else", file: ".", mode: 0, line: /^The store .* Permission denied/ },
  {
    name: "a lock of somebody else",
    file: "latchkey.kv.lock",
    mode: 0,
    line: /Permission denied.*\.lock'\. KV_PATH must name/,
  },
  {
    name: "a key of somebody else",
    file: "latchkey.kv.secret",
    mode: 0,
    line: /Permission denied.*\.secret'$/,
  },
];

Deno.test("store file: one that the server may not write is refused in one line", async (t) => {
  for (const { name, file, mode, line } of forbidden) {
    await t.step(name, async () => {
      await using site = await createSite();
      await copyStore(site);
      const path = `${site.folder}/data/${file}`;
      const { mode: modeBefore } = await Deno.stat(path);
      await Deno.chmod(path, mode);
      try {
        await requireRefusal(site, line, WITHOUT_PRIVILEGES);
      } finally {
        await Deno.chmod(path, (modeBefore ?? 0o700) & 0o777);
      }
    });
  }
});

Deno.test("store file: on a full disk a start is refused in one line, and works once there is room", async (t) => {
  for (const isNew of [true, false]) {
    await t.step(isNew ? "a new store" : "a store that was there", async () => {
      await using site = await createSite();
      if (!isNew) await copyStore(site);
      await requireRefusal(site, /^The store .*(disk I\/O error|disk is full)$/, shellLimit("-S -f 0"));
      await using _server = await startBareServer(site);
    });
  }
});

Deno.test("store file: one that is replaced while the server runs ends it within seconds", async () => {
  await using site = await createSite();
  await using server = await startBareServer(site);
  await Deno.rename(site.storePath, `${site.storePath}.old`);
  await Deno.writeFile(site.storePath, new Uint8Array());
  assert.equal(await server.ended(), 1);
  assert.equal(server.stderr(), `The store ${site.storePath} was replaced while the server ran\n`);
});

let used: Promise<string> | undefined;

/** Gives the site a store that a server has written to and closed. */
async function copyStore(site: Site): Promise<void> {
  const folder = await (used ??= useStore());
  await run("cp", "-R", folder, `${site.folder}/data`);
}

/** The folder of such a store; it is gone with the process. */
async function useStore(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "latchkey_" });
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  await using site = await createSite();
  await using server = await startBareServer(site, { settings: UNLIMITED });
  const { accessToken: token } = await signUpAt(site);
  assert.equal((await site.call(createNote, { token, json: { title: "Milk" } })).status, 201);
  assert.equal(await server.stop(), 0);
  await run("cp", "-R", `${site.folder}/data`, folder);
  return `${folder}/data`;
}

async function requireRefusal(site: Site, line: RegExp, under: readonly string[] = []): Promise<void> {
  await using server = spawnBareServer(site, { under });
  assert.equal(await server.ended(), 1, server.stderr());
  const [only = "", ...more] = server.stderr().trimEnd().split("\n");
  assert.deepEqual(more, []);
  assert.match(only, line);
  assert.equal(server.stdout(), "");
}

async function overwrite(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(path, { write: true });
  await file.seek(offset, Deno.SeekMode.Start);
  await file.write(bytes);
}

async function replace(path: string, make: () => Promise<void> | void): Promise<void> {
  await Deno.remove(path);
  await make();
}

async function run(program: string, ...args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  assert(success, new TextDecoder().decode(stderr));
}
