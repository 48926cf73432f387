// `deno task start`: works out which permissions these settings call for, and runs the server with no others. The
// viewer of /docs is fetched beside it, at the first start, so that nobody waits for it.

import { environmentNames, readEnvironment } from "../environment.ts";
import { ensureViewer } from "./viewer.ts";

const HASHER_FOLDERS = "node_modules/@node-rs,node_modules/.deno";

if (import.meta.main) await main();

async function main(): Promise<void> {
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", ...serverFlags(await readEnvironment()), "src/main.ts", ...Deno.args],
  }).spawn();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => tell(server, signal));
  }
  ensureViewer();
  Deno.exit((await server.status).code);
}

/** The permissions that the server needs under these settings, as flags of `deno run`. */
export function serverFlags(env: Readonly<Record<string, string | undefined>>): string[] {
  const storeFolder = folderOf(env.KV_PATH ?? "./data/latchkey.kv");
  return [
    "--quiet",
    "--no-prompt",
    "--frozen",
    // The mail server is wherever SMTP_URL says, and its name resolves to any address.
    "--allow-net",
    `--allow-env=${environmentNames.join(",")},DENO_KV_ACCESS_TOKEN`,
    "--ignore-env",
    `--allow-read=.env,.viewer,${storeFolder},${HASHER_FOLDERS},/usr/bin/ldd`,
    `--allow-write=${storeFolder}`,
    `--allow-ffi=${HASHER_FOLDERS}`,
  ];
}

function folderOf(path: string): string {
  if (/^https?:/.test(path)) return "./data";
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : ".";
}

/** It may have ended a moment ago. */
function tell(server: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    server.kill(signal);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}
