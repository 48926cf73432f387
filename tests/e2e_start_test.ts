// Starting and stopping as an operator sees it: what is printed, what is refused and in how many words, what is left
// on the disk, and with which permissions it runs.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { register } from "../openapi/registration.ts";
import { readDocs, readHealth, readReadiness } from "../openapi/service.ts";
import { login } from "../openapi/sessions.ts";
import { runFlags } from "../src/cli/launch.ts";
import { PASSWORD, UNLIMITED } from "./harness.ts";
import { createSite, type Program, REPOSITORY, type Settings } from "./process.ts";

const EMAIL = "ada@example.org";
const SECRET_KEY = "7Vb2xk0Qm9ZtRrY4sWcL1pHdJ8gNfEuA";
const WRONG_KEY =
  "SECRET_KEY is not the one that this store was made with: set that one again, or restore the " +
  "backup that belongs to this one\n";
/** Deno Deploy kills after 5 s; the server gives what is in flight 3.5 s of them. */
const STOP_LIMIT_MS = 5_000;

Deno.test("start: a fresh copy needs no setting, and says where everything is", async () => {
  await using copy = await copyRepository();
  await using site = await createSite({ cwd: copy.folder });
  const server = await site.startServer({ KV_PATH: "" });
  const banner = server.stdout();
  for (
    const line of [
      `API        http://localhost:${site.port}/api/v1`,
      `Docs       http://localhost:${site.port}/docs`,
      `Mailbox    http://localhost:${site.port}/dev/mailbox`,
      "Admin      deno task admin:create --email you@example.org",
    ]
  ) assert(banner.includes(line), `${line} is missing:\n${banner}`);
  assert(banner.indexOf("Docs") < banner.indexOf("API"), "What a person opens comes first");
  const [, url = "", body = ""] = /^ *curl (\S+) .*'(\{.+\})'$/m.exec(banner) ?? [];
  assert.equal(url, `http://localhost:${site.port}${register.path}`, banner);
  assert.equal((await site.call(register, { json: JSON.parse(body) })).status, 202);
  assert.equal((await site.call(readReadiness)).status, 200);
  assert.equal((await site.call(readDocs)).status, 200);

  const data = `${copy.folder}/data`;
  assert.equal(modeOf(data), 0o700);
  assert.deepEqual(namesIn(data).filter((name) => modeOf(`${data}/${name}`) !== 0o600), []);
  assert.equal(await server.stop(), 0);
  assert.deepEqual(namesIn(data), ["latchkey.kv", "latchkey.kv.lock", "latchkey.kv.secret"]);
});

Deno.test("start: production lists every fault of its settings at once", async () => {
  await using site = await createSite();
  const server = site.spawn("start", {
    settings: { APP_ENV: "production", PORT: "abc", THROTTLE_LOGIN: "0/1m", OTP_TTL: "xyz" },
  });
  assert.equal(await server.ended(), 1);
  const [title, ...faults] = server.stderr().trimEnd().split("\n");
  assert.equal(title, "Latchkey cannot start with these settings:");
  assert.deepEqual(
    faults.map((fault) => /^ {2}([A-Z_]+) (must be|is missing)/.exec(fault)?.[1]).sort(),
    ["OTP_TTL", "PORT", "SECRET_KEY", "SMTP_URL", "THROTTLE_LOGIN"],
  );
  assert.equal(server.stdout(), "");
});

Deno.test("start: production that nobody else reaches starts, and says so", async () => {
  await using site = await createSite();
  const settings = { APP_ENV: "production", SECRET_KEY, SMTP_URL: "smtp://localhost:1?tls=off" };
  const server = await site.startServer(settings);
  const url = `http://localhost:${site.port}`;
  assert(server.stdout().startsWith(`Latchkey serves ${url} on port ${site.port}\n`), server.stdout());
  assert.equal(
    server.stderr(),
    `Warning: PUBLIC_URL is ${url}, which nobody else reaches: set it to the public address\n`,
  );
});

Deno.test("start: development with a public address says that everybody reads the codes, unless mails leave", async () => {
  await using site = await createSite();
  const PUBLIC_URL = "https://auth.example.org";
  const open = await site.startServer({ PUBLIC_URL });
  assert.equal(
    open.stderr(),
    `Warning: APP_ENV is development, yet PUBLIC_URL is ${PUBLIC_URL}: whoever reaches this server reads every mailed ` +
      "code at /dev/mailbox. Set APP_ENV=production and SMTP_URL\n",
  );
  assert.equal(await open.stop(), 0);
  const closed = await site.startServer({ PUBLIC_URL, SMTP_URL: "smtp://localhost:1?tls=off" });
  assert.equal(
    closed.stderr(),
    `Warning: APP_ENV is development, yet PUBLIC_URL is ${PUBLIC_URL}: set APP_ENV=production\n`,
  );
});

