// The process environment: real variables first, then `.env` when it is there. Only names that are settings are read,
// so that the process needs no leave for any other.

import util from "node:util";
import { settings } from "./config.ts";

/** What Deno Deploy sets, and nobody else. */
const PLATFORM_NAMES = ["DENO_DEPLOY", "DENO_DEPLOYMENT_ID"];

/** Every name that the server reads. */
export const environmentNames: readonly string[] = [...Object.keys(settings), ...PLATFORM_NAMES];

/** Name → value, for readConfig. */
export async function readEnvironment(): Promise<Record<string, string | undefined>> {
  const dotEnv = await readDotEnv();
  // Not a named import: Deno 2.5 has no parseEnv, and on Deno Deploy there is no file either.
  const fromFile = dotEnv === "" ? {} : util.parseEnv(dotEnv);
  return Object.fromEntries(environmentNames.map((name) => [name, Deno.env.get(name) ?? fromFile[name]]));
}

/** Deno (from 2.9.1) then refuses to open a store of this process alone, where it finds no other. */
export function insistOnSharedStore(): void {
  Deno.env.set("DENO_KV_REQUIRES_DISTRIBUTED_DATABASE", "error");
}

async function readDotEnv(): Promise<string> {
  try {
    return await Deno.readTextFile(".env");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
