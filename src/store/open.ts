// Opens the store as the one server on it. What an operator must know, a second server, a store that vanished or is
// damaged, is said in one sentence; nothing starts silently empty where there was a store.

/** A store that cannot be used, in a sentence for the operator. */
export class StoreFault extends Error {
  override readonly name = "StoreFault";
}

/** An open store file, held for this process alone until `close`. */
export interface OpenStore {
  readonly db: Deno.Kv;
  /** Resolves with a sentence if the file is taken away or replaced while it is open; never otherwise. */
  readonly gone: Promise<string>;
  close(): void;
}

const LOCK_WAIT_MS = 500;
const WATCH_INTERVAL_MS = 2_000;

/** `path` is a file, the `http(s)://` address of a KV Connect server, or null for the platform's own store. */
export async function openServerStore(path: string | null): Promise<OpenStore> {
  if (path === null || isRemote(path) || path === ":memory:") {
    const db = await openDatabase(path);
    return { db, gone: new Promise(() => {}), close: () => db.close() };
  }
  const lock = await lockStore(path);
  try {
    const db = await openDatabase(path);
    await Deno.writeTextFile(
      lockPath(path),
      "One Latchkey server holds the store while it runs. Once written, the store must exist.\n",
    );
    const watch = watchFile(path);
    return {
      db,
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
  try {
    const db = await (path === null ? Deno.openKv() : Deno.openKv(path));
    // A damaged file shows at the first read, not when it is opened.
    await db.get(["store"]);
    return db;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StoreFault(`The store ${path ?? "of the platform"} cannot be opened: ${reason}`, {
      cause: error,
    });
  }
}

/** Whether `path` names a KV Connect server. */
export function isRemote(path: string): boolean {
  return /^https?:\/\//.test(path);
}

/** The kernel frees the lock when the process ends, however it ends. */
async function lockStore(path: string): Promise<Deno.FsFile> {
  await makeFolder(path);
  const isMarked = await sizeOf(lockPath(path)) > 0;
  if (isMarked && await sizeOf(path) < 0) {
    throw new StoreFault(
      `The store ${path} is gone: restore a backup, or remove ${lockPath(path)} to start with an empty one`,
    );
  }
  const file = await openLockFile(path);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const isLocked = await Promise.race([
    file.lock(true).then(() => true),
    new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(false), LOCK_WAIT_MS)),
  ]);
  clearTimeout(timer);
  if (!isLocked) {
    throw new StoreFault(
      `Another Latchkey server runs on the store ${path}: stop it, or give this one its own KV_PATH`,
    );
  }
  return file;
}

/** Makes the folder of the store file, for this user only. Throws StoreFault. */
export async function makeFolder(path: string): Promise<void> {
  if (isRemote(path) || path === ":memory:") return;
  const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : ".";
  try {
    // For this user only: the store has personal data, and files are made readable for all.
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new StoreFault(`The folder ${folder} for the store cannot be made: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function openLockFile(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(lockPath(path), { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    throw new StoreFault(`The folder of the store ${path} is not writable: ${messageOf(error)}`, {
      cause: error,
    });
  }
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
