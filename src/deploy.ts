// The entry file of Deno Deploy: the same server on the store that the platform attaches. An instance there sleeps
// when nobody asks it anything, so a cron wakes one every minute, which sends the mails that wait and runs the jobs.
// What is used here must be there in Deno 2.5, the version that Deno Deploy documents.

import { type Config, type ConfigResult, readConfig } from "./config.ts";
import { runEntry, StartFault, stopWhenAsked } from "./entry.ts";
import { insistOnSharedStore, readEnvironment } from "./environment.ts";
import { runJobs } from "./jobs.ts";
import type { Log } from "./log.ts";
import { createServer, type Server } from "./server.ts";
import { openServerStore } from "./store/open.ts";

const NO_STORE =
  'There is no store: a Deno KV database must be attached to the app, under "Databases" in its dashboard';

// The platform takes crons from the top level of a module, and only before anything is served.
Deno.cron("mail and jobs", "* * * * *", sweep);
const server = runEntry(async () => readDeployConfig(await readEnvironment()), serve);

async function serve(config: Config, log: Log): Promise<Server> {
  insistOnSharedStore();
  const store = await openServerStore(null).catch((cause: Error) => {
    throw new StartFault(`${NO_STORE}. ${cause.message}`, { cause });
  });
  if (await isOwnStore(store.db)) throw new StartFault(NO_STORE);
  const server = await createServer(config, store, log);
  const onListen = (): void =>
    log.info("deployed", { deno: Deno.version.deno, hasher: server.deps.hasher.name });
  const http = Deno.serve({ onListen }, server.app.fetch);
  stopWhenAsked({ http, server, store });
  return server;
}

/** Before 2.9.1 Deno cannot be told to insist on a shared store. Only one of its own takes messages for a queue. */
async function isOwnStore(db: Deno.Kv): Promise<boolean> {
  if (Deno.version.deno.localeCompare("2.9.1", "en", { numeric: true }) >= 0) return false;
  return await db.enqueue(null).then(() => true, () => false);
}

/** Does once what the server otherwise does from time to time. Other instances may do the same at the same moment. */
async function sweep(): Promise<void> {
  const { deps, outbox } = await server;
  await outbox.settle();
  await runJobs(deps);
}

/** The settings of production, whatever the environment says, and what else an app there cannot do without. */
function readDeployConfig(env: Readonly<Record<string, string | undefined>>): ConfigResult {
  const result = readConfig({ ...env, APP_ENV: "production", DENO_DEPLOY: "true", KV_PATH: undefined });
  const faults = "faults" in result ? [...result.faults] : [];
  if (env.APP_ENV && env.APP_ENV !== "production") {
    faults.push("APP_ENV must be production on Deno Deploy: everybody could read the mailbox of development");
  }
  if (env.KV_PATH) {
    faults.push(
      "KV_PATH must not be set on Deno Deploy: the store is the database that is attached to the app",
    );
  }
  if (!env.PUBLIC_URL) faults.push("PUBLIC_URL is missing: the https address that clients use");
  return faults.length > 0 ? { faults } : result;
}
