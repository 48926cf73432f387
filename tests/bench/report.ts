// What a bench has found, for people and for the next bench.

import type { LimitName } from "./machine_limits.ts";
import type { Measurement } from "./measure.ts";
import type { StartUp } from "./start_up.ts";

/** One measurement of one operation. */
export interface Row extends Measurement {
  readonly operation: string;
  readonly inFlight: number;
  /** How many accounts the store has; null for what the machine does without a server. */
  readonly users: number | null;
  readonly limit: LimitName;
  /** Its rate as a part of the limit's with as many in flight; null for a limit. */
  readonly shareOfLimit: number | null;
}

export interface Report {
  /** RFC 3339. */
  readonly measuredAt: string;
  readonly deno: string;
  readonly cores: number;
  /** Over the last minute before it began: whatever it shows was in the way. */
  readonly loadAverage: number;
  readonly startUps: readonly StartUp[];
  readonly rows: readonly Row[];
}

/** Worse than this is marked. */
const WORSE = 0.9;

/** The figures of a run. */
export function tableOf({ rows, startUps, ...run }: Report): string {
  const head = [
    "",
    "users",
    "in flight",
    "a second",
    "p50 ms",
    "p99 ms",
    "CPU s/1000",
    "client's",
    "MB",
    "of the limit",
  ];
  const lines = rows.map((row) => [
    row.operation,
    String(row.users ?? ""),
    String(row.inFlight),
    row.perSecond.toFixed(0),
    row.p50Ms.toFixed(2),
    row.p99Ms.toFixed(2),
    row.cpuSecondsPer1000.toFixed(3),
    row.clientCpuSecondsPer1000?.toFixed(3) ?? "",
    row.residentMb.toFixed(0),
    row.shareOfLimit === null ? "" : `${(row.shareOfLimit * 100).toFixed(0)} % ${row.limit}`,
  ]);
  return [
    `Deno ${run.deno}, ${run.cores} cores, load average ${
      run.loadAverage.toFixed(2)
    } before. CPU is the server's, with all`,
    "that it started; the client's is beside it, on the same cores. MB are the server's resident memory.",
    "",
    align([head, ...lines]),
    ...startUps.map(({ name, ms }) => `First answer of ${name}: ${ms.toFixed(0)} ms`),
  ].join("\n");
}

/** What many users cost: the figures of the largest store over those of the smallest. */
export function growthOf({ rows }: Report): string {
  const counts = rows.map(({ users }) => users).filter((users) => users !== null);
  const [few, many] = [Math.min(...counts), Math.max(...counts)];
  const head = [`${many} users over ${few}`, "in flight", "CPU s/1000", "", "ratio", "p50 ms", "", "ratio"];
  const lines = rows.filter(({ users }) => users === few).flatMap((before) => {
    const after = rows.find((row) => isSame(row, { ...before, users: many }));
    if (!after) return [];
    return [[
      before.operation,
      String(before.inFlight),
      before.cpuSecondsPer1000.toFixed(3),
      after.cpuSecondsPer1000.toFixed(3),
      (after.cpuSecondsPer1000 / before.cpuSecondsPer1000).toFixed(2),
      before.p50Ms.toFixed(2),
      after.p50Ms.toFixed(2),
      (after.p50Ms / before.p50Ms).toFixed(2),
    ]];
  });
  return align([head, ...lines]);
}

/** How many times as good as `old`: 2.00 is half the cost or twice the rate. Marks what is worse by more than 10 %. */
export function comparisonOf(report: Report, old: Report): string {
  const head = [
    "times as good as before",
    "in flight",
    "a second",
    "p50",
    "p99",
    "CPU",
    "MB",
    "of the limit",
  ];
  const lines = report.rows.flatMap((row) => {
    const before = old.rows.find((one) => isSame(one, row));
    if (!before) return [];
    return [[
      row.operation,
      String(row.inFlight),
      ...[
        row.perSecond / before.perSecond,
        before.p50Ms / row.p50Ms,
        before.p99Ms / row.p99Ms,
        before.cpuSecondsPer1000 / row.cpuSecondsPer1000,
        before.residentMb / row.residentMb,
        (row.shareOfLimit ?? NaN) / (before.shareOfLimit ?? NaN),
      ].map(factor),
    ]];
  });
  const starts = report.startUps.flatMap(({ name, ms }) => {
    const before = old.startUps.find((one) => one.name === name);
    return before ? [`First answer of ${name}: ${factor(before.ms / ms).trim()}`] : [];
  });
  return [align([head, ...lines]), ...starts].join("\n");
}

function factor(value: number): string {
  if (!Number.isFinite(value)) return "";
  return `${value < WORSE ? "! " : ""}${value.toFixed(2)}`;
}

function isSame(a: Row, b: Row): boolean {
  return a.operation === b.operation && a.inFlight === b.inFlight && a.users === b.users;
}

function align(lines: readonly (readonly string[])[]): string {
  const widths =
    lines[0]?.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0))) ?? [];
  return lines.map((cells) =>
    cells.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column === 0 ? cell.padEnd(width) : cell.padStart(width + 2);
    }).join("").trimEnd()
  ).join("\n");
}
