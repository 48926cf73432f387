// A client that costs as little as one can: HTTP/1.1 by hand over a connection that stays open, because whatever the
// client takes of the machine, the server does not get. It knows only answers with a Content-Length, or without a body.

import { Buffer } from "node:buffer";

export interface BenchAnswer {
  readonly status: number;
  /** The body. Good until the next request. */
  text(): string;
}

/** One request at a time. */
export interface Connection extends Disposable {
  /** Sends a request as `encodeRequest` makes it, and gives its answer. */
  ask(request: Uint8Array): Promise<BenchAnswer>;
}

/** What stands in a request; `path` with its query. */
export interface BenchRequest {
  readonly method: string;
  readonly path: string;
  readonly token?: string;
  readonly json?: unknown;
}

/** More than any answer here. */
const ANSWER_BYTES_MAX = 512 * 1024;
const HEAD_END = "\r\n\r\n";

const encoder = new TextEncoder();

/** A connection to a port of loopback. */
export async function connect(port: number): Promise<Connection> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  connection.setNoDelay(true);
  const buffer = Buffer.alloc(ANSWER_BYTES_MAX);

  return {
    async ask(request) {
      for (let sent = 0; sent < request.length;) {
        sent += await connection.write(sent === 0 ? request : request.subarray(sent));
      }
      let filled = 0;
      let bodyStart = -1;
      let end = Infinity;
      while (filled < end) {
        const read = await connection.read(buffer.subarray(filled));
        if (!read) throw new Error("The server hung up, or answered more than a client of ours reads");
        filled += read;
        if (bodyStart !== -1) continue;
        const headEnd = buffer.subarray(0, filled).indexOf(HEAD_END);
        if (headEnd === -1) continue;
        bodyStart = headEnd + HEAD_END.length;
        end = bodyStart + bodyLengthOf(buffer.toString("latin1", 0, headEnd));
      }
      return {
        status: Number(buffer.toString("latin1", "HTTP/1.1 ".length, "HTTP/1.1 200".length)),
        text: () => buffer.toString("utf8", bodyStart, end),
      };
    },
    [Symbol.dispose]: () => connection.close(),
  };
}

/** The bytes of a request, complete with its body. */
export function encodeRequest({ method, path, token, json }: BenchRequest): Uint8Array {
  const body = json === undefined ? "" : JSON.stringify(json);
  const head =
    `${method.toUpperCase()} ${path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: latchkey-bench\r\n` +
    (token === undefined ? "" : `Authorization: Bearer ${token}\r\n`) +
    (body === ""
      ? ""
      : `Content-Type: application/json\r\nContent-Length: ${encoder.encode(body).length}\r\n`);
  return encoder.encode(`${head}\r\n${body}`);
}

function bodyLengthOf(head: string): number {
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) return Number(length);
  if (/\r\ntransfer-encoding:/i.test(head)) throw new Error(`An answer of unknown length:\n${head}`);
  return 0;
}
