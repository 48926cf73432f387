// Programs of others that a tool runs for a step of its work.

import { ToolFault } from "./tool.ts";

const TIMEOUT_MS = 5 * 60_000;
const LINES_MAX = 12;

/**
 * Runs a program to its end, and returns what it printed on standard output. Throws a ToolFault that begins with
 * `fault` and goes on with its last lines when it fails, is not there, or takes more than five minutes.
 */
export async function callProgram(
  program: string,
  { fault, ...options }: Pick<Deno.CommandOptions, "args" | "cwd" | "env"> & { readonly fault: string },
): Promise<string> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const command = new Deno.Command(program, { ...options, signal, stdin: "null" });
  const { success, stdout, stderr } = await command.output().catch((error: Error) => {
    throw new ToolFault(`${fault}: ${error.message}`);
  });
  const printed = new TextDecoder().decode(stdout);
  if (success) return printed;
  const lines = `${printed}\n${new TextDecoder().decode(stderr)}`.split("\n").filter((line) => line.trim());
  const reason = signal.aborted ? "it took too long" : lines.slice(-LINES_MAX).join("\n  ");
  throw new ToolFault(`${fault}:\n  ${reason}`);
}
