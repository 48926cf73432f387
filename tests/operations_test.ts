// openapi/operations.md: its commands are run as they stand there, its log line is one of the server's, and what else it
// names is there.

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { listMails } from "../openapi/mails.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { readMailbox } from "../openapi/service.ts";
import { login, refreshTokens } from "../openapi/sessions.ts";
import manifest from "../deno.json" with { type: "json" };
import { PASSWORD } from "./harness.ts";
import { createSite, eventually, REPOSITORY, type Site } from "./process.ts";
import { startReceiver } from "./smtp_receiver.ts";
import { assertCommands, assertLinks, assertOperations, readPage } from "./written_page.ts";

const page = await readPage("openapi/operations.md");

const EMAIL = "ada@example.org";
const SECRET_KEY = "kM3pV9sXw2ZqT7yLb5NdR8cFh1JgA4uE6oQiYxWzS0t";
/** Where the page's files are; in a test they are the site's. */
const PLACES = /\/var\/backups|\/var\/lib\/latchkey|\$HOME|(?=accounts\.jsonl)/g;

/** The commands of "```sh kind", at this site. */
function scriptOf(site: Site, kind: string): string {
  const [, script = ""] = new RegExp(`^\`\`\`sh ${kind}\n(.*?)^\`\`\`$`, "ms").exec(page) ?? [];
  assert(script, `There is no block ${kind}`);
  return script.replaceAll(PLACES, (place) => place === "" ? `${site.folder}/` : site.folder);
}

/** Runs it as one pastes it, with the settings of the site's server. Gives what it printed. */
async function paste(site: Site, script: string, { stdin = "" } = {}): Promise<string> {
  const shell = new Deno.Command("bash", {
    args: ["-euc", script],
    cwd: REPOSITORY,
    env: {
      PATH: Deno.env.get("PATH") ?? "",
      HOME: Deno.env.get("HOME") ?? "",
      NO_COLOR: "1",
      DENO_NO_UPDATE_CHECK: "1",
      HOST: "127.0.0.1",
      PORT: String(site.port),
      KV_PATH: site.storePath,
      SECRET_KEY,
    },
    clearEnv: true,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = shell.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin));
  await writer.close();
  const { success, stdout, stderr } = await shell.output();
  const [printed, complaints] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert(success, `${printed}${complaints}`);
  return printed ?? "";
}

/** Makes an account at a server that runs. */
async function signUp(
  site: Site,
): Promise<{ readonly access_token: string; readonly refresh_token: string; readonly user: { id: string } }> {
  const { body } = await site.call(register, { json: { email: EMAIL, password: PASSWORD } });
  const code = await eventually("the code is mailed", async () => {
    const mailbox = await site.call(readMailbox, { headers: { accept: "application/json" } });
    return mailbox.body.data[0]?.code as string | undefined;
  });
  const json = { challenge_id: body.challenge_id, code };
  return (await site.call(verifyOtp, { json })).body;
}

Deno.test("operations: the backup beside a running server, and the drill with it", async () => {
  await using site = await createSite();
  await site.startServer({ SECRET_KEY });
  await signUp(site);
  for (let times = 0; times < 2; times++) {
    assert.match(await paste(site, scriptOf(site, "backup")), /is a whole copy .*, proved to open/);
  }
  const printed = await paste(site, scriptOf(site, "drill"));
  assert.match(printed, /All is well\.\n/);
  assert.match(printed, /events, and none was altered or taken out/);
  await assert.rejects(Deno.stat(`${site.folder}/drill`), Deno.errors.NotFound);
});

Deno.test("operations: a lost SECRET_KEY: the accounts go on in a new store", async () => {
  await using site = await createSite();
  const server = await site.startServer({ SECRET_KEY });
  const { user: { id } } = await signUp(site);
  await server.stop();
  const other = site.spawn("start", { settings: { SECRET_KEY: `another ${SECRET_KEY}` } });
  assert.equal(await other.ended(), 1);
  assert.match(other.stderr(), /SECRET_KEY is not the one/);

  // Whoever exports may have no key, or another one.
  const script = `export SECRET_KEY="another $SECRET_KEY"\n${scriptOf(site, "new_key")}\necho "$SECRET_KEY"`;
  const newKey = (await paste(site, script)).trim().split("\n").at(-1) ?? "";
  await site.startServer({ SECRET_KEY: newKey, KV_PATH: `${site.folder}/new/latchkey.kv` });
  const { status, body } = await site.call(login, { json: { email: EMAIL, password: PASSWORD } });
  assert.deepEqual([status, body.user.id], [200, id]);
});

