// What the command-line tools share: the server's settings and store, opened beside a running server, and mistakes
// of the operator said in a sentence, without a stack trace.

import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { type Config, readConfig } from "../config.ts";
import { DotEnvFault } from "../dot_env.ts";
import { readEnvironment } from "../environment.ts";
import { openKeyring, WrongSecretKey } from "../keyring.ts";
import { readSecretKey } from "../secret_key.ts";
import { createSecrets, type Secrets } from "../secrets.ts";
import { createKv, type Kv, StoreUnavailable } from "../store/kv.ts";
import { isOverNetwork, openDatabase, StoreFault } from "../store/open.ts";
import { requireCurrentSchema } from "../store/schema.ts";

/** A mistake that the operator can mend: its message says how. */
export class ToolFault extends Error {
  override readonly name = "ToolFault";
}

export interface Tool {
  readonly config: Config;
  readonly kv: Kv;
  readonly secrets: Secrets;
}

/** Runs `work` on the open store, like `runProgram`. */
export function runTool(work: (tool: Tool) => Promise<void>): Promise<never> {
  return runProgram(async () => {
    const config = await requireConfig();
    await useStore(
      config,
      async (kv) => await work({ config, kv, secrets: await requireSecrets(config, kv) }),
    );
  });
}

/** Opens the store for `work`, also beside a running server. Throws StoreFault. */
export async function useStore(config: Config, work: (kv: Kv) => Promise<void>): Promise<void> {
  const kv = createKv(await openDatabase(config.kvPath), Date.now, {
    isOverNetwork: isOverNetwork(config.kvPath),
  });
  try {
    await requireCurrentSchema(kv, { name: config.kvPath ?? "The store" });
    await work(kv);
  } finally {
    // What SQLite keeps beside the file is cleared away.
    kv.close();
  }
}

/** What SECRET_KEY makes, and an empty store marked as ours. Throws WrongSecretKey: what is written then looks forged. */
export async function requireSecrets(config: Config, kv: Kv): Promise<Secrets> {
  const secrets = createSecrets(await readSecretKey(config));
  await openKeyring(kv, secrets);
  return secrets;
}

/** Runs `work`, and ends the process with status 0, or 1 after a sentence on standard error. */
export async function runProgram(work: () => Promise<void>): Promise<never> {
  try {
    await work();
    Deno.exit(0);
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
    if (!isExpected(error)) complain("This should not happen: please report it.");
    Deno.exit(1);
  }
}

/** The settings. Throws a ToolFault that names every fault. */
export async function requireConfig(): Promise<Config> {
  const result = readConfig(await readEnvironment());
  if ("config" in result) return result.config;
  throw new ToolFault(`These settings do not work:\n  ${result.faults.join("\n  ")}`);
}

/** The options and operands of the command line. Throws a ToolFault with `help` when there are others, or too many. */
export function readArguments<const Options extends ParseArgsOptionsConfig>(
  { help, options, operandsMax = 0 }: {
    readonly help: string;
    readonly options: Options;
    readonly operandsMax?: number;
  },
): ReturnType<typeof parseArgs<{ options: Options; allowPositionals: true }>> {
  try {
    const parsed = parseArgs({ args: Deno.args, options, allowPositionals: true });
    const surplus = parsed.positionals[operandsMax];
    if (surplus !== undefined) throw new Error(`Unexpected argument '${surplus}'`);
    return parsed;
  } catch (error) {
    // Node goes on with a hint about operands that begin with a dash, which hides what is wrong.
    const [sentence] = String(error instanceof Error ? error.message : error).split(". To specify");
    throw new ToolFault(`${sentence}\n\n${help}`);
  }
}

/** A line on standard output. */
export function say(line: string): void {
  // deno-lint-ignore no-console -- the answer of a command-line tool.
  console.log(line);
}

/** A line on standard error. */
export function complain(line: string): void {
  // deno-lint-ignore no-console -- the complaint of a command-line tool.
  console.error(line);
}

function isExpected(error: unknown): boolean {
  return [ToolFault, StoreFault, StoreUnavailable, WrongSecretKey, DotEnvFault].some((Fault) =>
    error instanceof Fault
  );
}
