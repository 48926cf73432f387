// The server process: opens the store of its settings, and listens where they say.

import type { App } from "./app_env.ts";
import { banner } from "./banner.ts";
import { type Config, readConfig } from "./config.ts";
import { examineSettings } from "./doctor/settings.ts";
import { readDotEnv } from "./dot_env.ts";
import { runEntry, StartFault, stopWhenAsked } from "./entry.ts";
import { readEnvironment } from "./environment.ts";
import { startJobs } from "./jobs.ts";
import type { Log } from "./log.ts";
import { createServer } from "./server.ts";
import { keys } from "./store/keys.ts";
import { createKv, isPresent } from "./store/kv.ts";
import { openServerStore } from "./store/open.ts";

/** Gives files back before the next ones are asked for. */
const RELISTEN_DELAY_MS = 100;

if (import.meta.main) await runEntry(async () => readConfig(await readEnvironment()), serve);

async function serve(config: Config, log: Log): Promise<void> {
  const isMarked = await hasMark(config.kvPath);
  const store = await openServerStore(config.kvPath);
  if (isMarked) await requireSameStore(store.db, config.kvPath);
  const server = await createServer(config, store, log);
  const doubts = examineSettings(config, await readDotEnv()).filter(({ isWell }) => !isWell);
  const http = listen(config, server.app, { log, warnings: doubts.map(({ text }) => text) });
  const jobs = startJobs(server.deps);
  // Unpacking the list of common passwords takes a moment: now, rather than in somebody's registration.
  void import("./password/dictionary.ts");
  stopWhenAsked({ http, server, store, beforeStop: () => jobs.stop() });
}

/** Whether a server has had its store at this path before: openServerStore leaves a mark beside it. */
async function hasMark(path: string | null): Promise<boolean> {
  return await Deno.stat(`${path}.lock`).then(({ size }) => size > 0, () => false);
}

/** A file that was put in the store's place opens like a new store. Throws StartFault. */
async function requireSameStore(db: Deno.Kv, path: string | null): Promise<void> {
  if (isPresent(await createKv(db, () => 0).find(keys.store()))) return;
  throw new StartFault(
    `The store ${path} is not the one that was here: restore a backup, or remove it and ${path}.lock to start ` +
      "with an empty one",
  );
}

/**
 * Listens until it is shut down. At the limit of open files Deno stops listening, and the process would end as if all
 * were well: instead it lets go of every connection, since they hold the files, and listens again.
 */
function listen(
  config: Config,
  app: App,
  { log, warnings }: { readonly log: Log; readonly warnings: readonly string[] },
): Pick<Deno.HttpServer, "shutdown"> {
  const { host: hostname, port } = config;
  let http: Deno.HttpServer<Deno.NetAddr>;
  const open = (port: number, onListen: (address: Deno.NetAddr) => void): void => {
    const connections = new AbortController();
    http = Deno.serve({ hostname, port, onListen, signal: connections.signal }, app.fetch);
    const { addr, finished } = http;
    finished.catch((error: unknown) => {
      log.error("connections dropped", { cause: String(error) });
      connections.abort();
      setTimeout(() => open(addr.port, () => {}), RELISTEN_DELAY_MS);
    });
  };
  try {
    open(
      port,
      (address) => banner(config, { port: address.port, isMailbox: config.smtp === null, warnings }),
    );
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      throw new StartFault(`Port ${port} is taken: stop what listens there, or set PORT`);
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartFault(`Cannot listen on ${hostname}, port ${port}: ${reason}. See HOST and PORT`);
  }
  return { shutdown: () => http.shutdown() };
}
