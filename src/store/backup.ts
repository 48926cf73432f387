// Whole copies of a store file. Beside the file SQLite keeps a log (`-wal`) with the newest commits: a copy of the file
// alone loses them, and a log that stays behind would be played into whatever file comes next.

import { backup, DatabaseSync } from "node:sqlite";
import { StoreFault } from "./open.ts";

/** All in one step, in one read transaction: several steps would begin anew whenever a server writes in between. */
const PAGES_A_STEP = 2 ** 31 - 1;

/** Copies the store to `copyPath`, an empty file, as it is at one moment, also while a server writes to it. */
export async function copyStore(path: string, copyPath: string): Promise<void> {
  try {
    using store = new DatabaseSync(path, { readOnly: true });
    await backup(store, copyPath, { rate: PAGES_A_STEP });
  } catch (error) {
    throw new StoreFault(`The store ${path} cannot be copied: ${messageOf(error)}`, { cause: error });
  }
}

/** Reads every page of a store file, and folds its log in. Throws StoreFault when it is no database, or damaged. */
export function provePages(path: string, { name }: { readonly name: string }): void {
  try {
    using store = new DatabaseSync(path);
    const [first] = store.prepare("PRAGMA quick_check(1)").all();
    if (first?.quick_check !== "ok") throw new Error(String(first?.quick_check));
  } catch (error) {
    throw new StoreFault(`${name} is damaged, or no store at all: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Puts the file `draft` where the store is, and the store that was there at `keptPath`, its log with it. Nobody may
 * have either of them open. A crash half-way leaves no store, which servers refuse to start without, and no loss.
 * False when there was none to keep.
 */
export async function swapStore(
  path: string,
  { draft, keptPath }: { readonly draft: string; readonly keptPath: string },
): Promise<boolean> {
  const isKept = await moveIfThere(path, keptPath);
  await moveIfThere(`${path}-wal`, `${keptPath}-wal`);
  await removeIfThere(`${path}-shm`);
  await Deno.rename(draft, path);
  return isKept;
}

/** Removes a store file and what SQLite has put beside it, as far as they are there. */
export async function removeStore(path: string): Promise<void> {
  for (const suffix of ["", "-wal", "-shm"]) await removeIfThere(path + suffix);
}

function removeIfThere(path: string): Promise<boolean> {
  return Deno.remove(path).then(() => true, isMissing);
}

function moveIfThere(from: string, to: string): Promise<boolean> {
  return Deno.rename(from, to).then(() => true, isMissing);
}

/** False for a file that is not there; throws every other error on. */
function isMissing(error: unknown): false {
  if (error instanceof Deno.errors.NotFound) return false;
  throw error;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