Deno.test("start: a setting that does not work ends it with status 1 and one line", async (t) => {
  await using site = await createSite();
  await using other = await createSite();
  const takenPort = String(other.port);
  const running = await other.startServer();
  await Deno.mkdir(`${site.folder}/folder`);

  const cases: { name: string; settings: Settings; line: RegExp; isUnderTitle?: boolean }[] = [
    {
      name: "weak secret",
      settings: { SECRET_KEY: "secret".repeat(6) },
      line: /^ {2}SECRET_KEY can be guessed/,
      isUnderTitle: true,
    },
    {
      name: "short secret",
      settings: { SECRET_KEY: "7Vb2xk0Qm9" },
      line: /^ {2}SECRET_KEY must have at least 32 bytes/,
      isUnderTitle: true,
    },
    {
      name: "port taken",
      settings: { PORT: takenPort },
      line: /^Port \d+ is taken: stop what listens there/,
    },
    {
      name: "address of another machine",
      settings: { HOST: "192.0.2.1" },
      line: /^Cannot listen on 192\.0\.2\.1/,
    },
    {
      name: "host without address",
      settings: { HOST: "nowhere.invalid" },
      line: /^Cannot listen on nowhere/,
    },
    {
      name: "store of another server",
      settings: { KV_PATH: other.storePath },
      line: /^Another Latchkey server/,
    },
    {
      name: "store is a folder",
      settings: { KV_PATH: `${site.folder}/folder` },
      line:
        /^The store .* cannot be made: .*\. KV_PATH must name a file in a folder that this user may write to$/,
    },
    {
      name: "store where Deno lets nobody write",
      settings: { KV_PATH: "/proc/latchkey.kv" },
      line: /^The store \S+ cannot be made: that is no place for a file\. KV_PATH must name a file/,
    },
    {
      name: "folder of the store cannot be made",
      settings: { KV_PATH: "/dev/null/latchkey.kv" },
      line: /^The store \/dev\/null\/latchkey\.kv cannot be made/,
    },
  ];
  for (const { name, settings, line, isUnderTitle = false } of cases) {
    await t.step(name, async () => {
      const server = site.spawn("start", { settings });
      assert.equal(await server.ended(), 1);
      const lines = server.stderr().trimEnd().split("\n");
      assert.equal(lines.length, isUnderTitle ? 2 : 1, server.stderr());
      assert.match(lines.at(-1) ?? "", line);
      assert.equal(server.stdout(), "");
    });
  }
  assert.equal((await other.call(readReadiness)).status, 200, "The first server is still well");
  assert.equal(await running.stop(), 0);
});

Deno.test("start: another SECRET_KEY than the store's is refused", async () => {
  await using site = await createSite();
  const first = await site.startServer({ SECRET_KEY });
  assert.equal(await first.stop(), 0);
  const second = site.spawn("start", { settings: { SECRET_KEY: SECRET_KEY.toLowerCase() } });
  assert.equal(await second.ended(), 1);
  assert.equal(second.stderr(), WRONG_KEY);
  await site.startServer({ SECRET_KEY });
});

Deno.test("start: a damaged store is refused, and left as it is", async () => {
  await using site = await createSite();
  const garbage = crypto.getRandomValues(new Uint8Array(8_192));
  await Deno.mkdir(`${site.folder}/data`);
  await Deno.writeFile(site.storePath, garbage);
  const server = site.spawn("start");
  assert.equal(await server.ended(), 1);
  assert.equal(
    server.stderr(),
    `The store ${site.storePath} cannot be opened: file is not a database. ` +
      "Restore a backup, or let KV_PATH name another file\n",
  );
  assert.deepEqual(await Deno.readFile(site.storePath), garbage);
  // It may be any file of the operator's: nothing is put beside it.
  assert.deepEqual(namesIn(`${site.folder}/data`), ["latchkey.kv"]);
});

Deno.test("start: a store that vanished or is empty is not silently made anew", async (t) => {
  const losses: { name: string; lose: (path: string) => Promise<void> }[] = [
    { name: "removed", lose: (path) => Deno.remove(path) },
    { name: "emptied", lose: (path) => Deno.truncate(path) },
  ];
  for (const { name, lose } of losses) {
    await t.step(name, async () => {
      await using site = await createSite();
      const first = await site.startServer();
      assert.equal(await first.stop(), 0);
      await lose(site.storePath);
      const sentence = `The store ${site.storePath} is gone: restore a backup, or remove ` +
        `${site.storePath}.lock to start with an empty one\n`;

      const second = site.spawn("start");
      assert.equal(await second.ended(), 1);
      assert.equal(second.stderr(), sentence);
      const tool = site.spawn("admin:create", {
        args: ["--email", EMAIL, "--password-stdin"],
        stdin: PASSWORD,
      });
      assert.equal(await tool.ended(), 1);
      assert.equal(tool.stderr(), sentence);

      await Deno.remove(`${site.storePath}.lock`);
      await Deno.remove(`${site.storePath}.secret`);
      await site.startServer();
    });
  }
});

