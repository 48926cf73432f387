// One measurement: so many lanes ask at once, each one request after the other, until the time is over.

import { cpuSecondsOf, residentMbOf } from "./process_tree.ts";

/** One of those who ask at once. */
export interface Lane extends Disposable {
  ask(): Promise<unknown>;
}

export interface Load {
  /** The processes that do the work. */
  readonly tree: readonly number[];
  readonly inFlight: number;
  readonly seconds: number;
  /** Ends it, with its reason. */
  readonly signal: AbortSignal;
  /** Lanes are numbered from 0. */
  readonly openLane: (number: number) => Promise<Lane>;
}

export interface Measurement {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of all processes that do the work, what they do after the last answer included. */
  readonly cpuSecondsPer1000: number;
  /** Of this process, which asks; null when it also does the work. */
  readonly clientCpuSecondsPer1000: number | null;
  readonly residentMb: number;
}

/** What has not answered by then after the time is over never will. */
const ANSWER_LIMIT_MS = 30_000;
const QUIET_MS = 100;
const QUIET_CPU_SECONDS = 0.02;
const QUIET_LOOKS_MAX = 300;

/** Asks for so long and says how it went. Fails when a lane does, or when answers stay out. */
export async function measure({ tree, inFlight, seconds, signal, openLane }: Load): Promise<Measurement> {
  const lanes = await Promise.all(Array.from({ length: inFlight }, (_, number) => openLane(number)));
  const hangUp = (): void => {
    for (const lane of lanes) lane[Symbol.dispose]();
  };
  const client = [Deno.pid];
  const tookMs: number[] = [];
  const cpuBefore = await cpuSecondsOf(tree);
  const clientCpuBefore = await cpuSecondsOf(client);
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  // What a lane waits for fails then.
  const timer = setTimeout(hangUp, seconds * 1000 + ANSWER_LIMIT_MS);
  try {
    await Promise.all(lanes.map(async (lane) => {
      for (let askedMs = startMs; askedMs < endMs;) {
        signal.throwIfAborted();
        await lane.ask();
        const answeredMs = performance.now();
        tookMs.push(answeredMs - askedMs);
        askedMs = answeredMs;
      }
    }));
  } finally {
    clearTimeout(timer);
  }
  const tookSeconds = (performance.now() - startMs) / 1000;
  const clientCpuSeconds = await cpuSecondsOf(client) - clientCpuBefore;
  const residentMb = await residentMbOf(tree);
  hangUp();
  const isInHere = tree.includes(Deno.pid);
  if (!isInHere) await untilQuiet(tree);
  const cpuSeconds = await cpuSecondsOf(tree) - cpuBefore;
  tookMs.sort((a, b) => a - b);
  const at = (share: number): number => tookMs[Math.floor((tookMs.length - 1) * share)] ?? 0;
  return {
    perSecond: tookMs.length / tookSeconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuSecondsPer1000: cpuSeconds / tookMs.length * 1000,
    clientCpuSecondsPer1000: isInHere ? null : clientCpuSeconds / tookMs.length * 1000,
    residentMb,
  };
}

/** Mails leave after the answer: they are part of what a request costs, and must not be of the next measurement. */
async function untilQuiet(tree: readonly number[]): Promise<void> {
  let cpuSeconds = await cpuSecondsOf(tree);
  for (let looks = 0; looks < QUIET_LOOKS_MAX; looks++) {
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const cpuSecondsNow = await cpuSecondsOf(tree);
    if (cpuSecondsNow - cpuSeconds < QUIET_CPU_SECONDS) return;
    cpuSeconds = cpuSecondsNow;
  }
}
