// Opens the store as the one server on it. What an operator must know, a second server, a store that vanished or is
// damaged, is said in one sentence; nothing starts silently empty where there was a store.

import { keys } from "./keys.ts";
import { createKv } from "./kv.ts";

/** A store that cannot be used, in a sentence for the operator. */
export class StoreFault extends Error {
  override readonly name = "StoreFault";
}

/** An open store; a file is held for this process alone until `close`. */
export interface OpenStore {
  readonly db: Deno.Kv;
  /** No other server works on it, now or until it is closed. */
  readonly isExclusive: boolean;
  /** Resolves with a sentence if the file is taken away or replaced while it is open; never otherwise. */
  readonly gone: Promise<string>;
  close(): void;
}

/** Long enough for a server that is just ending, as when a supervisor starts the next one at once. */
const LOCK_WAIT_MS = 2_000;
const WATCH_INTERVAL_MS = 2_000;

const PLACE = "KV_PATH must name a file in a folder that this user may write to";
const ANOTHER = "Restore a backup, or let KV_PATH name another file";
const SQLITE_HEADER = "SQLite format 3\0";
const ELSEWHERE = "it says that its data is at another address, and only its own may be asked";
const NO_TOKEN =
  "DENO_KV_ACCESS_TOKEN is missing: set it to the token of that server, in the environment or in .env";
const MARK =
  "One Latchkey server holds the store while it runs. Once this is written, the store must exist.\n";

/** `path` is a file, the `http(s)://` address of a KV Connect server, or null for the platform's own store. Throws StoreFault. */
export async function openServerStore(path: string | null): Promise<OpenStore> {
  if (!isFile(path)) {
    const db = await openDatabase(path);
    return { db, isExclusive: false, gone: new Promise(() => {}), close: () => db.close() };
  }
  await prepareFile(path);
  const lock = await lockStore(path);
  if (!lock) {
    throw new StoreFault(
      `Another Latchkey server runs on the store ${path}: stop it, or give this one its own KV_PATH`,
    );
  }
  try {
    const db = await connect(path);
    if (await sizeOf(lockPath(path)) === 0) await Deno.writeTextFile(lockPath(path), MARK);
    const watch = watchFile(path);
    return {
      db,
      isExclusive: true,
      gone: watch.gone,
      close() {
        watch.stop();
        db.close();
        lock.close();
      },
    };
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** Opens the store beside a running server, for command-line tools. Throws StoreFault. */
export async function openDatabase(path: string | null): Promise<Deno.Kv> {
  if (isFile(path)) await prepareFile(path);
  return await connect(path);
}

/** Whether `path` names a KV Connect server. */
export function isRemote(path: string): boolean {
  return /^https?:\/\//.test(path);
}

/** Whether the store is elsewhere: at a KV Connect server, or wherever the platform has its own. */
export function isOverNetwork(path: string | null): boolean {
  return path === null || isRemote(path);
}

/** Whether `path` names a file of this machine. */
export function isFile(path: string | null): path is string {
  return path !== null && !isRemote(path) && path !== ":memory:";
}

/** Opens the store that is there. Throws StoreFault. */
export async function connect(path: string | null): Promise<Deno.Kv> {
  try {
    const db = await (path === null ? Deno.openKv() : Deno.openKv(path));
    // Whether a KV Connect server sends its clients on shows at the first read, not when it is opened.
    await createKv(db, () => 0).find(keys.store());
    return db;
  } catch (error) {
    const reason = isElsewhere(path, error) ? ELSEWHERE : adviceOn(messageOf(error));
    throw new StoreFault(`The store ${path ?? "of the platform"} cannot be opened: ${reason}`, {
      cause: error,
    });
  }
}

/** What SQLite or Deno says, with what to do. */
function adviceOn(reason: string): string {
  if (/not a database|malformed/.test(reason)) return `${reason}. ${ANOTHER}`;
  if (/readonly|unable to open/.test(reason)) return `${reason}. ${PLACE}`;
  // Deno's own sentence leads to its cloud.
  if (reason.includes("DENO_KV_ACCESS_TOKEN")) return NO_TOKEN;
  if (reason.includes("401 Unauthorized")) return `${reason.replace(/\.$/, "")}. See DENO_KV_ACCESS_TOKEN`;
  return reason;
}

/** Whether a KV Connect server sends its clients on to an address that this process may not use. */
function isElsewhere(path: string | null, error: unknown): boolean {
  return path !== null && isRemote(path) && error instanceof Deno.errors.NotCapable;
}

/** An empty file where there has been no store yet; a refusal where there was one. */
async function prepareFile(path: string): Promise<void> {
  const isMarked = await sizeOf(lockPath(path)) > 0;
  if (isMarked && await sizeOf(path) <= 0) {
    throw new StoreFault(
      `The store ${path} is gone: restore a backup, or remove ${lockPath(path)} to start with an empty one`,
    );
  }
  await makeFolder(path);
  await orFault(path, async () => {
    // For this user only: the store has personal data, and SQLite would make it readable for all.
    (await Deno.open(path, { write: true, create: true, mode: 0o600 })).close();
  });
  // Before anything is put beside it: it may be any file.
  if (!await isStoreOrEmpty(path)) {
    throw new StoreFault(`The store ${path} cannot be opened: file is not a database. ${ANOTHER}`);
  }
}

/** The folder for the store `path`, for this user only. Throws StoreFault. */
export async function makeFolder(path: string): Promise<void> {
  const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : ".";
  await orFault(path, async () => {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  });
}

async function orFault<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    // Deno would advise to give the process all permissions.
    const reason = cause instanceof Deno.errors.NotCapable ? "that is no place for a file" : messageOf(cause);
    throw new StoreFault(`The store ${path} cannot be made: ${reason}. ${PLACE}`, { cause });
  }
}

async function isStoreOrEmpty(path: string): Promise<boolean> {
  using file = await Deno.open(path);
  const head = new Uint8Array(SQLITE_HEADER.length);
  const length = await file.read(head);
  return length === null || new TextDecoder().decode(head) === SQLITE_HEADER;
}

/**
 * Holds the store file as a server does, until the answer is closed; null when a server holds it. The kernel frees the
 * lock when the process ends, however it ends.
 */
export async function lockStore(path: string): Promise<Deno.FsFile | null> {
  const options = { read: true, write: true, create: true, mode: 0o600 };
  const file = await orFault(path, () => Deno.open(lockPath(path), options));
  let timer: ReturnType<typeof setTimeout> | undefined;
  const isLocked = await Promise.race([
    file.lock(true).then(() => true),
    new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(false), LOCK_WAIT_MS)),
  ]);
  clearTimeout(timer);
  return isLocked ? file : null;
}

function lockPath(path: string): string {
  return `${path}.lock`;
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch {
    return -1;
  }
}

/** SQLite would go on writing to a file that has no name any more. */
function watchFile(path: string): { readonly gone: Promise<string>; stop(): void } {
  const { promise: gone, resolve } = Promise.withResolvers<string>();
  const opened = Deno.statSync(path).ino;
  const timer = setInterval(() => {
    Deno.stat(path).then(
      ({ ino }) => ino === opened || resolve(`The store ${path} was replaced while the server ran`),
      (error) =>
        error instanceof Deno.errors.NotFound &&
        resolve(`The store ${path} was removed while the server ran`),
    );
  }, WATCH_INTERVAL_MS);
  Deno.unrefTimer(timer);
  return { gone, stop: () => clearInterval(timer) };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
