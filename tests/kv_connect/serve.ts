// A KV Connect server for tests (denokv, proto/kv-connect.md, version 2; no `watch`), with the command line of the
// denokv server:  --sqlite-path FILE serve --addr 127.0.0.1:PORT --access-token TOKEN

import { timingSafeEqual } from "node:crypto";
import { parseArgs } from "node:util";
import {
  BadRequest,
  readAtomicWrite,
  readSnapshotRead,
  writeAtomicWriteOutput,
  writeSnapshotReadOutput,
} from "./messages.ts";
import type { Bytes } from "./protobuf.ts";
import { type ConnectStore, openConnectStore } from "./store.ts";

const VERSION = 2;
const DATABASE_ID = "00000000-0000-0000-0000-000000000000";
const DATA_PATH = "/v2";
const METADATA_TTL_MS = 24 * 60 * 60 * 1000;
/** As seldom as the denokv server: whoever trusts the store to expire on time should notice. */
const SWEEP_INTERVAL_MS = 60_000;

if (import.meta.main) main();

function main(): void {
  const { values } = parseArgs({
    allowPositionals: true,
    options: {
      "sqlite-path": { type: "string" },
      addr: { type: "string" },
      "access-token": { type: "string" },
    },
  });
  const { "sqlite-path": path = "", addr = "", "access-token": token = "" } = values;
  const { hostname, port } = new URL(`http://${addr}`);
  const store = openConnectStore(path);
  const sweep = (): void => store.sweep(Date.now());
  sweep();
  setInterval(sweep, SWEEP_INTERVAL_MS);
  Deno.serve({ hostname, port: Number(port), onListen() {} }, (request) => answer(request, { store, token }));
}

async function answer(
  request: Request,
  { store, token }: { readonly store: ConnectStore; readonly token: string },
): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (request.method !== "POST") return refuse(404, "Only POST is known here");
  if (!isBearer(request, token)) return refuse(401, "Invalid access token");
  if (pathname === "/") return await exchangeMetadata(request, token);
  if (
    request.headers.get("x-denokv-version") !== String(VERSION) ||
    request.headers.get("x-denokv-database-id") !== DATABASE_ID
  ) return refuse(400, "Invalid protocol version or database id");
  try {
    const body = await request.bytes();
    switch (pathname) {
      case `${DATA_PATH}/snapshot_read`:
        return protobuf(writeSnapshotReadOutput(store.read(readSnapshotRead(body))));
      case `${DATA_PATH}/atomic_write`:
        return protobuf(writeAtomicWriteOutput(await store.write(readAtomicWrite(body))));
      default:
        return refuse(404, "Resource not found");
    }
  } catch (error) {
    if (error instanceof BadRequest) return refuse(400, error.message);
    throw error;
  }
}

async function exchangeMetadata(request: Request, token: string): Promise<Response> {
  const { supportedVersions } = await request.json();
  if (!supportedVersions?.includes(VERSION)) return refuse(400, `Only version ${VERSION} is spoken here`);
  return Response.json({
    version: VERSION,
    databaseId: DATABASE_ID,
    endpoints: [{ url: DATA_PATH, consistency: "strong" }],
    token,
    expiresAt: new Date(Date.now() + METADATA_TTL_MS).toISOString(),
  });
}

function isBearer(request: Request, token: string): boolean {
  const given = new TextEncoder().encode(request.headers.get("authorization") ?? "");
  const expected = new TextEncoder().encode(`Bearer ${token}`);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function protobuf(body: Bytes): Response {
  return new Response(body, { headers: { "content-type": "application/x-protobuf" } });
}

function refuse(status: number, sentence: string): Response {
  return new Response(sentence, { status });
}
