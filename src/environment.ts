// The process environment: real variables first, then `.env` when it is there. Only names that are settings are read,
// so that the process needs no leave for any other.

import { parseEnv } from "node:util";
import { settings } from "./config.ts";

/** What Deno Deploy sets, and nobody else. */
const PLATFORM_NAMES = ["DENO_DEPLOY", "DENO_DEPLOYMENT_ID"];

/** Every name that the server reads. */
export const environmentNames: readonly string[] = [...Object.keys(settings), ...PLATFORM_NAMES];

/** Name → value, for readConfig. */
export async function readEnvironment(): Promise<Record<string, string | undefined>> {
  const fromFile = parseEnv(await readDotEnv());
  return Object.fromEntries(environmentNames.map((name) => [name, Deno.env.get(name) ?? fromFile[name]]));
}

async function readDotEnv(): Promise<string> {
  try {
    return await Deno.readTextFile(".env");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