Deno.test("operations: a new PUBLIC_URL ends access tokens, and clients refresh", async () => {
  await using site = await createSite();
  const server = await site.startServer({ SECRET_KEY });
  const { access_token: token, refresh_token } = await signUp(site);
  await server.stop();
  await site.startServer({ SECRET_KEY, PUBLIC_URL: site.url });
  assert.equal((await site.call(readMe, { token })).status, 401);
  assert.equal((await site.call(refreshTokens, { json: { refresh_token } })).status, 200);
});

Deno.test("operations: the command for an admin makes one", async () => {
  await using site = await createSite();
  await site.startServer({ SECRET_KEY });
  await paste(site, scriptOf(site, "admin"), { stdin: `${PASSWORD}\n` });
  const { body } = await site.call(login, { json: { email: "you@example.org", password: PASSWORD } });
  assert.equal((await site.call(readMe, { token: body.access_token })).body.role, "admin");
});

Deno.test("operations: where no mail comes, the list that the page names says why", async () => {
  await using site = await createSite();
  await using receiver = await startReceiver({ tls: "none", login: { user: "latchkey", password: "right" } });
  await site.startServer({
    SECRET_KEY,
    SMTP_URL: `smtp://latchkey:wrong@127.0.0.1:${receiver.port}?tls=off`,
  });
  await paste(site, scriptOf(site, "admin"), { stdin: `${PASSWORD}\n` });
  const admin = await site.call(login, { json: { email: "you@example.org", password: PASSWORD } });
  assert.equal((await site.call(register, { json: { email: EMAIL, password: PASSWORD } })).status, 202);
  const [, path = ""] = /^\| "No mail comes" .*?`GET (\S+)`/m.exec(page) ?? [];
  const reason = await eventually("the mail was tried", async () => {
    const { body } = await site.call({ ...listMails, path }, { token: admin.body.access_token });
    return body.data[0]?.reason as string | null | undefined;
  });
  assert.match(reason, /535/);
});

Deno.test("operations: the log line is one of the server's", async () => {
  await using site = await createSite();
  const server = await site.startServer();
  const [, example = ""] = /^```json\n(.*?)^```$/ms.exec(page) ?? [];
  const line = await eventually(
    "a request is logged",
    () => /^\{.*"request".*\}$/m.exec(server.stdout())?.[0],
  );
  assert.deepEqual(Object.keys(JSON.parse(line)), Object.keys(JSON.parse(example)));
});

Deno.test("operations: every event that the page tells to look out for is one that is logged", async () => {
  const [, list = ""] = /^Worth an alarm: (.*?)\n\n/ms.exec(page) ?? [];
  const events = [...list.matchAll(/`([a-z ]+)`/g)].map(([, event = ""]) => event);
  assert(events.length > 4);
  const { stdout } = await new Deno.Command("grep", {
    args: ["-rhE", "log\\.(info|warn|error)\\(", "src"],
    cwd: REPOSITORY,
  }).output();
  const code = new TextDecoder().decode(stdout);
  for (const event of events) assert(code.includes(`("${event}"`), `${event} is not logged`);
});

Deno.test("operations: the unit starts the server, where it may write, and waits until it has ended", () => {
  const [, unit = ""] = /^```ini\n(.*?)^```$/ms.exec(page) ?? [];
  const settings = Object.fromEntries(
    unit.split("\n").filter((line) => line.includes("=")).map((line) => line.split(/=(.*)/)),
  );
  assert.deepEqual(unit.match(/^\[\w+\]$/gm), ["[Unit]", "[Service]", "[Install]"]);
  assert.match(settings.ExecStart, /^\/\S+\/deno task start$/);
  assert("start" in manifest.tasks);
  const [, store = ""] = /`KV_PATH=\/var\/lib\/(\S+)\/\w+\.kv`/.exec(page) ?? [];
  assert(settings.StateDirectory.split(" ").includes(store), store);
  // The server takes four seconds at most.
  assert(Number(settings.TimeoutStopSec) > 4);
});

Deno.test("operations: every command, operation and file that it names is there", async () => {
  await using site = await createSite();
  await assertCommands(site, page, { mainTask: "restore" });
  assert(assertOperations(page) > 3);
  await assertLinks(page, { folder: "openapi" });
});
