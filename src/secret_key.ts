// The development secret: made once, kept beside the store for its owner only, so that tokens and codes survive a
// restart without any setting. Production always brings its own.

import { Buffer } from "node:buffer";
import type { Config } from "./config.ts";
import { randomText } from "./secrets.ts";
import { isOverNetwork, StoreFault } from "./store/open.ts";

/** SECRET_KEY, or the kept one of a development server. A store in memory has one for as long as it lives. */
export async function readSecretKey(
  config: Pick<Config, "secretKey" | "kvPath">,
): Promise<string> {
  const { kvPath } = config;
  const found = await findSecretKey(config);
  if (found !== null) return found;
  if (kvPath === ":memory:") return randomText(32);
  // A store elsewhere has made no folder here.
  if (isOverNetwork(kvPath)) await Deno.mkdir("./data", { recursive: true, mode: 0o700 });
  return await keepFirst(keptPath(kvPath), randomText(32));
}

/** The same, but none is made: null when there is none yet. */
export async function findSecretKey(
  { secretKey, kvPath }: Pick<Config, "secretKey" | "kvPath">,
): Promise<string | null> {
  return secretKey ?? await readKept(keptPath(kvPath));
}

function keptPath(kvPath: string | null): string {
  return isOverNetwork(kvPath) ? "./data/secret_key" : `${kvPath}.secret`;
}

async function readKept(path: string): Promise<string | null> {
  try {
    return (await Deno.readTextFile(path)).trim() || null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Of two processes that start at once, one makes the key for both; and it is there as a whole, or not at all. */
async function keepFirst(path: string, made: string): Promise<string> {
  const draft = `${path}.${randomText(6)}`;
  try {
    using file = await Deno.open(draft, { write: true, createNew: true, mode: 0o600 });
    await file.write(Buffer.from(`${made}\n`));
    await file.sync();
    await Deno.link(draft, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  } finally {
    await Deno.remove(draft);
  }
  const kept = await readKept(path);
  if (kept === null) throw new StoreFault(`The key ${path} is empty: restore it from a backup`);
  return kept;
}
