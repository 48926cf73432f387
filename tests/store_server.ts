// A KV Connect server as a process of its own, for servers that share a store: the one in tests/kv_connect, or a real
// denokv where DENOKV_BIN names its binary.

import { eventually, freePort, type Program, REPOSITORY, spawnProgram } from "./process.ts";

/** Killed, and its file removed, when it is disposed of. */
export interface StoreServer extends AsyncDisposable {
  readonly url: string;
  /** Begins to answer, with what was there when it was killed. */
  start(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/** The same for all tests, because Deno's client takes it from the environment that they share. */
export const STORE_TOKEN = "token-of-the-store-that-tests-share";

/** For a process that is to open `url`. */
export function storeSettings(
  url: string,
): { readonly KV_PATH: string; readonly DENO_KV_ACCESS_TOKEN: string } {
  return { KV_PATH: url, DENO_KV_ACCESS_TOKEN: STORE_TOKEN };
}

/** Opens the store in this process, as a server would. */
export async function openStore(url: string): Promise<Deno.Kv> {
  Deno.env.set("DENO_KV_ACCESS_TOKEN", STORE_TOKEN);
  return await Deno.openKv(url);
}

/** Starts one on an empty store. */
export async function startStoreServer(): Promise<StoreServer> {
  const folder = await Deno.makeTempDir({ prefix: "latchkey_store_" });
  const port = freePort();
  let program: Program | undefined;
  const server: StoreServer = {
    url: `http://127.0.0.1:${port}`,
    async start() {
      program = spawnProgram([...storeExecutable(), ...options({ folder, port })]);
      await eventually("the store answers", () => isListening(port));
    },
    async kill() {
      await program?.kill();
    },
    async [Symbol.asyncDispose]() {
      await server.kill();
      await Deno.remove(folder, { recursive: true });
    },
  };
  await server.start();
  return server;
}

/** What takes denokv's command line. */
export function storeExecutable(): string[] {
  const denokv = Deno.env.get("DENOKV_BIN");
  if (denokv) return [denokv];
  return [Deno.execPath(), "run", "--quiet", "--allow-all", `${REPOSITORY}/tests/kv_connect/serve.ts`];
}

function options({ folder, port }: { readonly folder: string; readonly port: number }): string[] {
  return [
    "--sqlite-path",
    `${folder}/store.sqlite`,
    "serve",
    "--addr",
    `127.0.0.1:${port}`,
    "--access-token",
    STORE_TOKEN,
  ];
}

/** Whether anybody listens on a port of loopback. */
export async function isListening(port: number | string): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port: Number(port) })).close();
    return true;
  } catch {
    return false;
  }
}
