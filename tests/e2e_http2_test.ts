// HTTP/2: Deno's server speaks it to whoever begins with its preface (RFC 9113 §3.3). Frames written by hand: an honest
// request is answered, and what brought other servers down is cut off, while everybody else is served.

import assert from "node:assert/strict";
import { readHealth } from "../openapi/service.ts";
import { UNLIMITED } from "./harness.ts";
import { createSite, type Program, type Site } from "./process.ts";
import { connectRaw, type RawConnection } from "./raw_connection.ts";
import { residentBytesOf } from "./server_memory.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD_BYTES = 9;
const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION] = [0, 1, 3, 4, 6, 7, 9];
const END_STREAM = 1;
const END_HEADERS = 4;
const CANCEL = [0, 0, 0, 8];
const STREAMS = 20_000;
const FRAME_BYTES_MAX = 16_384;
const GROWTH_BYTES_MAX = 128 * 2 ** 20;

/** `:method GET`, `:scheme http`, `:path /health`, `:authority a`: indexed or literal fields of RFC 7541. */
const GET_HEALTH = [0x82, 0x86, 0x04, 7, ...bytesOf("/health"), 0x01, 1, ...bytesOf("a")];
/** `:status 200` of RFC 7541's static table. */
const STATUS_200 = 0x88;

interface Frame {
  readonly type: number;
  readonly stream: number;
  readonly payload: Uint8Array;
}

Deno.test("http2: an honest request is answered", async () => {
  await using site = await createSite();
  await site.startServer(UNLIMITED);
  using connection = await connectRaw(site.port);
  await begin(connection, frame(HEADERS, END_HEADERS | END_STREAM, 1, GET_HEALTH));
  const frames = framesOf(connection);
  let status: number | undefined;
  for await (const { type, stream, payload } of frames) {
    if (type === HEADERS && stream === 1) status = payload[0];
    if (type === DATA && stream === 1) break;
  }
  assert.equal(status, STATUS_200);
});

const floods: Readonly<Record<string, () => Uint8Array[]>> = {
  "streams that are reset at once": () =>
    Array.from({ length: STREAMS }, (_, at) =>
      Uint8Array.from([
        ...frame(HEADERS, END_HEADERS | END_STREAM, 2 * at + 1, GET_HEALTH),
        ...frame(RST_STREAM, 0, 2 * at + 1, CANCEL),
      ])),
  "headers that never end": () => [
    frame(HEADERS, END_STREAM, 1, GET_HEALTH),
    ...Array.from(
      { length: 500 },
      () => frame(CONTINUATION, 0, 1, new Uint8Array(FRAME_BYTES_MAX).fill(0x82)),
    ),
  ],
  "one large header, named a thousand times": () => [
    // Literal with indexing: 4,000 bytes that each byte after it names once more.
    frame(HEADERS, END_HEADERS | END_STREAM, 1, [
      ...GET_HEALTH,
      0x40,
      1,
      ...bytesOf("x"),
      0x7f,
      0xa1,
      0x1e,
      ...new Uint8Array(4_000).fill(0x61),
      ...new Uint8Array(1_000).fill(0xbe),
    ]),
  ],
  "settings without end": () => Array.from({ length: STREAMS }, () => frame(SETTINGS, 0, 0, [])),
  "pings without end": () => Array.from({ length: STREAMS }, () => frame(PING, 0, 0, new Uint8Array(8))),
  "a frame larger than agreed": () => [frame(DATA, 0, 1, new Uint8Array(1_000_000))],
  "bytes that are no frames": () => [new Uint8Array(100_000).fill(0xff)],
};

Deno.test("http2: a flood of frames is cut off or answered, and others are served meanwhile", async (t) => {
  await using site = await createSite();
  const server = await site.startServer(UNLIMITED);
  const before = await residentBytesOf(server);
  for (const [name, makeFrames] of Object.entries(floods)) {
    await t.step(name, async () => {
      using connection = await connectRaw(site.port);
      const sent = (async () => {
        await begin(connection);
        await connection.send(join(makeFrames()));
        connection.endSending();
      })();
      const served = (async () => {
        for (let others = 0; others < 10; others++) await requireWell(site, server);
      })();
      // It ends: by itself, by GOAWAY, or because the flood was over.
      for await (const { type } of framesOf(connection)) if (type === GOAWAY) break;
      await Promise.all([sent, served]);
    });
  }
  assert(await residentBytesOf(server) < before + GROWTH_BYTES_MAX);
  await requireWell(site, server);
});

function begin(connection: RawConnection, ...frames: Uint8Array[]): Promise<void> {
  return connection.send(join([Uint8Array.from(bytesOf(PREFACE)), frame(SETTINGS, 0, 0, []), ...frames]));
}

function frame(type: number, flags: number, stream: number, payload: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEAD_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length << 8 | type);
  view.setUint8(4, flags);
  view.setUint32(5, stream);
  bytes.set(payload, FRAME_HEAD_BYTES);
  return bytes;
}

/** The server's frames, until the connection ends. */
async function* framesOf(connection: RawConnection): AsyncGenerator<Frame> {
  let rest = new Uint8Array();
  while (true) {
    const bytes = await connection.readBytes();
    if (bytes === null) return;
    rest = join([rest, bytes]);
    while (rest.length >= FRAME_HEAD_BYTES) {
      const view = new DataView(rest.buffer, rest.byteOffset);
      const head = view.getUint32(0);
      const end = FRAME_HEAD_BYTES + (head >>> 8);
      if (rest.length < end) break;
      yield { type: head & 0xff, stream: view.getUint32(5), payload: rest.subarray(FRAME_HEAD_BYTES, end) };
      rest = rest.slice(end);
    }
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function requireWell(site: Site, server: Program): Promise<void> {
  assert.equal((await site.call(readHealth)).status, 200);
  assert(!server.stderr().includes('"level":"ERROR"'), server.stderr());
}
