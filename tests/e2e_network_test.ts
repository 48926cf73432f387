// What the addresses of a process are worth: a program with the flags of the server, or of a tool, tries to get out; and
// a store that sends the server elsewhere is not followed.

import assert from "node:assert/strict";
import { runFlags } from "../src/cli/launch.ts";
import type { Attempt } from "./network_probe.ts";
import { createSite, freePort, REPOSITORY, type Settings, spawnProgram } from "./process.ts";
import { STORE_TOKEN } from "./store_server.ts";

const DATABASE_ID = "00000000-0000-0000-0000-000000000000";

Deno.test("network: what runs in the server reaches its clients and the mail server, and nothing else", async () => {
  using mail = listen();
  using other = listen();
  const port = freePort();
  const settings = {
    HOST: "127.0.0.1",
    PORT: String(port),
    SMTP_URL: `smtp://localhost:${mail.addr.port}`,
  };
  const cases: (Attempt & { readonly outcome: string })[] = [
    { how: "listen", host: "127.0.0.1", port, outcome: "open" },
    { how: "mail", host: "localhost", port: mail.addr.port, outcome: "open" },
    { how: "mail", host: "localhost", port: other.addr.port, outcome: "getaddrinfo EPERM localhost" },
    { how: "connect", host: "localhost", port: mail.addr.port, outcome: "open" },
    // Who lent the mail server its name does not lend it to all that is at this address.
    { how: "connect", host: "127.0.0.1", port: mail.addr.port, outcome: "NotCapable" },
    { how: "connect", host: "localhost", port: other.addr.port, outcome: "NotCapable" },
    { how: "connect", host: "169.254.169.254", port: 80, outcome: "NotCapable" },
    { how: "fetch", host: "127.0.0.1", port: other.addr.port, outcome: "NotCapable" },
    { how: "resolve", host: "example.org", port: 0, outcome: "NotCapable" },
    { how: "listen", host: "127.0.0.1", port: 0, outcome: "NotCapable" },
    { how: "listen", host: "0.0.0.0", port, outcome: "NotCapable" },
    { how: "thread", host: "localhost", port: mail.addr.port, outcome: "NotCapable" },
  ];
  const outcomes = await attemptAll("src/main.ts", settings, cases);
  assert.deepEqual(cases.map((attempt, index) => ({ ...attempt, outcome: outcomes[index] })), cases);
});

Deno.test("network: what runs in a tool on a file reaches nobody", async () => {
  using mail = listen();
  const { port } = mail.addr;
  const attempts: Attempt[] = [
    { how: "mail", host: "localhost", port },
    { how: "connect", host: "127.0.0.1", port },
    { how: "fetch", host: "127.0.0.1", port },
    { how: "listen", host: "127.0.0.1", port: 0 },
  ];
  const settings = { SMTP_URL: `smtp://localhost:${port}` };
  const outcomes = await attemptAll("src/cli/admin_create.ts", settings, attempts);
  assert.deepEqual(outcomes, ["getaddrinfo EPERM localhost", "NotCapable", "NotCapable", "NotCapable"]);
});

Deno.test("network: a store that says that its data is elsewhere is not followed there", async () => {
  await using site = await createSite();
  let asked = 0;
  await using elsewhere = serve(() => {
    asked++;
    return new Response();
  });
  await using store = serve(() =>
    Response.json({
      version: 2,
      databaseId: DATABASE_ID,
      endpoints: [{ url: `${elsewhere.url}/v2`, consistency: "strong" }],
      token: STORE_TOKEN,
      expiresAt: new Date(Date.now() + 60_000).toISOString(),
    })
  );
  const server = site.spawn("start", {
    settings: { KV_PATH: store.url, DENO_KV_ACCESS_TOKEN: STORE_TOKEN },
  });
  assert.equal(await server.ended(), 1);
  assert.equal(
    server.stderr(),
    `The store ${store.url} cannot be opened: it says that its data is at another address, and only its own may be ` +
      "asked\n",
  );
  assert.equal(asked, 0);
});

/** What comes of each, in a process that may do what `program` may under these settings. */
async function attemptAll(
  program: string,
  settings: Settings,
  attempts: readonly Attempt[],
): Promise<string[]> {
  const flags = runFlags(settings, [program]);
  const probe = spawnProgram([
    Deno.execPath(),
    "run",
    ...flags,
    `${REPOSITORY}tests/network_probe.ts`,
    JSON.stringify(attempts),
  ]);
  assert.equal(await probe.ended(), 0, probe.stderr());
  return JSON.parse(probe.stdout());
}

/** Takes connections on a free port of loopback, and says nothing. */
function listen(): Deno.TcpListener {
  return Deno.listen({ hostname: "127.0.0.1", port: 0 });
}

function serve(answer: () => Response): AsyncDisposable & { readonly url: string } {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    await request.body?.cancel();
    return answer();
  });
  return { url: `http://127.0.0.1:${server.addr.port}`, [Symbol.asyncDispose]: () => server.shutdown() };
}
