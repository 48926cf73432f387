// What a process and all that it started take of the machine, as Linux counts it (proc(5)).

const TICKS_PER_SECOND = 100;

/** The ids of a process and its descendants, as they are now. */
export async function treeOf(pid: number): Promise<number[]> {
  const children: number[] = [];
  for await (const { name: thread } of Deno.readDir(`/proc/${pid}/task`)) {
    const text = await Deno.readTextFile(`/proc/${pid}/task/${thread}/children`);
    children.push(...text.split(" ").filter((id) => id !== "").map(Number));
  }
  return [pid, ...(await Promise.all(children.map(treeOf))).flat()];
}

/** Seconds of processor time that they have taken so far, in user mode and in the kernel. */
export async function cpuSecondsOf(tree: readonly number[]): Promise<number> {
  const ticks = await Promise.all(tree.map(async (pid) => {
    // The program's name comes before, in parentheses, and may hold anything; utime and stime are fields 14 and 15.
    const fields = (await Deno.readTextFile(`/proc/${pid}/stat`)).split(") ").at(-1)?.split(" ") ?? [];
    return Number(fields[11]) + Number(fields[12]);
  }));
  return ticks.reduce((sum, one) => sum + one, 0) / TICKS_PER_SECOND;
}

/** Resident memory of the largest of them: of a start task, the server. The launcher before it only waits. */
export async function residentMbOf(tree: readonly number[]): Promise<number> {
  const kib = await Promise.all(tree.map(async (pid) => {
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  }));
  return Math.max(...kib) / 1024;
}
