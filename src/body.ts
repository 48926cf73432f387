// Request bodies: read once, bounded, and judged more strictly than JSON.parse does: valid UTF-8 only, and no member
// named twice (RFC 8259 §4 leaves open which of the two would count, and two readers may differ).

import type { HonoRequest } from "hono";
import { Problem } from "./problem.ts";

/** What a request brought. A fault is not thrown at once: limits are asked first (contract §6.9). */
export interface RequestBody {
  /** The parsed value; undefined when there is none, or a fault. */
  readonly value: unknown;
  readonly fault: Problem | null;
}

const BODY_BYTES_MAX = 64 * 1024;
/** For all of it. Deno's server itself waits for ever, and a body is small: who is slower has stopped sending. */
const BODY_DEADLINE_MS = 10_000;
const BODILESS_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE"]);
const TEXT_LENGTH_MAX = 2_048;
const MEDIA_TYPE = "application/json";
/** One of a media type, in lower case, or none after a semicolon: its name, and its value as a token or in quotes. */
const PARAMETER = /;[ \t]*(?:([\w!#$%&'*+.^`|~-]+)=(?:([\w!#$%&'*+.^`|~-]+)|"((?:[^"\\]|\\.)*)"))?[ \t]*/g;

/**
 * Reads the body, unless the method has none, and leaves its text where the validator of the route finds it. An empty
 * body counts as `{}`, so that the answer names what is missing. Throws 413 and 415.
 */
export async function readBody(request: HonoRequest): Promise<RequestBody> {
  if (BODILESS_METHODS.has(request.method)) return { value: undefined, fault: null };
  const bytes = await readBytes(request.raw);
  const isEmpty = bytes?.byteLength === 0;
  checkMediaType(request, { isEmpty });
  if (bytes === null) {
    return malformed(`The body broke off, or was not here within ${BODY_DEADLINE_MS / 1000} seconds`);
  }
  if (isEmpty) {
    leave(request, "{}");
    return { value: {}, fault: null };
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    if (hasDuplicateName(text)) return malformed("The body names a member twice");
    leave(request, text);
    return { value, fault: null };
  } catch (cause) {
    // The cause quotes the body, which may hold a password: it goes nowhere.
    return malformed(cause instanceof SyntaxError ? "The body is not JSON" : "The body is not UTF-8");
  }
}

function malformed(detail: string): RequestBody {
  return { value: undefined, fault: new Problem("body_malformed", { detail }) };
}

/** A body can be read once: the validator finds it where hono keeps what was read. */
function leave(request: HonoRequest, text: string): void {
  // Hono keeps promises there, and types them as what they resolve to.
  request.bodyCache.text = Promise.resolve(text) as unknown as string;
  if (request.header("content-type") === MEDIA_TYPE) return;
  // It asks for the header, too, which may be missing, or be written in a way that it does not know.
  const headers = new Headers(request.raw.headers);
  headers.set("content-type", MEDIA_TYPE);
  request.raw = new Request(request.raw.url, {
    method: request.raw.method,
    headers,
    signal: request.raw.signal,
  });
}

/** A member of a parsed but not yet validated body, when it is a text of a sane length. */
export function textMember(body: unknown, name: string): string | null {
  if (typeof body !== "object" || body === null || !Object.hasOwn(body, name)) return null;
  // It has the member; its value stays unknown.
  const value = (body as Record<string, unknown>)[name];
  return typeof value === "string" && value.length <= TEXT_LENGTH_MAX ? value : null;
}

/** All bytes, or null when they do not arrive. Throws 413. */
async function readBytes(request: Request): Promise<Uint8Array | null> {
  const declared = request.headers.get("content-length");
  if (Number(declared) > BODY_BYTES_MAX) throw new Problem("body_too_large");
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), BODY_DEADLINE_MS);
  });
  try {
    // The server reads no further than a declared length, so that there is nothing to count.
    const arrived = declared === null ? collectBytes(request) : request.arrayBuffer();
    const bytes = await Promise.race([arrived, late]);
    return bytes && new Uint8Array(bytes);
  } catch (error) {
    if (error instanceof Problem) throw error;
    // The client hung up, or its chunks are none: nothing that went wrong here.
    return null;
  } finally {
    clearTimeout(timer);
  }
}

async function collectBytes(request: Request): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.byteLength;
    if (length > BODY_BYTES_MAX) throw new Problem("body_too_large");
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

function checkMediaType(request: HonoRequest, { isEmpty }: { readonly isEmpty: boolean }): void {
  // Nothing is inflated here: a few bytes can become gigabytes (RFC 9110 §15.5.16).
  if ((request.header("content-encoding") ?? "identity") !== "identity") {
    throw new Problem("media_type_unsupported");
  }
  const contentType = request.header("content-type");
  if (contentType === undefined && isEmpty) return;
  if (!isJsonInUtf8(contentType ?? "")) throw new Problem("media_type_unsupported");
}

/** With any parameters, but at most one charset (RFC 9110 §5.6.6, RFC 8259 §8.1). */
function isJsonInUtf8(contentType: string): boolean {
  const charsets: string[] = [];
  const essence = contentType.toLowerCase().replaceAll(PARAMETER, (_, name = "", token = "", text = "") => {
    if (name === "charset") charsets.push(token || text);
    return "";
  });
  const isUtf8 = charsets.every((charset) => charset === "utf-8" || charset === "utf8");
  return essence.trim() === MEDIA_TYPE && isUtf8 && charsets.length <= 1;
}

/** Whether an object in `json`, which must be valid JSON, has two members of the same name. */
export function hasDuplicateName(json: string): boolean {
  // One set of names for each open object, null for each open array.
  const open: (Set<string> | null)[] = [];
  let isNameDue = false;
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (character === '"') {
      const end = endOfString(json, at);
      const names = open.at(-1);
      if (isNameDue && names) {
        const name: unknown = JSON.parse(json.slice(at, end));
        if (names.has(String(name))) return true;
        names.add(String(name));
        isNameDue = false;
      }
      at = end - 1;
    } else if (character === "{") {
      open.push(new Set());
      isNameDue = true;
    } else if (character === "[") {
      open.push(null);
    } else if (character === "}" || character === "]") {
      open.pop();
      isNameDue = false;
    } else if (character === ",") {
      isNameDue = open.at(-1) !== null;
    }
  }
  return false;
}

/** The index after the closing quote of the string that starts at `start`. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (json[at] !== '"') at += json[at] === "\\" ? 2 : 1;
  return at + 1;
}
