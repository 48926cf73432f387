// A disk that is full, as its server sees it: nothing that was answered is lost, writes are refused with 503, reads go
// on, and room is all it takes to recover. A full disk is made in two ways: the kernel lets the process write no
// further into any file, which needs no rights; and a file system that is really full, where one can be mounted.

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { createNote, listNotes, readNote } from "../openapi/notes.ts";
import { requestPasswordReset } from "../openapi/passwords.ts";
import { readHealth, readReadiness } from "../openapi/service.ts";
import { login, refreshTokens } from "../openapi/sessions.ts";
import { openDatabase } from "../src/store/open.ts";
import { type BareServer, startBareServer } from "./bare_server.ts";
import { PASSWORD, UNLIMITED } from "./harness.ts";
import { createSite, eventually, type Program, type Settings, type Site } from "./process.ts";
import { shellLimit } from "./shell_limit.ts";
import { signUpAt, type SitePerson } from "./site_person.ts";
import { collectBrokenInvariants } from "./store_invariants.ts";

const SETTINGS: Settings = { ...UNLIMITED, FREE_NOTES: "10000" };
const NOTE = "x".repeat(4_000);
const NOTES_MAX = 3_000;
/** Less than the log of the store has in it by then. */
const FILE_BYTES_MAX = 64 * 1024;
const DISK_BYTES = 4 * 2 ** 20;

/** A way to make a disk full, and to make room again. */
interface Disk {
  readonly name: string;
  readonly under: readonly string[];
  fill(server: Program): Promise<void>;
  free(server: Program): Promise<void>;
}

/** The process may write no file beyond a size. */
const fileLimit: Disk = {
  name: "a limit on files",
  under: shellLimit("-f unlimited"),
  fill: ({ pid }) => run("prlimit", "--pid", String(pid), `--fsize=${FILE_BYTES_MAX}:`),
  free: ({ pid }) => run("prlimit", "--pid", String(pid), "--fsize=unlimited:"),
};

/** A file system in memory, which only the server and its parents see, and which is gone with them. */
function tinyDisk(folder: string): Disk {
  const namespace = Deno.uid() === 0 ? ["--mount"] : ["--mount", "--user", "--map-root-user"];
  const mount = `mount -t tmpfs -o size=${DISK_BYTES} tmpfs "$0" && exec "$@"`;
  const ballast = (pid: number): string => `/proc/${pid}/root${folder}/ballast`;
  return {
    name: "a full file system",
    under: ["unshare", ...namespace, "bash", "-c", mount, folder],
    async fill({ pid }) {
      using file = await Deno.open(ballast(pid), { write: true, create: true });
      const page = new Uint8Array(4_096);
      while (await file.write(page).catch(() => 0) > 0) continue;
    },
    free: ({ pid }) => Deno.remove(ballast(pid)),
  };
}

Deno.test("disk: while it is full writes are refused with 503 and reads go on; with room again nothing is lost", async (t) => {
  await t.step(fileLimit.name, async () => {
    await using site = await createSite();
    {
      await using server = await startBareServer(site, { settings: SETTINGS, under: fileLimit.under });
      const { person, notes } = await outlive(site, server, fileLimit);
      await server.kill();
      await using next = await startBareServer(site, { settings: SETTINGS });
      await requireNotes(site, person, notes);
      assert.equal(await next.stop(), 0);
    }
    using db = await openDatabase(site.storePath);
    assert.deepEqual(await collectBrokenInvariants(db, { nowMs: Date.now() }), []);
  });

  await using site = await createSite();
  const folder = `${site.folder}/data`;
  await Deno.mkdir(folder);
  const disk = tinyDisk(folder);
  const refusal = await complaintOf([...disk.under, "true"]);
  if (refusal !== null) {
    await t.step(`${disk.name}: none can be mounted here, ${refusal}`, () => {});
    return;
  }
  await t.step(disk.name, async () => {
    await using server = await startBareServer(site, { settings: SETTINGS, under: disk.under });
    await outlive(site, server, disk);
    assert.equal(await server.stop(), 0);
  });
});

