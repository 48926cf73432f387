// What the test server keeps: encoded keys in their order, opaque values, and a version that grows with every write,
// in one SQLite file. A write is on the disk before it is answered, so that a kill loses nothing that was; writes that
// come together share the way to the disk.

import { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import type { AtomicWrite, ReadRange, StoredEntry } from "./messages.ts";
import type { Bytes } from "./protobuf.ts";

/** An open file. */
export interface ConnectStore {
  /** One list for each range, all as of the same moment. */
  read(ranges: readonly ReadRange[]): StoredEntry[][];
  /** The versionstamp of the write, or null when a check failed. */
  write(write: AtomicWrite): Promise<Bytes | null>;
  /** Deletes what has expired; until then it is read like everything else. */
  sweep(nowMs: number): void;
}

const LAYOUT = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS entries (
    key BLOB PRIMARY KEY,
    value BLOB NOT NULL,
    encoding INTEGER NOT NULL,
    version INTEGER NOT NULL,
    expires_at_ms INTEGER
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS entries_by_expiry ON entries (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
  CREATE TABLE IF NOT EXISTS versions (newest INTEGER NOT NULL);
  INSERT INTO versions SELECT 0 WHERE NOT EXISTS (SELECT * FROM versions);
`;

/** A row as SQLite gives it; the columns are ours. */
interface Row {
  readonly key: Bytes;
  readonly value: Bytes;
  readonly encoding: number;
  readonly version: number;
}

interface Waiting {
  readonly write: AtomicWrite;
  readonly resolve: (versionstamp: Bytes | null) => void;
  readonly reject: (error: unknown) => void;
}

/** Makes the file when there is none. */
export function openConnectStore(path: string): ConnectStore {
  const db = new DatabaseSync(path);
  db.exec(LAYOUT);
  const select = "SELECT key, value, encoding, version FROM entries WHERE key >= ? AND key < ? ORDER BY key";
  const ascending = db.prepare(`${select} LIMIT ?`);
  const descending = db.prepare(`${select} DESC LIMIT ?`);
  const versionOf = db.prepare("SELECT version FROM entries WHERE key = ?");
  const nextVersion = db.prepare("UPDATE versions SET newest = newest + 1 RETURNING newest");
  const remove = db.prepare("DELETE FROM entries WHERE key = ?");
  const put = db.prepare("REPLACE INTO entries VALUES (?, ?, ?, ?, ?)");
  const removeExpired = db.prepare("DELETE FROM entries WHERE expires_at_ms <= ?");
  const waiting: Waiting[] = [];

  function apply({ checks, mutations }: AtomicWrite): Bytes | null {
    const isAsChecked = checks.every(({ key, versionstamp }) => {
      const version = versionOf.get(key)?.version;
      const current = version === undefined ? "" : versionstampOf(Number(version)).toHex();
      return current === versionstamp.toHex();
    });
    if (!isAsChecked) return null;
    const version = Number(nextVersion.get()?.newest);
    for (const { key, written } of mutations) {
      if (written) put.run(key, written.value, written.encoding, version, written.expiresAtMs);
      else remove.run(key);
    }
    return versionstampOf(version);
  }

  function flush(): void {
    const batch = waiting.splice(0);
    try {
      db.exec("BEGIN IMMEDIATE");
      // Whose check fails has written nothing: the others need no protection from it.
      const outcomes = batch.map(({ write }) => apply(write));
      db.exec("COMMIT");
      for (const [index, { resolve }] of batch.entries()) resolve(outcomes[index] ?? null);
    } catch (error) {
      if (db.isTransaction) db.exec("ROLLBACK");
      for (const { reject } of batch) reject(error);
    }
  }

  return {
    // Nothing else runs on this thread meanwhile.
    read: (ranges) =>
      ranges.map(({ start, end, limit, isReverse }) => {
        // The statements select just these columns.
        const rows = (isReverse ? descending : ascending).all(start, end, limit) as unknown as Row[];
        return rows.map(({ version, ...row }) => ({ ...row, versionstamp: versionstampOf(version) }));
      }),
    write(write) {
      const { promise, resolve, reject } = Promise.withResolvers<Bytes | null>();
      if (waiting.length === 0) setImmediate(flush);
      waiting.push({ write, resolve, reject });
      return promise;
    },
    sweep: (nowMs) => void removeExpired.run(nowMs),
  };
}

/** Sorted like the number, and two bytes for the order within a batch. */
function versionstampOf(version: number): Bytes {
  const bytes = new Uint8Array(10);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(version));
  return bytes;
}
