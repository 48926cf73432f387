// The server without the start task and the launcher before it: the process that the test starts is the server itself,
// with the permissions that the launcher would give it. For tests that limit or starve the process.

import { readHealth } from "../openapi/service.ts";
import { runFlags } from "../src/cli/launch.ts";
import { environmentNames } from "../src/environment.ts";
import { eventually, type Program, type Settings, type Site, spawnProgram } from "./process.ts";

export interface BareServer extends Program, AsyncDisposable {}

/** Starts it, under a command that runs what follows it, and does not wait until it answers. */
export function spawnBareServer(
  site: Site,
  { settings = {}, under = [] }: { readonly settings?: Settings; readonly under?: readonly string[] } = {},
): BareServer {
  const unset = Object.fromEntries(environmentNames.map((name) => [name, ""]));
  const env = { ...unset, HOST: "127.0.0.1", PORT: String(site.port), KV_PATH: site.storePath, ...settings };
  const command = [...under, Deno.execPath(), "run", ...runFlags(env), "src/main.ts"];
  const program = spawnProgram(command, { env });
  return { ...program, [Symbol.asyncDispose]: program.kill };
}

/** The same, once it answers. */
export async function startBareServer(
  site: Site,
  options: Parameters<typeof spawnBareServer>[1] = {},
): Promise<BareServer> {
  const server = spawnBareServer(site, options);
  try {
    await eventually("the server answers", () => site.call(readHealth).catch(() => null));
  } catch (error) {
    await server.kill();
    throw error;
  }
  return server;
}