Deno.test("disk: when Deno's sweep of expired records meets a full disk the process ends, and nothing is lost", async () => {
  await using site = await createSite();
  const settings = { ...SETTINGS, OTP_TTL: "1s" };
  const first = await startBareServer(site, { settings: SETTINGS });
  const person = await signUpAt(site);
  await first.stop();
  const second = await startBareServer(site, { settings });
  // A record that the sweep will want to remove: of a code that lives for a second.
  assert.equal((await site.call(requestPasswordReset, { json: { email: person.email } })).status, 202);
  await second.stop();

  await using third = await startBareServer(site, { settings, under: fileLimit.under });
  const notes = await writeNotes(site, person, 20);
  await fileLimit.fill(third);
  const { written } = await writeUntilFull(site, person);
  assert.notEqual(await third.ended(), 0);

  // As a supervisor would, once there is room.
  await using _next = await startBareServer(site, { settings: SETTINGS });
  await requireNotes(site, person, [...notes, ...written]);
  assert.equal((await site.call(login, { json: { email: person.email, password: PASSWORD } })).status, 200);
});

/** Uses a server before, while and after its disk is full. What it answered 201 to is there all the time. */
async function outlive(
  site: Site,
  server: BareServer,
  disk: Disk,
): Promise<{ readonly person: SitePerson; readonly notes: readonly string[] }> {
  const person = await signUpAt(site);
  const token = person.accessToken;
  const before = await writeNotes(site, person, 20);

  await disk.fill(server);
  const { written, retryAfter } = await writeUntilFull(site, person);
  assert(Number(retryAfter) >= 1);
  await eventually(
    "it says that it is not ready",
    async () => (await site.call(readReadiness)).status === 503,
  );
  const credentials = { email: person.email, password: PASSWORD };
  assert.equal((await site.call(login, { json: credentials })).body.code, "unavailable");
  const refresh = { json: { refresh_token: person.refreshToken } };
  assert.equal((await site.call(refreshTokens, refresh)).body.code, "unavailable");
  assert.equal((await site.call(readHealth)).status, 200);
  assert.equal((await site.call(readMe, { token })).status, 200);
  assert.equal((await site.call(listNotes, { token })).status, 200);

  await disk.free(server);
  await eventually("it is ready again", async () => (await site.call(readReadiness)).status === 200);
  // What was refused can be asked again.
  assert.equal((await site.call(refreshTokens, refresh)).status, 200);
  assert.equal((await site.call(login, { json: credentials })).status, 200);
  const notes = [...before, ...written, ...await writeNotes(site, person, 20)];
  await requireNotes(site, person, notes);
  assert(!server.stderr().includes('"level":"ERROR"'), server.stderr());
  return { person, notes };
}

/** Every write is answered as done, or as not possible now. */
async function writeUntilFull(
  site: Site,
  { accessToken: token }: SitePerson,
): Promise<{ readonly written: readonly string[]; readonly retryAfter: string | null }> {
  const written: string[] = [];
  while (written.length < NOTES_MAX) {
    const answer = await site.call(createNote, { token, json: { title: "Milk", body: NOTE } });
    if (answer.status !== 201) {
      assert.equal(answer.status, 503, answer.text);
      assert.equal(answer.body.code, "unavailable");
      return { written, retryAfter: answer.headers.get("retry-after") };
    }
    written.push(answer.body.id);
  }
  assert.fail("The disk was not full");
}

async function writeNotes(site: Site, person: SitePerson, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let note = 0; note < count; note++) {
    const json = { title: "Milk", body: NOTE };
    const answer = await site.call(createNote, { token: person.accessToken, json });
    assert.equal(answer.status, 201, answer.text);
    ids.push(answer.body.id);
  }
  return ids;
}

async function requireNotes(
  site: Site,
  { accessToken: token }: SitePerson,
  ids: readonly string[],
): Promise<void> {
  for (const id of ids) {
    assert.equal((await site.call(readNote, { token, params: { note_id: id } })).status, 200, id);
  }
}

async function run(program: string, ...args: readonly string[]): Promise<void> {
  const complaint = await complaintOf([program, ...args]);
  assert.equal(complaint, null, complaint ?? "");
}

/** What a command says when it does not work; null when it does. */
async function complaintOf([program = "", ...args]: readonly string[]): Promise<string | null> {
  const { success, stderr } = await new Deno.Command(program, { args: [...args], stdin: "null" }).output();
  return success ? null : new TextDecoder().decode(stderr).trim() || "without a word";
}
