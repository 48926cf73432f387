// The doctor: silent praise where all is well, and for each thing that is not a line that says what to do.

import assert from "node:assert/strict";
import { readConfig } from "../src/config.ts";
import { examineSettings } from "../src/doctor/settings.ts";
import { startReceiver } from "./smtp_receiver.ts";
import { createSite, freePort, type Settings, type Site } from "./process.ts";
import { requireTask, runTask } from "./tool_run.ts";

const SECRET_KEY = "7Vb2xk0Qm9ZtRrY4sWcL1pHdJ8gNfEuA";
const LOGIN = { user: "latchkey", password: "Sesame-Street-5" };

Deno.test("doctor beside a running server: all is well, and a test mail arrives", async () => {
  await using site = await createSite();
  await using receiver = await startReceiver({ tls: "none", login: LOGIN });
  const settings = {
    PUBLIC_URL: site.url,
    SMTP_URL: `smtp://${LOGIN.user}:${LOGIN.password}@127.0.0.1:${receiver.port}?tls=off`,
  };
  await site.startServer(settings);
  const printed = await requireTask(site, "doctor", ["--send-test-mail", "ops@example.org"], { settings });
  const lines = printed.trimEnd().split("\n");
  assert.equal(lines.pop(), "All is well.");
  const topics = lines.map((line) => /^ok {3}([a-z ]+): ./.exec(line)?.[1] ?? line);
  assert.deepEqual(topics, [
    "settings",
    "files",
    "disk",
    "store",
    "layout",
    "keys",
    "clock",
    "hasher",
    "mail",
    "test mail",
    "address",
    "proxy",
  ]);
  assert.match(printed, /^ok {3}store: .*takes writes, [\d.]+ ms each$/m);
  assert.match(printed, /^ok {3}hasher: native, [\d.]+ ms a hash, \d+ at once$/m);
  assert.match(printed, /^ok {3}mail: 127\.0\.0\.1, port \d+: answers, no TLS, login accepted/m);
  assert.match(printed, /^ok {3}address: http:\S+ leads to this server$/m);
  assert(!printed.includes(LOGIN.password));
  assert.deepEqual(receiver.received.map(({ recipients, user }) => [recipients, user]), [
    [["ops@example.org"], LOGIN.user],
  ]);
});

Deno.test("doctor on a fresh machine: nothing is wrong, and nothing is made", async () => {
  await using site = await createSite();
  const printed = await requireTask(site, "doctor");
  assert.match(printed, /^ok {3}store: none yet/m);
  assert.match(printed, /^ok {3}mail: no SMTP_URL: mails go to \S+\/dev\/mailbox$/m);
  assert.deepEqual([...Deno.readDirSync(site.folder)], []);
});

Deno.test("doctor says of each fault what to do", async (t) => {
  await using site = await createSite();
  await using receiver = await startReceiver({ tls: "none", login: LOGIN });
  await requireTask(site, "keys:rotate", [], { settings: { SECRET_KEY } });
  const deadPort = freePort();

  await t.step("settings that cannot be read: all of them, and the rest not yet", async () => {
    const { faults, stderr } = await examine(site, { PORT: "x", APP_ENV: "production" });
    assert.deepEqual(faults.map((line) => line.split(" ")[1]), ["PORT", "SECRET_KEY", "SMTP_URL"]);
    assert.match(stderr, /fix these, then ask again/);
  });
  await t.step("modes, mail, a key of another store, a proxy that is not trusted", async () => {
    await Deno.chmod(site.storePath, 0o644);
    const { faults, stderr } = await examine(site, {
      SECRET_KEY: "1Xo8vT5gQe2RnZyK7mBpWcJ4hUdLsAfE",
      SMTP_URL: `smtp://127.0.0.1:${deadPort}?tls=off`,
      PUBLIC_URL: "https://auth.example.invalid",
    });
    assertEach(faults, [
      /^settings: APP_ENV is development, yet PUBLIC_URL is https:.*set APP_ENV=production/,
      /^files: \S+latchkey\.kv has mode 644, .*`chmod 600 \S+latchkey\.kv`/,
      /^keys: SECRET_KEY is not the one that this store was made with: set that one again, or restore/,
      /^mail: 127\.0\.0\.1, port \d+: .*ECONNREFUSED.*See SMTP_URL/,
      /^proxy: .*TRUST_PROXY is 0.*Set TRUST_PROXY/,
    ]);
    assert.equal(stderr, "5 things to fix.\n");
    await Deno.chmod(site.storePath, 0o600);
  });
  await t.step("a wrong login, and no test mail", async () => {
    const { faults } = await examine(site, {
      SECRET_KEY,
      SMTP_URL: `smtp://latchkey:wrong-word@127.0.0.1:${receiver.port}?tls=off`,
    }, ["--send-test-mail", "ops@example.org"]);
    assertEach(faults, [
      /^mail: 127\.0\.0\.1, port \d+: Invalid login: 535 Wrong user or password\. See SMTP_URL/,
    ]);
    assert.deepEqual(receiver.received, []);
  });
  await t.step("a mail server without the TLS that the settings ask for", async () => {
    const { faults } = await examine(site, { SECRET_KEY, SMTP_URL: `smtp://127.0.0.1:${receiver.port}` });
    assertEach(faults, [/^mail: .*STARTTLS.*See SMTP_URL/i]);
  });
  await t.step("a damaged store", async () => {
    await Deno.writeTextFile(site.storePath, "This is no store.\n".repeat(100));
    const { faults } = await examine(site, { SECRET_KEY });
    assertEach(faults, [/^store: The store \S+ cannot be opened: .*not a database/]);
  });
  await t.step("a store that is gone", async () => {
    await Deno.writeTextFile(`${site.storePath}.lock`, "There was one.\n");
    await Deno.remove(site.storePath);
    const { faults } = await examine(site, { SECRET_KEY });
    assertEach(faults, [/^files: .*latchkey\.kv\.lock/, /^store: The store \S+ is gone: restore a backup/]);
  });
  await t.step("no address to send to", async () => {
    const { status, stderr } = await runTask(site, "doctor", ["--send-test-mail", "nobody"]);
    assert.deepEqual([status, stderr], [1, "--send-test-mail needs an email address\n"]);
  });
});

