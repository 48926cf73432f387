// A command-line tool as its operator runs it, to its end. Whatever it says, it never shows a stack trace.

import assert from "node:assert/strict";
import type { Site, SpawnOptions } from "./process.ts";

/** What a tool said, and how it ended. */
export interface ToolRun {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a task of deno.json to its end. */
export async function runTask(
  site: Pick<Site, "spawn">,
  task: string,
  args: readonly string[] = [],
  options: Pick<SpawnOptions, "settings" | "stdin" | "under"> = {},
): Promise<ToolRun> {
  const program = site.spawn(task, { ...options, args });
  const run = { status: await program.ended(), stdout: program.stdout(), stderr: program.stderr() };
  assert.doesNotMatch(run.stdout + run.stderr, /^\s+at |should not happen|NotCapable|Requires \w+ access/m);
  return run;
}

/** The same, for a run that must succeed. Returns what it printed. */
export async function requireTask(...run: Parameters<typeof runTask>): Promise<string> {
  const { status, stdout, stderr } = await runTask(...run);
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}
