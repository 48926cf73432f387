// How long it takes from the start of a process to the first answer, with caches warm and a store that is there.

import { environmentNames } from "../../src/environment.ts";
import { runFlags } from "../../src/cli/launch.ts";
import { type Program, REPOSITORY, type Settings, spawnProgram } from "../process.ts";
import { connect, encodeRequest } from "./connection.ts";

export interface StartUp {
  readonly name: string;
  /** The median. */
  readonly ms: number;
}

const LIMIT_MS = 60_000;
const LOOK_INTERVAL_MS = 2;
const HEALTH = encodeRequest({ method: "get", path: "/health" });

/** Starts the server `times` over, by its task and without, on the store that `settings` name. */
export async function measureStartUp(
  settings: Settings,
  { times, signal }: { readonly times: number; readonly signal: AbortSignal },
): Promise<StartUp[]> {
  const unset = Object.fromEntries(environmentNames.map((name) => [name, ""]));
  const env = { ...unset, ...settings };
  const commands = {
    "deno task start": ["task", "start"],
    "the server alone": ["run", ...runFlags(env, ["src/main.ts"]), "src/main.ts"],
  };
  const startUps: StartUp[] = [];
  for (const [name, args] of Object.entries(commands)) {
    const tookMs: number[] = [];
    // The first one warms the caches.
    for (let start = 0; start <= times; start++) {
      signal.throwIfAborted();
      const startMs = performance.now();
      const program = spawnProgram([Deno.execPath(), ...args], { cwd: REPOSITORY, env });
      try {
        await firstAnswer(program, Number(env.PORT));
        if (start > 0) tookMs.push(performance.now() - startMs);
        await program.stop();
      } finally {
        await program.kill();
      }
    }
    startUps.push({ name, ms: tookMs.sort((a, b) => a - b)[Math.floor(times / 2)] ?? 0 });
  }
  return startUps;
}

async function firstAnswer(program: Program, port: number): Promise<void> {
  const endMs = performance.now() + LIMIT_MS;
  while (performance.now() < endMs) {
    try {
      using connection = await connect(port);
      await connection.ask(HEALTH);
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS));
    }
  }
  throw new Error(`The server does not answer:\n${program.stdout()}${program.stderr()}`);
}
