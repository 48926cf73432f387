// The messages of KV Connect's data path (denokv, proto/schema/datapath.proto), as far as Latchkey causes them:
// snapshot reads, and atomic writes that set and delete. Requests over the limits of the denokv server are refused
// here as there, so that we learn of them.

import {
  type Bytes,
  bytesOf,
  type Fields,
  MalformedMessage,
  messagesOf,
  numberOf,
  readFields,
  writeFields,
} from "./protobuf.ts";

/** From `start` to before `end`, both encoded keys. */
export interface ReadRange {
  readonly start: Bytes;
  readonly end: Bytes;
  /** 1 to 1000, of all ranges of a read together. */
  readonly limit: number;
  readonly isReverse: boolean;
}

/** What stands at a key. */
export interface StoredEntry {
  readonly key: Bytes;
  /** As the client serialised it: nobody looks into it here. */
  readonly value: Bytes;
  /** How it did. */
  readonly encoding: number;
  /** 10 bytes. */
  readonly versionstamp: Bytes;
}

/** Writes that happen together, unless a check fails. */
export interface AtomicWrite {
  readonly checks: readonly Check[];
  readonly mutations: readonly Mutation[];
}

/** An empty versionstamp: nothing stands there. */
export type Check = Pick<StoredEntry, "key" | "versionstamp">;

/** Null deletes. */
export interface Mutation {
  readonly key: Bytes;
  readonly written: Pick<StoredEntry, "value" | "encoding"> & { readonly expiresAtMs: number | null } | null;
}

/** A request that is refused for what it asks, with status 400. */
export class BadRequest extends Error {
  override readonly name = "BadRequest";
}

const WRITE_KEY_BYTES_MAX = 2_048;
const READ_KEY_BYTES_MAX = WRITE_KEY_BYTES_MAX + 1;
const VALUE_BYTES_MAX = 65_536;
const RANGES_MAX = 10;
const ENTRIES_MAX = 1_000;
const CHECKS_MAX = 10;
const MUTATIONS_MAX = 1_000;
const WRITE_BYTES_MAX = 819_200;

const SET = 1;
const DELETE = 2;
const SUCCESS = 1n;
const CHECK_FAILURE = 2n;

/** Throws BadRequest. */
export function readSnapshotRead(body: Bytes): ReadRange[] {
  const ranges = parse(body, (fields) =>
    messagesOf(fields, 1).map((range) => ({
      start: bytesOf(range, 1),
      end: bytesOf(range, 2),
      limit: numberOf(range, 3),
      isReverse: numberOf(range, 4) === 1,
    })));
  requireAtMost(RANGES_MAX, ranges.length, "ranges");
  for (const { start, end, limit } of ranges) {
    requireAtMost(READ_KEY_BYTES_MAX, Math.max(start.length, end.length), "bytes of a key");
    if (limit < 1) throw new BadRequest("The limit of a range must be at least 1");
  }
  requireAtMost(ENTRIES_MAX, ranges.reduce((sum, { limit }) => sum + limit, 0), "entries");
  return ranges;
}

/** One list of entries for each range. */
export function writeSnapshotReadOutput(ranges: readonly (readonly StoredEntry[])[]): Bytes {
  const rangeOf = (entries: readonly StoredEntry[]): Bytes =>
    writeFields(entries.map(({ key, value, encoding, versionstamp }) => [
      1,
      writeFields([[1, key], [2, value], [3, BigInt(encoding)], [4, versionstamp]]),
    ]));
  return writeFields([
    ...ranges.map((entries) => [1, rangeOf(entries)] as const),
    // Strongly consistent, and successful.
    [4, 1n],
    [8, SUCCESS],
  ]);
}

/** Throws BadRequest. */
export function readAtomicWrite(body: Bytes): AtomicWrite {
  const { enqueues, ...write } = parse(body, (fields) => ({
    checks: messagesOf(fields, 1).map((check) => ({
      key: bytesOf(check, 1),
      versionstamp: bytesOf(check, 2),
    })),
    mutations: messagesOf(fields, 2).map(readMutation),
    enqueues: fields.get(3)?.length ?? 0,
  }));
  if (enqueues > 0) throw new BadRequest("There are no queues over KV Connect");
  requireAtMost(CHECKS_MAX, write.checks.length, "checks");
  requireAtMost(MUTATIONS_MAX, write.mutations.length, "mutations");
  let bytes = 0;
  for (const { key, versionstamp } of write.checks) {
    requireAtMost(READ_KEY_BYTES_MAX, key.length, "bytes of a key");
    if (![0, 10].includes(versionstamp.length)) throw new BadRequest("A versionstamp has 10 bytes, or none");
    bytes += key.length;
  }
  for (const { key, written } of write.mutations) {
    requireAtMost(WRITE_KEY_BYTES_MAX, key.length, "bytes of a key");
    requireAtMost(VALUE_BYTES_MAX, written?.value.length ?? 0, "bytes of a value");
    bytes += key.length + (written?.value.length ?? 0);
  }
  requireAtMost(WRITE_BYTES_MAX, bytes, "bytes of a write");
  return write;
}

/** Null: a check failed, and nothing was written. */
export function writeAtomicWriteOutput(versionstamp: Bytes | null): Bytes {
  return versionstamp ? writeFields([[1, SUCCESS], [2, versionstamp]]) : writeFields([[1, CHECK_FAILURE]]);
}

function readMutation(fields: Fields): Mutation {
  const key = bytesOf(fields, 1);
  const type = numberOf(fields, 3);
  if (type === DELETE) return { key, written: null };
  if (type !== SET) throw new BadRequest(`Mutations of type ${type} are not known here`);
  const value = readFields(bytesOf(fields, 2));
  const expiresAtMs = numberOf(fields, 4);
  return {
    key,
    written: {
      value: bytesOf(value, 1),
      encoding: numberOf(value, 2),
      expiresAtMs: expiresAtMs > 0 ? expiresAtMs : null,
    },
  };
}

function parse<Message>(body: Bytes, read: (fields: Fields) => Message): Message {
  try {
    return read(readFields(body));
  } catch (error) {
    if (error instanceof MalformedMessage) throw new BadRequest(`No such message: ${error.message}`);
    throw error;
  }
}

function requireAtMost(max: number, count: number, what: string): void {
  if (count > max) throw new BadRequest(`${count} ${what}; at most ${max} are allowed`);
}
