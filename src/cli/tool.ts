// What the command-line tools share: the server's settings and store, opened beside a running server, and mistakes
// of the operator said in a sentence, without a stack trace.

import { type Config, readConfig } from "../config.ts";
import { readEnvironment } from "../environment.ts";
import { readSecretKey } from "../secret_key.ts";
import { createSecrets, type Secrets } from "../secrets.ts";
import { createKv, type Kv, StoreUnavailable } from "../store/kv.ts";
import { makeFolder, openDatabase, StoreFault } from "../store/open.ts";

/** A mistake that the operator can mend: its message says how. */
export class ToolFault extends Error {
  override readonly name = "ToolFault";
}

export interface Tool {
  readonly config: Config;
  readonly kv: Kv;
  readonly secrets: Secrets;
}

/** Runs `work` on the open store, and ends the process with status 0, or 1 after a sentence on standard error. */
export async function runTool(work: (tool: Tool) => Promise<void>): Promise<never> {
  try {
    const result = readConfig(await readEnvironment());
    if ("faults" in result) {
      throw new ToolFault(`These settings do not work:\n  ${result.faults.join("\n  ")}`);
    }
    const { config } = result;
    if (config.kvPath !== null) await makeFolder(config.kvPath);
    const kv = createKv(await openDatabase(config.kvPath), Date.now);
    await work({ config, kv, secrets: createSecrets(await readSecretKey(config)) });
    kv.close();
    Deno.exit(0);
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
    if (!isExpected(error)) complain("This should not happen: please report it.");
    Deno.exit(1);
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
  return error instanceof ToolFault || error instanceof StoreFault || error instanceof StoreUnavailable;
}
