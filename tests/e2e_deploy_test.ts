// The entry file of Deno Deploy, run as it is run there: every permission, no flags, a store that Deno finds by itself,
// and a platform that learns of the cron over a socket, wakes it, and hears what came of it.

import assert from "node:assert/strict";
import manifest from "../deno.json" with { type: "json" };
import { readReadiness } from "../openapi/service.ts";
import { createSecrets } from "../src/secrets.ts";
import { keys } from "../src/store/keys.ts";
import { createKv } from "../src/store/kv.ts";
import { addMail } from "../src/store/mails.ts";
import { SECRET_KEY } from "./cluster.ts";
import { createSite, eventually, type Program, type Settings, spawnProgram, UNSET } from "./process.ts";
import { startReceiver } from "./smtp_receiver.ts";
import { openStore, startStoreServer, STORE_TOKEN } from "./store_server.ts";

/** From SIGINT to SIGKILL. */
const STOP_LIMIT_MS = 5_000;
const { entrypoint } = manifest.deploy.runtime;

const SETTINGS: Settings = {
  SECRET_KEY,
  PUBLIC_URL: "https://auth.example.org",
  SMTP_URL: "smtp://localhost:2525?tls=off",
};

/** What the platform sets besides; without `storeUrl` no database is attached. */
function deploy({ settings, storeUrl, port = 0, cronPort }: {
  readonly settings: Settings;
  readonly storeUrl?: string;
  readonly port?: number;
  readonly cronPort?: number;
}): Program {
  return spawnProgram([Deno.execPath(), "run", "--allow-all", entrypoint], {
    env: {
      ...UNSET,
      DENO_DEPLOY: "true",
      DENO_SERVE_ADDRESS: `tcp:127.0.0.1:${port}`,
      ...(storeUrl ? { DENO_KV_DEFAULT_PATH: storeUrl, DENO_KV_ACCESS_TOKEN: STORE_TOKEN } : {}),
      ...(cronPort ? { DENO_UNSTABLE_CRON_SOCK: `tcp:127.0.0.1:${cronPort}` } : {}),
      ...settings,
    },
  });
}

Deno.test("deploy: what is missing or does not belong there is said, and nothing is served", async (t) => {
  const { SECRET_KEY: _, ...keyless } = SETTINGS;
  const cases: { name: string; settings: Settings; complaint: RegExp }[] = [
    {
      name: "no setting",
      settings: {},
      complaint: /SECRET_KEY is missing.*SMTP_URL is missing.*PUBLIC_URL is missing/s,
    },
    { name: "no key", settings: keyless, complaint: /SECRET_KEY is missing/ },
    {
      name: "development",
      settings: { ...SETTINGS, APP_ENV: "development" },
      complaint: /APP_ENV must be production on Deno Deploy/,
    },
    {
      name: "a file that would not last",
      settings: { ...SETTINGS, KV_PATH: "./data/latchkey.kv" },
      complaint: /KV_PATH must not be set on Deno Deploy/,
    },
    {
      name: "no database",
      settings: SETTINGS,
      complaint: /^There is no store: a Deno KV database must be attached to the app/m,
    },
  ];
  for (const { name, settings, complaint } of cases) {
    await t.step(name, async () => {
      const program = deploy({ settings });
      assert.equal(await program.ended(), 1);
      assert.match(program.stderr(), complaint);
      assert.equal(program.stdout(), "");
    });
  }
});

Deno.test("deploy: it answers, and its cron does what nothing else would do there", async () => {
  await using store = await startStoreServer();
  await using receiver = await startReceiver({ tls: "none" });
  await using platform = listenForCrons();
  await using site = await createSite();
  const settings = { ...SETTINGS, SMTP_URL: `smtp://localhost:${receiver.port}?tls=off` };
  const program = deploy({ settings, storeUrl: store.url, port: site.port, cronPort: platform.port });
  try {
    assert.deepEqual(await platform.next(), {
      kind: "register",
      crons: [{ name: "mail and jobs", schedule: "* * * * *" }],
    });
    await eventually("it is ready", async () => {
      const answer = await site.call(readReadiness).catch(() => null);
      return answer?.status === 200;
    });

    // Left behind by an instance that was stopped: a mail that nobody was told of, and a deletion half done.
    const kv = createKv(await openStore(store.url), Date.now);
    const change = kv.change().set(keys.tombstone("gone"), { userId: "gone", addressHash: "gone" });
    addMail({ kv, secrets: createSecrets(SECRET_KEY), wakeOutbox() {} }, change, {
      to: "ada@example.org",
      userId: null,
      content: { kind: "password_changed", atMs: Date.now(), ip: "192.0.2.1", device: null },
    });
    assert(await change.commit());
    await platform.invoke("mail and jobs");
    assert.deepEqual(await platform.next(), { kind: "result", name: "mail and jobs", success: true });
    assert.deepEqual(receiver.received.map(({ recipients }) => recipients), [["ada@example.org"]]);
    assert.equal((await kv.find(keys.tombstone("gone"))).value, null);
    kv.close();

    const stoppedAtMs = performance.now();
    program.signal("SIGINT");
    assert.equal(await program.ended(), 0, program.stderr());
    assert(performance.now() - stoppedAtMs < STOP_LIMIT_MS);
  } finally {
    await program.kill();
  }
});

Deno.test("deploy: deno.json tells the platform what to install, build and run", async () => {
  assert((await Deno.stat(entrypoint)).isFile);
  const [, task = ""] = /^deno task (\S+)$/.exec(manifest.deploy.build) ?? [];
  assert(task in manifest.tasks, manifest.deploy.build);
  assert.equal(manifest.deploy.install, "deno install --frozen");
});

/** The platform's end of the crons: one line of JSON a message, from the one instance that connects. */
function listenForCrons(): AsyncDisposable & {
  readonly port: number;
  next(): Promise<unknown>;
  invoke(name: string): Promise<void>;
} {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connected = listener.accept();
  let unread = "";
  return {
    port: listener.addr.port,
    async next(): Promise<unknown> {
      const connection = await connected;
      const chunk = new Uint8Array(4_096);
      while (!unread.includes("\n")) {
        const length = await connection.read(chunk);
        assert(length, "The connection has ended");
        unread += new TextDecoder().decode(chunk.subarray(0, length));
      }
      const [line = "", ...rest] = unread.split("\n");
      unread = rest.join("\n");
      return JSON.parse(line);
    },
    async invoke(name): Promise<void> {
      const line = `${JSON.stringify({ kind: "invoke", name })}\n`;
      await (await connected).write(new TextEncoder().encode(line));
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      await connected.then((connection) => connection.close(), () => {});
    },
  };
}
