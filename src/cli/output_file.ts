// A file that a tool makes for the operator alone: complete, or not there at all. Until it is complete it has another
// name beside it.

import { isFileFault } from "../disk_fault.ts";
import { draftsOf } from "./output_names.ts";
import { ToolFault } from "./tool.ts";

/**
 * Lets `fill` write to the draft, an empty file that only this user can read, and then gives it the name `path`. Throws
 * a ToolFault when `path` is there already, unless `isForced`, or cannot be written.
 */
export async function writeOutput(
  path: string,
  { isForced }: { readonly isForced: boolean },
  fill: (draft: string) => Promise<void>,
): Promise<void> {
  requireName(path);
  if (!isForced && await exists(path)) {
    throw new ToolFault(`${path} exists already: choose another name, or replace it with --force`);
  }
  const [draft] = draftsOf(path);
  try {
    await orFault(path, async () => {
      await removeDrafts(path);
      (await Deno.open(draft, { write: true, createNew: true, mode: 0o600 })).close();
    });
    // What else goes wrong there has its own sentence.
    await fill(draft).catch((error) => {
      throw isFileFault(error) ? notWritten(path, error) : error;
    });
    await orFault(path, async () => {
      using file = await Deno.open(draft, { write: true });
      await file.sync();
      await Deno.rename(draft, path);
    });
  } finally {
    await removeDrafts(path).catch(() => {});
  }
}

/** Throws a ToolFault for a name that the permissions of this process cannot hold (src/cli/launch.ts). */
export function requireName(path: string): void {
  if (path.includes(",")) throw new ToolFault("The file's name must not have a comma");
}

async function removeDrafts(path: string): Promise<void> {
  for (const draft of draftsOf(path)) {
    if (await exists(draft)) await Deno.remove(draft);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw new ToolFault(`${path} cannot be looked at: ${error instanceof Error ? error.message : error}`);
  }
}

async function orFault(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw notWritten(path, error);
  }
}

function notWritten(path: string, error: unknown): ToolFault {
  return new ToolFault(`${path} cannot be written: ${error instanceof Error ? error.message : error}`);
}
