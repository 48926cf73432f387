// The process environment: real variables first, then `.env` when it is there. Only names that are settings are read,
// and one of Deno's, so that the process needs no leave for any other.

import { settings } from "./config.ts";
import { readDotEnv } from "./dot_env.ts";

/** What Deno Deploy sets, and nobody else. */
const PLATFORM_NAMES = ["DENO_DEPLOY", "DENO_DEPLOYMENT_ID"];

/** What Deno presents to a KV Connect server. */
const STORE_TOKEN_NAME = "DENO_KV_ACCESS_TOKEN";

/** Every name that the server reads. */
export const environmentNames: readonly string[] = [...Object.keys(settings), ...PLATFORM_NAMES];

/** Name → value, for readConfig. The token of a KV Connect server is put where Deno looks for it. Throws DotEnvFault. */
export async function readEnvironment(): Promise<Record<string, string | undefined>> {
  const dotEnv = await readDotEnv();
  // Only where there is a file: it takes time to load, and Deno 2.5, as on Deno Deploy, has no parseEnv.
  const fromFile = dotEnv === "" ? {} : (await import("node:util")).parseEnv(dotEnv);
  const storeToken = fromFile[STORE_TOKEN_NAME];
  if (storeToken && !Deno.env.get(STORE_TOKEN_NAME)) Deno.env.set(STORE_TOKEN_NAME, storeToken);
  return Object.fromEntries(environmentNames.map((name) => [name, Deno.env.get(name) ?? fromFile[name]]));
}

/** Deno (from 2.9.1) then refuses to open a store of this process alone, where it finds no other. */
export function insistOnSharedStore(): void {
  Deno.env.set("DENO_KV_REQUIRES_DISTRIBUTED_DATABASE", "error");
}
