// The server process: opens the store of its settings, and listens where they say.

import type { App } from "./app_env.ts";
import { banner } from "./banner.ts";
import { type Config, readConfig } from "./config.ts";
import { runEntry, StartFault, stopWhenAsked } from "./entry.ts";
import { readEnvironment } from "./environment.ts";
import { startJobs } from "./jobs.ts";
import type { Log } from "./log.ts";
import { createServer } from "./server.ts";
import { openServerStore } from "./store/open.ts";

if (import.meta.main) await runEntry(readConfig(await readEnvironment()), serve);

async function serve(config: Config, log: Log): Promise<void> {
  const store = await openServerStore(config.kvPath);
  const server = await createServer(config, store, log);
  const http = listen(config, server.app);
  const jobs = startJobs(server.deps);
  // Unpacking the list of common passwords takes a moment: now, rather than in somebody's registration.
  void import("./password/dictionary.ts");
  stopWhenAsked({ http, server, store, beforeStop: () => jobs.stop() });
}

function listen(config: Config, app: App): Deno.HttpServer {
  const { host: hostname, port } = config;
  const onListen = (address: Deno.NetAddr): void =>
    banner(config, { port: address.port, isMailbox: config.smtp === null });
  try {
    return Deno.serve({ hostname, port, onListen }, app.fetch);
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      throw new StartFault(`Port ${port} is taken: stop what listens there, or set PORT`);
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartFault(`Cannot listen on ${hostname}, port ${port}: ${reason}. See HOST and PORT`);
  }
}
