// Clients that take their time: half a header, half a body, nothing at all, or an answer that they do not read. They
// cost memory by a formula, and others are served as fast as before. What Deno's server cannot end, an idle connection
// and a header that stays half, is the proxy's (e2e_proxy_test.ts).

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { readDocument, readHealth } from "../openapi/service.ts";
import { login } from "../openapi/sessions.ts";
import { UNLIMITED } from "./harness.ts";
import { createSite, eventually, type Site } from "./process.ts";
import { connectRaw, type RawConnection } from "./raw_connection.ts";
import { residentBytesOf } from "./server_memory.ts";
import { shellLimit } from "./shell_limit.ts";
import { signUpAt } from "./site_person.ts";

/** Of each kind that sends, and of the one that does not read: 500 in all. */
const SENDERS = 115;
const READERS = 40;
const DRIP_INTERVAL_MS = 500;
const WINDOWS = 3;
const REQUESTS_A_WINDOW = 200;
const P99_RATIO_MAX = 4;
/** As in src/body.ts; the test's own clock and the machine may be late. */
const BODY_DEADLINE_MS = 10_000;
const LATE_MS = 10_000;

const KIB = 1024;
/** What a connection may cost: a header or body on its way, 64 KiB at most, and the runtime's buffers for it. */
const SENDER_BYTES_MAX = 384 * KIB;
/** One that does not read: the document it asked for, the largest of the server but the viewer, and the same buffers. */
const READER_BYTES_MAX = 512 * KIB + SENDER_BYTES_MAX;
/** What the server needs anyway, to answer the others meanwhile. */
const WORKING_BYTES_MAX = 64 * KIB * KIB;
const BOUND_BYTES = 4 * SENDERS * SENDER_BYTES_MAX + READERS * READER_BYTES_MAX + WORKING_BYTES_MAX;

const HOST = "Host: localhost\r\n";
const POST = `POST ${login.path} HTTP/1.1\r\n${HOST}Content-Type: application/json\r\n`;
/** How each kind begins, and what it adds to that now and then. */
const kinds = {
  "idle": { count: SENDERS, begin: "", drip: "" },
  "half a header": {
    count: SENDERS,
    begin: `GET /health HTTP/1.1\r\n${HOST}X-A: ${"a".repeat(32 * KIB)}`,
    drip: "a",
  },
  "a small half body": { count: SENDERS, begin: `${POST}Content-Length: 60000\r\n\r\n{`, drip: " " },
  "a large half body": {
    count: SENDERS,
    begin: `${POST}Transfer-Encoding: chunked\r\n\r\nfff0\r\n${" ".repeat(60_000)}`,
    drip: " ",
  },
  "unread answers": {
    count: READERS,
    begin: `GET ${readDocument.path} HTTP/1.1\r\n${HOST}\r\n`.repeat(10),
    drip: "",
  },
} as const;

Deno.test("slow clients: 500 of them cost memory by a formula, delay nobody, and every half body gets its answer", async (t) => {
  await using site = await createSite();
  const server = await site.startServer(UNLIMITED);
  const { accessToken: token } = await signUpAt(site);
  const baseMs = await measureP99(site, token);
  const beforeBytes = await residentBytesOf(server);

  const startedAtMs = performance.now();
  using clients = await connectAll(site);
  const slowMs = await measureP99(site, token);
  const grownBytes = await residentBytesOf(server) - beforeBytes;
  const ratio = `${(slowMs / baseMs).toFixed(2)} times ${baseMs.toFixed(2)} ms`;
  await t.step(`p99 of GET /me is ${ratio}, at most ${P99_RATIO_MAX}`, () => {
    assert(slowMs < baseMs * P99_RATIO_MAX);
  });
  await t.step(`memory grows by ${mib(grownBytes)} MiB, at most ${mib(BOUND_BYTES)}`, () => {
    assert(grownBytes < BOUND_BYTES);
  });

  for (const connection of [...clients.of("a small half body"), ...clients.of("a large half body")]) {
    const answer = await connection.readAnswer();
    assert(answer);
    assert.equal(answer.status, 400, answer.body);
    assert.equal(JSON.parse(answer.body).code, "body_malformed");
  }
  const tookMs = performance.now() - startedAtMs;
  assert(tookMs >= BODY_DEADLINE_MS && tookMs < BODY_DEADLINE_MS + LATE_MS, `${tookMs} ms`);
  assert(!server.stderr().includes('"level":"ERROR"'), server.stderr());
});

Deno.test("slow clients: more connections than the process may open are dropped, and it listens on", async () => {
  await using site = await createSite();
  const server = await site.startServer(UNLIMITED, { under: shellLimit("-n 200") });
  const { accessToken: token } = await signUpAt(site);
  const connections: RawConnection[] = [];
  try {
    await eventually("it has too many", async () => {
      // They may be refused in the moment in which nobody listens.
      const more = await Promise.allSettled(Array.from({ length: 20 }, () => connectRaw(site.port)));
      for (const result of more) if (result.status === "fulfilled") connections.push(result.value);
      return server.stderr().includes('"connections dropped"');
    });
    // While they still hold on to what is left of their connections.
    await eventually("it listens again", () => site.call(readHealth).catch(() => null));
    assert.equal((await site.call(readMe, { token })).status, 200);
  } finally {
    for (const connection of connections) connection[Symbol.dispose]();
  }
  assert.equal(await server.stop(), 0);
});

/** The 99th percentile, in milliseconds, of requests one after another, each over a connection of its own. */
async function measureP99(site: Site, token: string): Promise<number> {
  const windows: number[] = [];
  for (let window = 0; window < WINDOWS; window++) {
    const tookMs: number[] = [];
    for (let request = 0; request < REQUESTS_A_WINDOW; request++) {
      const askedMs = performance.now();
      assert.equal((await site.call(readMe, { token })).status, 200);
      tookMs.push(performance.now() - askedMs);
    }
    windows.push(tookMs.sort((a, b) => a - b)[Math.floor(tookMs.length * 0.99)] ?? Infinity);
  }
  // What else the machine does only adds to it.
  return Math.min(...windows);
}

interface Clients extends Disposable {
  of(kind: keyof typeof kinds): readonly RawConnection[];
}

/** All kinds of slow clients, which go on being slow until they are let go of. */
async function connectAll(site: Site): Promise<Clients> {
  const connections = new Map<string, RawConnection[]>();
  for (const [kind, { count, begin }] of Object.entries(kinds)) {
    const same = await Promise.all(Array.from({ length: count }, () => connectRaw(site.port)));
    connections.set(kind, same);
    for (const connection of same) void connection.send(begin);
  }
  const timer = setInterval(() => {
    for (const [kind, { drip }] of Object.entries(kinds)) {
      for (const connection of connections.get(kind) ?? []) void connection.send(drip);
    }
  }, DRIP_INTERVAL_MS);
  return {
    of: (kind) => connections.get(kind) ?? [],
    [Symbol.dispose]() {
      clearInterval(timer);
      for (const same of connections.values()) for (const connection of same) connection[Symbol.dispose]();
    },
  };
}

function mib(bytes: number): string {
  return (bytes / KIB / KIB).toFixed(0);
}
