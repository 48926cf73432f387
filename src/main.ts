// The server process: reads the settings, opens the store, serves, and stops cleanly. Whatever keeps it from
// starting is said in a line or two, with what to do, and the process ends with status 1.

import { createAccessTokens } from "./access_token.ts";
import { createApp } from "./app.ts";
import type { App } from "./app_env.ts";
import { banner } from "./banner.ts";
import { type Config, readConfig } from "./config.ts";
import type { Deps } from "./deps.ts";
import { readEnvironment } from "./environment.ts";
import { createHasher } from "./hasher.ts";
import { startJobs } from "./jobs.ts";
import { openKeyring, WrongSecretKey } from "./keyring.ts";
import { createLog, type Log } from "./log.ts";
import { createMailboxMailer } from "./mail/mailbox.ts";
import { startOutbox } from "./mail/outbox.ts";
import { createSmtpMailer } from "./mail/smtp.ts";
import { readSecretKey } from "./secret_key.ts";
import { createSecrets } from "./secrets.ts";
import { createKv } from "./store/kv.ts";
import { createLimits } from "./store/limits.ts";
import { releaseClaims } from "./store/mail_claims.ts";
import { openServerStore, type OpenStore, StoreFault } from "./store/open.ts";

/** How long requests and mails in flight may take once the process is asked to stop. */
const STOP_DEADLINE_MS = 3_500;

/** The address cannot be listened on, in a sentence for the operator. */
class ListenFault extends Error {
  override readonly name = "ListenFault";
}

if (import.meta.main) await main();

async function main(): Promise<void> {
  const result = readConfig(await readEnvironment());
  if ("faults" in result) {
    fail(
      "Latchkey cannot start with these settings:",
      ...result.faults.map((fault) => `  ${fault}`),
    );
  }
  try {
    await serve(result.config);
  } catch (error) {
    if (isExpected(error)) fail(error.message);
    // Not thrown on: a rejection does not end the process any more.
    fail(`Latchkey cannot start: ${error instanceof Error ? error.stack : error}`);
  }
}

async function serve(config: Config): Promise<void> {
  const log = createLog();
  // A fault in the background must not end the process; each task also has its own catch.
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log.error("unhandled rejection", { cause: String(event.reason) });
  });

  const store = await openServerStore(config.kvPath);
  const { deps, stopOutbox } = await startDeps(config, store, log);
  const app = createApp(deps);
  const server = listen(config, app);

  const jobs = startJobs(deps);
  // Unpacking the list of common passwords takes a moment: now, rather than in somebody's registration.
  void import("./password/dictionary.ts");

  const stop = onceOnly(async (status: number) => {
    const deadline = setTimeout(() => Deno.exit(status), STOP_DEADLINE_MS);
    jobs.stop();
    await server.shutdown();
    await stopOutbox();
    store.close();
    clearTimeout(deadline);
    Deno.exit(status);
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stop(0));
  store.gone.then((sentence) => {
    complain(sentence);
    return stop(1);
  });
}

function listen(config: Config, app: App): Deno.HttpServer {
  const { host: hostname, port } = config;
  const onListen = (address: Deno.NetAddr): void =>
    banner(config, { port: address.port, isMailbox: config.smtp === null });
  try {
    return Deno.serve({ hostname, port, onListen }, app.fetch);
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      throw new ListenFault(`Port ${port} is taken: stop what listens there, or set PORT`);
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new ListenFault(`Cannot listen on ${hostname}, port ${port}: ${reason}. See HOST and PORT`);
  }
}

/** Everything a request needs, and the worker that sends its mails. */
async function startDeps(
  config: Config,
  store: OpenStore,
  log: Log,
): Promise<{ readonly deps: Deps; stopOutbox(): Promise<void> }> {
  const nowMs = Date.now;
  const kv = createKv(store.db, nowMs);
  const secrets = createSecrets(await readSecretKey(config));
  const keyring = await openKeyring(kv, secrets);
  const mailer = config.smtp
    ? createSmtpMailer(config.smtp, { from: config.mailFrom })
    : createMailboxMailer({ kv, secrets, nowMs, log });
  // Whoever was sending when the process was killed is not any more.
  if (store.isExclusive) await releaseClaims(kv);
  const outbox = startOutbox({ kv, secrets, nowMs, log, config, mailer });
  const deps: Deps = {
    config,
    kv,
    nowMs,
    secrets,
    log,
    limits: createLimits(kv, config.policies),
    hasher: await createHasher(),
    accessTokens: createAccessTokens(config, keyring, nowMs),
    wakeOutbox: () => outbox.wake(),
  };
  return { deps, stopOutbox: () => outbox.stop() };
}

/** Ctrl-C reaches the process from the terminal and from whoever started it. */
function onceOnly<Argument>(
  work: (argument: Argument) => Promise<void>,
): (argument: Argument) => Promise<void> {
  let running: Promise<void> | undefined;
  return (argument) => running ??= work(argument);
}

/** What the operator can mend, said in its message. */
function isExpected(error: unknown): error is Error {
  return error instanceof StoreFault || error instanceof WrongSecretKey || error instanceof ListenFault;
}

function complain(...lines: string[]): void {
  // deno-lint-ignore no-console -- for the operator who watches the start, not for the log.
  for (const line of lines) console.error(line);
}

function fail(...lines: string[]): never {
  complain(...lines);
  Deno.exit(1);
}
