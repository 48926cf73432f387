// What a server does besides answering: finishing deletions that a crash interrupted, here or on another instance.
// Each job can run anywhere, twice, and at the same time.

import type { Deps } from "./deps.ts";
import { resumeDeletions } from "./store/deletion.ts";

export interface Jobs {
  stop(): void;
}

const INTERVAL_MS = 60_000;

/** Runs the jobs now and every minute. A failure is logged, and the next minute tries again. */
export function startJobs(deps: Pick<Deps, "kv" | "log">): Jobs {
  void runJobs(deps);
  const timer = setInterval(() => void runJobs(deps), INTERVAL_MS);
  Deno.unrefTimer(timer);
  return { stop: () => clearInterval(timer) };
}

/** One round. Never rejects. */
export async function runJobs({ kv, log }: Pick<Deps, "kv" | "log">): Promise<void> {
  try {
    await resumeDeletions(kv);
  } catch (error) {
    log.error("job failed", { cause: error instanceof Error ? error.message : String(error) });
  }
}
