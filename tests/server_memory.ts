// What the memory of a started server is, as Linux counts it.

import assert from "node:assert/strict";
import type { Program } from "./process.ts";

/** The resident memory of the server behind the start task. */
export async function residentBytesOf({ pid }: Program): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${await lastDescendantOf(pid)}/status`);
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  assert(kib, status);
  return Number(kib) * 1024;
}

/** The task starts the launcher, which starts the server. */
export async function lastDescendantOf(pid: number): Promise<number> {
  const children = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
  const [child] = children.trim().split(" ").filter((id) => id !== "");
  return child === undefined ? pid : await lastDescendantOf(Number(child));
}