Deno.test("start: a store that is removed while it runs ends the server within seconds", async () => {
  await using site = await createSite();
  const server = await site.startServer();
  await Deno.remove(site.storePath);
  assert.equal(await server.ended(), 1);
  assert.equal(server.stderr(), `The store ${site.storePath} was removed while the server ran\n`);
});

Deno.test("stop: requests in flight are answered, and the store is closed", async (t) => {
  const stops: { name: string; stop: (server: Program) => void }[] = [
    { name: "SIGTERM from a supervisor", stop: (server) => server.signal("SIGTERM") },
    { name: "SIGINT from a terminal", stop: (server) => server.signal("SIGINT", { isToAll: true }) },
  ];
  for (const { name, stop } of stops) {
    await t.step(name, async () => {
      await using site = await createSite();
      const server = await site.startServer(UNLIMITED);
      const body = JSON.stringify({ email: EMAIL, password: PASSWORD });
      const connections: Deno.TcpConn[] = [];
      // Each costs a hash, and waits for those before it.
      for (let sent = 0; sent < 20; sent++) connections.push(await sendLogin(site.port, { body }));
      // The server takes connections in turn: once this one is answered, the others are under way.
      assert.equal((await site.call(readHealth)).status, 200);
      const stoppedAtMs = performance.now();
      stop(server);
      for (const { readable } of connections) {
        assert.match(await new Response(readable).text(), /^HTTP\/1\.1 401 /);
      }
      assert.equal(await server.ended(), 0, server.stderr());
      assert(performance.now() - stoppedAtMs < STOP_LIMIT_MS);
      const names = namesIn(`${site.folder}/data`);
      assert.deepEqual(names, ["latchkey.kv", "latchkey.kv.lock", "latchkey.kv.secret"]);
    });
  }
});

Deno.test("stop: a request that never ends does not hold it up", async () => {
  await using site = await createSite();
  const server = await site.startServer();
  using _unfinished = await sendLogin(site.port, { body: "{", lengthBytes: 100 });
  assert.equal((await site.call(readHealth)).status, 200);
  const stoppedAtMs = performance.now();
  assert.equal(await server.stop(), 0);
  assert(performance.now() - stoppedAtMs < STOP_LIMIT_MS);
});

Deno.test("stop: when the task alone is killed the server ends with it, and the next one starts at once", async () => {
  await using site = await createSite();
  const killed = await site.startServer();
  killed.signal("SIGKILL");
  await killed.ended();
  await site.startServer();
  assert.equal((await site.call(readHealth)).status, 200);
});

Deno.test("permissions: the server writes to the folder of its store only", async (t) => {
  const cases: { name: string; env: Settings; folder: string }[] = [
    { name: "no setting", env: {}, folder: "./data" },
    { name: "empty setting", env: { KV_PATH: "" }, folder: "./data" },
    { name: "file", env: { KV_PATH: "/var/lib/latchkey/store.kv" }, folder: "/var/lib/latchkey" },
    { name: "file in this folder", env: { KV_PATH: "store.kv" }, folder: "." },
    { name: "KV Connect", env: { KV_PATH: "https://kv.example.org" }, folder: "./data" },
  ];
  for (const { name, env, folder } of cases) {
    await t.step(name, () => {
      const written = runFlags(env).filter((flag) => flag.startsWith("--allow-write"));
      assert.deepEqual(written, [`--allow-write=${folder}`]);
    });
  }
});

Deno.test("permissions: no program runs others, asks, or gets anything whole", () => {
  const tools = namesIn(`${REPOSITORY}src/cli`).map((name) => `src/cli/${name}`);
  for (const program of ["src/main.ts", ...tools]) {
    const flags = runFlags({}, [program]);
    assert(flags.includes("--no-prompt"), program);
    const broad = flags.filter((flag) => /^(-A|--allow-run\b.*|--allow-[a-z]+)$/.test(flag));
    assert.deepEqual(broad, [], program);
  }
});

/** Sends a login over a connection of its own, which the answer will close. */
async function sendLogin(
  port: number,
  { body, lengthBytes = body.length }: { readonly body: string; readonly lengthBytes?: number },
): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const head = [
    `POST ${login.path} HTTP/1.1`,
    "Host: localhost",
    "Connection: close",
    "Content-Type: application/json",
    `Content-Length: ${lengthBytes}`,
  ];
  await connection.write(new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n${body}`));
  return connection;
}

/** What a fresh clone has that the server needs; and the viewer if it is here, so that nothing is fetched. */
async function copyRepository(): Promise<AsyncDisposable & { readonly folder: string }> {
  const folder = await Deno.makeTempDir({ prefix: "latchkey_copy_" });
  const entries = ["deno.json", "deno.lock", "src", "openapi", ".viewer"];
  const present = entries.filter((entry) => existsSync(`${REPOSITORY}${entry}`));
  const { success } = await new Deno.Command("cp", { args: ["-R", ...present, folder], cwd: REPOSITORY })
    .output();
  assert(success);
  return { folder, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

function modeOf(path: string): number {
  return (Deno.statSync(path).mode ?? 0) & 0o777;
}