Deno.test("doctor: durations that cancel each other are told, and what each is good for", () => {
  const toldOf = (env: Record<string, string>): string[] => {
    const read = readConfig(env);
    assert("config" in read, JSON.stringify(read));
    return examineSettings(read.config, "").filter(({ isWell }) => !isWell).map(({ text }) => text);
  };
  const cases: { env: Record<string, string>; told: RegExp | null }[] = [
    { env: {}, told: null },
    { env: { REFRESH_GRACE: "60s" }, told: null },
    { env: { REFRESH_GRACE: "61s" }, told: /^REFRESH_GRACE is over a minute/ },
    { env: { REFRESH_GRACE: "20s", REFRESH_TOKEN_TTL: "19s" }, told: /or over REFRESH_TOKEN_TTL/ },
    { env: { OTP_RESEND_AFTER: "1m", OTP_TTL: "1m" }, told: null },
    { env: { OTP_RESEND_AFTER: "2m", OTP_TTL: "1m" }, told: /^OTP_RESEND_AFTER is over OTP_TTL/ },
    { env: { AUDIT_RETENTION: "1d" }, told: null },
    { env: { AUDIT_RETENTION: "23h" }, told: /^AUDIT_RETENTION is under a day/ },
  ];
  for (const { env, told } of cases) {
    const texts = toldOf(env);
    assert.equal(texts.length, told ? 1 : 0, JSON.stringify(env));
    if (told) assert.match(texts[0] ?? "", told);
  }
});

Deno.test("doctor tells a server that PUBLIC_URL does not lead to from one with another store", async (t) => {
  await using site = await createSite();
  await using other = await createSite();
  await Promise.all([site.startServer({ SECRET_KEY }), other.startServer({ SECRET_KEY })]);
  await t.step("another store", async () => {
    const { faults } = await examine(site, { SECRET_KEY, PUBLIC_URL: other.url });
    assertEach(faults, [/^address: \S+ leads to a server with another store: see PUBLIC_URL and KV_PATH$/]);
  });
  await t.step("no store to tell by", async () => {
    const settings = { PUBLIC_URL: other.url, KV_PATH: `${site.folder}/none/latchkey.kv` };
    const printed = await requireTask(site, "doctor", [], { settings });
    assert.match(printed, /^ok {3}address: a Latchkey answers at \S+; without a store there is no telling/m);
  });
  await t.step("nothing there", async () => {
    const { faults } = await examine(site, { SECRET_KEY, PUBLIC_URL: `http://127.0.0.1:${freePort()}` });
    assertEach(faults, [/^address: the server runs, but \S+ does not lead to it: /]);
  });
});

/** Runs the doctor where something is wrong. `faults` are its lines to fix, without the word. */
async function examine(
  site: Site,
  settings: Settings,
  args: readonly string[] = [],
): Promise<{ readonly faults: string[]; readonly stderr: string }> {
  const { status, stdout, stderr } = await runTask(site, "doctor", args, { settings });
  assert.equal(status, 1, stdout);
  assert.doesNotMatch(stdout, /wrong-word|All is well/);
  const lines = stdout.trimEnd().split("\n");
  for (const line of lines) assert.match(line, /^(ok {3}|FIX {2})\S/);
  return { faults: lines.filter((line) => line.startsWith("FIX")).map((line) => line.slice(5)), stderr };
}

function assertEach(faults: readonly string[], expected: readonly RegExp[]): void {
  assert.equal(faults.length, expected.length, faults.join("\n"));
  for (const [index, pattern] of expected.entries()) assert.match(faults[index] ?? "", pattern);
}
