// Requests that no honest client sends, byte for byte: shapes that two readers could part differently, bodies that break
// off, floods, pipelines. Each is refused, or read in the one way that RFC 9112 leaves; others are served meanwhile,
// and nothing of it is a fault of the server.

import assert from "node:assert/strict";
import { isProblemCode } from "../openapi/problem.ts";
import { readHealth } from "../openapi/service.ts";
import { login } from "../openapi/sessions.ts";
import { UNLIMITED } from "./harness.ts";
import { createSite, eventually, type Program, type Site } from "./process.ts";
import { connectRaw, type RawAnswer } from "./raw_connection.ts";
import { residentBytesOf } from "./server_memory.ts";

/** A POST whose headers go on. */
const POST = `POST ${login.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`;
const GET = "GET /health HTTP/1.1\r\nHost: localhost\r\n";
/** What a smuggler wants answered in somebody else's name. */
const SMUGGLED = "GET /problems/otp_invalid HTTP/1.1\r\nHost: evil.test\r\n\r\n";
const PIPELINED = 10_000;
/** What all this may leave behind in memory. */
const GROWTH_BYTES_MAX = 128 * 2 ** 20;

/** The runtime's own 400, and the end of the connection. */
const refused: Readonly<Record<string, string>> = {
  "length and chunks": `${POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  "chunks and length": `${POST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
  "another transfer coding": `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  "chunks and another coding": `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
  "two transfer codings": `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n`,
  "a space before the colon": `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
  "two lengths that differ": `${POST}Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}`,
  "a list of lengths": `${POST}Content-Length: 2, 2\r\n\r\n{}`,
  "a signed length": `${POST}Content-Length: +2\r\n\r\n{}`,
  "a negative length": `${POST}Content-Length: -1\r\n\r\n{}`,
  "a length beyond all numbers": `${POST}Content-Length: ${"9".repeat(40)}\r\n\r\n{}`,
  "a folded header line": `${POST}X-A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}`,
  "a carriage return alone": `${POST}X-A: b\rContent-Length: 2\r\n\r\n`,
  "a NUL in a header": `${POST}X-A: b\0c\r\nContent-Length: 2\r\n\r\n`,
  "an authority as target": "GET evil.test:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "a path without its slash": "GET health HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "Host twice": "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
  "HTTP/0.9": "GET /health\r\n\r\n",
  "HTTP/1.2": "GET /health HTTP/1.2\r\nHost: a\r\n\r\n",
  "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  "nothing that is a protocol": "\x00\x01\x02\x03\r\n\r\n",
};

/** What could be read in two ways is read in the one that the RFC leaves, and the connection goes on after it. */
const answered: Readonly<Record<string, readonly [status: number, bytes: string]>> = {
  "two lengths that agree": [422, `${POST}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`],
  "line feeds alone": [422, `${POST}Content-Length: 2\r\n\r\n{}`.replaceAll("\r", "")],
  "a chunk extension": [422, `${CHUNKED}2;a=b\r\n{}\r\n0\r\n\r\n`],
  "a length in the trailers": [422, `${CHUNKED}2\r\n{}\r\n0\r\nContent-Length: 50\r\n\r\n`],
  "a body where none is due": [200, `${GET}Content-Length: 4\r\n\r\nabcd`],
  "an absolute target": [200, "GET http://evil.test/health HTTP/1.1\r\nHost: localhost\r\n\r\n"],
  "a tunnel": [404, "CONNECT evil.test:80 HTTP/1.1\r\nHost: localhost\r\n\r\n"],
  "the server as target": [404, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"],
  "TRACE": [405, "TRACE /health HTTP/1.1\r\nHost: localhost\r\n\r\n"],
  "a method in lower case": [405, "get /health HTTP/1.1\r\nHost: localhost\r\n\r\n"],
  "a path that climbs": [404, "GET /x/../health HTTP/1.1\r\nHost: localhost\r\n\r\n"],
  "a path that is no UTF-8": [404, "GET /%zz%ff HTTP/1.1\r\nHost: localhost\r\n\r\n"],
  "a Host that is none": [404, "GET /nope HTTP/1.1\r\nHost: a b/c?d#e@[::\r\n\r\n"],
  "no Host": [200, "GET /health HTTP/1.1\r\n\r\n"],
  "an upgrade to HTTP/2": [200, `${GET}Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n`],
  "an upgrade to a web socket": [200, `${GET}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`],
};

/** Bodies that break off or are not well parted: nobody can tell what would come next. */
const unparted: Readonly<Record<string, string>> = {
  "within its length": `${POST}Content-Length: 10\r\n\r\n{`,
  "within a chunk": `${CHUNKED}5\r\n{`,
  "a chunk that is none": `${CHUNKED}zz\r\n{}`,
  "a chunk without its end": `${CHUNKED}2\r\n{}XX0\r\n\r\n`,
  "a chunk size beyond all numbers": `${CHUNKED}${"f".repeat(17)}\r\n{}\r\n0\r\n\r\n`,
  "a negative chunk size": `${CHUNKED}-2\r\n{}\r\n0\r\n\r\n`,
  "a chunk size with 0x": `${CHUNKED}0x2\r\n{}\r\n0\r\n\r\n`,
  "a line feed in a chunk extension": `${CHUNKED}2;a\nxx\r\n{}\r\n0\r\n\r\n`,
  "a chunk extension without end": `${CHUNKED}2;${"a".repeat(100_000)}\r\n{}\r\n0\r\n\r\n`,
};

/** More than a request may be made of. */
const floods: Readonly<Record<string, string>> = {
  "ten thousand headers": `${GET}${Array.from({ length: 10_000 }, (_, at) => `X-${at}: a\r\n`).join("")}\r\n`,
  "a header of a megabyte": `${GET}X-A: ${"a".repeat(1_000_000)}\r\n\r\n`,
  "a header name of a megabyte": `${GET}${"a".repeat(1_000_000)}: b\r\n\r\n`,
  "a path of a megabyte": `GET /${"a".repeat(1_000_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  "a method of a megabyte": `${"A".repeat(1_000_000)} /health HTTP/1.1\r\nHost: a\r\n\r\n`,
  "a megabyte of empty lines": "\r\n".repeat(500_000),
};

Deno.test("hostile: a request that two readers could part differently is refused, or read in one way", async (t) => {
  await using site = await createSite();
  const server = await site.startServer(UNLIMITED);
  for (const [name, bytes] of Object.entries(refused)) {
    await t.step(name, async () => {
      using connection = await connectRaw(site.port);
      await connection.send(`${bytes}${SMUGGLED}`);
      const answer = await connection.readAnswer();
      // No code of ours has seen it.
      assert.deepEqual([answer?.status, answer?.body], [400, ""]);
      assert.equal(await connection.readAnswer(), null);
    });
  }
  for (const [name, [status, bytes]] of Object.entries(answered)) {
    await t.step(name, async () => {
      using connection = await connectRaw(site.port);
      await connection.send(bytes);
      requireDeclared(await connection.readAnswer(), status);
      // Nothing but this is answered next.
      await connection.send(`${GET}X-Request-Id: next\r\n\r\n`);
      const next = await connection.readAnswer();
      assert.deepEqual([next?.status, next?.headers.get("x-request-id")], [200, "next"]);
    });
  }
  await t.step("HTTP/1.0 ends with its answer", async () => {
    using connection = await connectRaw(site.port);
    await connection.send(`GET /health HTTP/1.0\r\n\r\n${SMUGGLED}`);
    requireDeclared(await connection.readAnswer(), 200);
    assert.equal(await connection.readAnswer(), null);
  });
  await t.step("a length of 2^64 - 1 is too large, and nothing comes after it", async () => {
    using connection = await connectRaw(site.port);
    await connection.send(`${POST}Content-Length: 18446744073709551615\r\n\r\n${SMUGGLED}`);
    requireDeclared(await connection.readAnswer(), 413);
    await connection.send(SMUGGLED.repeat(1_000));
    await requireWell(site, server);
    connection.endSending();
    assert.equal(await connection.readAnswer(), null);
  });
  await requireWell(site, server);
});

Deno.test("hostile: a body that breaks off or is not well parted ends its connection, and is no fault of the server", async (t) => {
  await using site = await createSite();
  const server = await site.startServer(UNLIMITED);
  for (const [name, bytes] of Object.entries(unparted)) {
    await t.step(name, async () => {
      const before = loginsIn(server).length;
      using connection = await connectRaw(site.port);
      const [head = "", body = ""] = bytes.split(/(?<=\r\n\r\n)(.*)/s);
      await connection.send(head);
      // By then its handler waits for the body; what is wrong at once is never handed on.
      assert.equal((await site.call(readHealth)).status, 200);
      await connection.send(body);
      connection.endSending();
      const answer = await connection.readAnswer();
      if (answer) requireDeclared(answer, 400);
      assert.equal(await connection.readAnswer(), null);
      const [logged] = await eventually("its line is logged", () => {
        const lines = loginsIn(server).slice(before);
        return lines.length > 0 && lines;
      });
      assert.equal(logged?.status, 400);
    });
  }
  await requireWell(site, server);
});

Deno.test("hostile: a flood within one request is cut off", async (t) => {
  await using site = await createSite();
  const server = await site.startServer(UNLIMITED);
  const before = await residentBytesOf(server);
  for (const [name, bytes] of Object.entries(floods)) {
    await t.step(name, async () => {
      using connection = await connectRaw(site.port);
      const sent = connection.send(bytes);
      // A reset may come before its 400 is read.
      const answer = await connection.readAnswer();
      if (answer) assert.deepEqual([answer.status, answer.body], [400, ""]);
      assert.equal(await connection.readAnswer(), null);
      await sent;
    });
  }
  assert(await residentBytesOf(server) < before + GROWTH_BYTES_MAX);
  await requireWell(site, server);
});

Deno.test(`hostile: ${PIPELINED} requests in one go are answered one by one, in order, and others in between`, async () => {
  await using site = await createSite();
  const server = await site.startServer(UNLIMITED);
  const before = await residentBytesOf(server);
  using connection = await connectRaw(site.port);
  const requests = Array.from({ length: PIPELINED }, (_, at) => `${GET}X-Request-Id: piped-${at}\r\n\r\n`);
  const sent = connection.send(requests.join(""));
  let servedMeanwhile = 0;
  const others = (async () => {
    while (servedMeanwhile < 20) {
      assert.equal((await site.call(readHealth)).status, 200);
      servedMeanwhile++;
    }
  })();
  for (let at = 0; at < PIPELINED; at++) {
    const answer = await connection.readAnswer();
    assert.equal(answer?.headers.get("x-request-id"), `piped-${at}`);
  }
  await Promise.all([sent, others]);
  assert(await residentBytesOf(server) < before + GROWTH_BYTES_MAX);
  await requireWell(site, server);
});

/** An answer of ours, in the form of the contract. */
function requireDeclared(answer: RawAnswer | null, status: number): void {
  assert(answer);
  assert.equal(answer.status, status, answer.body);
  assert(answer.headers.has("x-request-id"));
  if (status < 400) return;
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert(isProblemCode(JSON.parse(answer.body).code), answer.body);
}

/** It serves others, and has noted no fault of its own. */
async function requireWell(site: Site, server: Program): Promise<void> {
  assert.equal((await site.call(readHealth)).status, 200);
  assert(!server.stderr().includes('"level":"ERROR"'), server.stderr());
}

/** What was logged of logins that were answered, or could not be any more. */
function loginsIn(server: Program): { readonly status: number }[] {
  return server.stdout().split("\n").filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line)).filter(({ route }) => route === login.path);
}
