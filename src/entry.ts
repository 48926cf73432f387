// How a server process begins and ends, for both entry files. Whatever keeps it from starting is said in a line or
// two, with what to do, and the process ends with status 1; a signal ends it once what is in flight is answered.

import type { Config, ConfigResult } from "./config.ts";
import { isDiskFault, isFileFault } from "./disk_fault.ts";
import { DotEnvFault } from "./dot_env.ts";
import { WrongSecretKey } from "./keyring.ts";
import { createLog, type Log } from "./log.ts";
import type { Server } from "./server.ts";
import { type OpenStore, StoreFault } from "./store/open.ts";

/** The process cannot serve, in a sentence for the operator. */
export class StartFault extends Error {
  override readonly name = "StartFault";
}

/** How long requests and mails in flight may take once the process is asked to stop; Deno Deploy kills after 5 s. */
const STOP_DEADLINE_MS = 3_500;

/** Runs `serve` with the settings, or ends the process with what is wrong with them, or with whatever either throws. */
export async function runEntry<Served>(
  read: () => Promise<ConfigResult>,
  serve: (config: Config, log: Log) => Promise<Served>,
): Promise<Served> {
  const log = createLog();
  // A fault in the background must not end the process; each task also has its own catch.
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log.error("unhandled rejection", { cause: String(event.reason) });
  });
  try {
    return await serve(requireSettings(await read()), log);
  } catch (error) {
    if (isExpected(error)) fail(error.message);
    if (isDiskFault(error)) fail(`The store cannot be written: ${error.message}`);
    if (isFileFault(error)) fail(`Latchkey cannot start: ${error.message}`);
    // Not thrown on: a rejection does not end the process any more.
    fail(`Latchkey cannot start: ${error instanceof Error ? error.stack : error}`);
  }
}

function requireSettings(result: ConfigResult): Config {
  if ("config" in result) return result.config;
  return fail(
    "Latchkey cannot start with these settings:",
    ...result.faults.map((fault) => `  ${fault}`),
  );
}

/** Ends the process on a signal, or with status 1 when the store is gone: no new requests, then mail, then the store. */
export function stopWhenAsked(
  { http, server, store, beforeStop = () => {} }: {
    readonly http: Pick<Deno.HttpServer, "shutdown">;
    readonly server: Server;
    readonly store: OpenStore;
    readonly beforeStop?: () => void;
  },
): void {
  const stop = onceOnly(async (status: number) => {
    const deadline = setTimeout(() => Deno.exit(status), STOP_DEADLINE_MS);
    beforeStop();
    await http.shutdown();
    await server.outbox.stop();
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

/** Ctrl-C reaches the process from the terminal and from whoever started it. */
function onceOnly<Argument>(
  work: (argument: Argument) => Promise<void>,
): (argument: Argument) => Promise<void> {
  let running: Promise<void> | undefined;
  return (argument) => running ??= work(argument);
}

/** What the operator can mend, said in its message. */
function isExpected(error: unknown): error is Error {
  return [StoreFault, WrongSecretKey, StartFault, DotEnvFault].some((Fault) => error instanceof Fault);
}

function complain(...lines: string[]): void {
  // deno-lint-ignore no-console -- for the operator who watches the start, not for the log.
  for (const line of lines) console.error(line);
}

function fail(...lines: string[]): never {
  complain(...lines);
  Deno.exit(1);
}
