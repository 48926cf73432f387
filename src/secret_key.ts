// The development secret: made once, kept beside the store for its owner only, so that tokens and codes survive a
// restart without any setting. Production always brings its own.

import { Buffer } from "node:buffer";
import type { Config } from "./config.ts";
import { randomText } from "./secrets.ts";
import { isRemote } from "./store/open.ts";

/** SECRET_KEY, or the kept one of a development server. */
export async function readSecretKey(
  { secretKey, kvPath }: Pick<Config, "secretKey" | "kvPath">,
): Promise<string> {
  if (secretKey !== null) return secretKey;
  const path = kvPath === null || isRemote(kvPath) ? "./data/secret_key" : `${kvPath}.secret`;
  try {
    return (await Deno.readTextFile(path)).trim();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const made = randomText(32);
  // createNew: of two processes that start at once, one makes it.
  const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  using _ = file;
  await file.write(Buffer.from(`${made}\n`));
  await file.sync();
  return made;
}
