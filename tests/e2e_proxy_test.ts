// The nginx settings of openapi/operations.md, as they stand there, in a real nginx before a real server: slow clients are cut off
// before the server hears of them, the client's address arrives, and what the client writes about it does not.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { request } from "node:http";
import { listSessions, login } from "../openapi/sessions.ts";
import { PASSWORD, UNLIMITED } from "./harness.ts";
import { createSite, eventually, freePort, type Site } from "./process.ts";
import { connectRaw } from "./raw_connection.ts";
import { signUpAt } from "./site_person.ts";
import { readPage } from "./written_page.ts";

/** The settings count in tens of seconds; the test in one. */
const TIMEOUT = "1s";
const CUT_LIMIT_MS = 10_000;
/** Another address of loopback than the proxy's own. */
const CLIENT_ADDRESS = "127.0.0.5";
const SPOOFED_ADDRESS = "203.0.113.7";
const GET = "GET /health HTTP/1.1\r\nHost: auth.example.org\r\n";
const POST = `POST ${login.path} HTTP/1.1\r\nHost: auth.example.org\r\nContent-Type: application/json\r\n`;

Deno.test("proxy: nginx with our settings ends what is slow, and the server never hears of it", async (t) => {
  await using site = await createSite();
  const server = await site.startServer({ ...UNLIMITED, TRUST_PROXY: "1" });
  await using proxy = await startProxy(site);
  const slow: Readonly<Record<string, string>> = {
    "nothing at all": "",
    "half a header": GET,
    "half a body": `${POST}Content-Length: 100\r\n\r\n{`,
    "half a chunk": `${POST}Transfer-Encoding: chunked\r\n\r\n64\r\n{`,
  };
  for (const [name, bytes] of Object.entries(slow)) {
    await t.step(name, async () => {
      const startedAtMs = performance.now();
      using connection = await connectRaw(proxy.port);
      await connection.send(bytes);
      const answer = await connection.readAnswer();
      assert(answer === null || answer.status === 408, String(answer?.status));
      assert.equal(await connection.readAnswer(), null);
      assert(performance.now() - startedAtMs < CUT_LIMIT_MS);
    });
  }
  await t.step("a connection between two requests", async () => {
    using connection = await connectRaw(proxy.port);
    for (const id of ["first", "second"]) {
      await connection.send(`${GET}X-Request-Id: ${id}\r\n\r\n`);
      const answer = await connection.readAnswer();
      assert.deepEqual([answer?.status, answer?.headers.get("x-request-id")], [200, id]);
    }
    assert.equal(await connection.readAnswer(), null);
  });
  assert(!server.stdout().includes(login.path), server.stdout());
});

Deno.test("proxy: bodies up to its limit get the server's answer, larger ones its own", async () => {
  await using site = await createSite();
  await site.startServer({ ...UNLIMITED, TRUST_PROXY: "1" });
  await using proxy = await startProxy(site);
  const post = async (bytes: number): Promise<[number, string | null]> => {
    const headers = { "content-type": "application/json" };
    const body = " ".repeat(bytes);
    const response = await fetch(`${proxy.url}${login.path}`, { method: "POST", headers, body });
    await response.body?.cancel();
    return [response.status, response.headers.get("content-type")];
  };
  assert.deepEqual(await post(60_000), [400, "application/problem+json"]);
  assert.deepEqual(await post(100_000), [413, "application/problem+json"]);
  assert.deepEqual(await post(200_000), [413, "text/html"]);
});

Deno.test("proxy: the server sees the client's address, whatever the client says of it", async () => {
  await using site = await createSite();
  await site.startServer({ ...UNLIMITED, TRUST_PROXY: "1" });
  await using proxy = await startProxy(site);
  const { email } = await signUpAt(site);
  const answer = await postFrom(CLIENT_ADDRESS, `${proxy.url}${login.path}`, {
    email,
    password: PASSWORD,
  });
  const { body } = await site.call(listSessions, { token: answer.access_token });
  const addresses = body.data.map(({ ip }: { readonly ip: string }) => ip);
  assert.deepEqual(addresses.sort(), ["127.0.0.1", CLIENT_ADDRESS]);
});

interface Proxy extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
}

/** nginx in the foreground, with nothing but the page's settings but for names, TLS and the length of a wait. */
async function startProxy(site: Site): Promise<Proxy> {
  const port = freePort();
  const folder = `${site.folder}/nginx`;
  await Deno.mkdir(folder);
  const page = await readPage("openapi/operations.md");
  const settings = /^```nginx\n(.*?)^```$/ms.exec(page)?.[1]
    ?.replace("127.0.0.1:8000", `127.0.0.1:${site.port}`)
    .replace("listen 443 ssl", `listen 127.0.0.1:${port}`)
    .replaceAll(/^ *ssl_.*$/gm, "")
    .replaceAll(/(?<=_timeout )\d+s/g, TIMEOUT);
  await Deno.writeTextFile(`${folder}/nginx.conf`, wrap(settings ?? ""));
  const child = new Deno.Command(await findNginx(), {
    args: ["-e", "stderr", "-p", folder, "-c", "nginx.conf"],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const complaints = new Response(child.stderr).text();
  const stop = async (): Promise<string> => {
    // Its workers end with it; they would not if it were killed.
    child.kill("SIGTERM");
    await child.status;
    return await complaints;
  };
  let isOver = false;
  child.status.then(() => isOver = true);
  await eventually("nginx answers", async () => {
    if (isOver) assert.fail(`nginx ended: ${await complaints}`);
    const response = await fetch(`http://127.0.0.1:${port}/health`).catch(() => null);
    await response?.body?.cancel();
    return response?.ok;
  });
  return { port, url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: async () => void await stop() };
}

/** What stands around a site's settings, with every file that nginx writes in its own folder. */
function wrap(settings: string): string {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `
    daemon off;
    pid nginx.pid;
    ${Deno.uid() === 0 ? "user root;" : ""}
    worker_processes 1;
    events { worker_connections 512; }
    http {
      access_log off;
      ${paths.map((path) => `${path}_temp_path ${path};`).join("\n")}
      ${settings}
    }`;
}

/** Debian keeps it where only root looks. */
async function findNginx(): Promise<string> {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  for (const folder of folders) {
    const path = `${folder}/nginx`;
    if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  throw new Error("This test needs nginx: apt-get install nginx");
}

/** Posts JSON from another address, with a header that names a third one. */
function postFrom(
  localAddress: string,
  url: string,
  json: unknown,
): Promise<{ readonly access_token: string }> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "x-forwarded-for": SPOOFED_ADDRESS };
    const sent = request(url, { method: "POST", localAddress, headers, agent: false }, (response) => {
      const chunks: Uint8Array[] = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve(JSON.parse(Buffer.concat(chunks).toString())));
    });
    sent.on("error", reject);
    sent.end(JSON.stringify(json));
  });
}
