// The bench runs, as short as it can, so that it does not rot: it asks for every operation, says what it found in a form
// that the next run can compare, and leaves nothing behind. How fast anything is, it does not judge here.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { comparisonOf, growthOf, type Report, type Row } from "./bench/report.ts";
import { eventually, type Program, REPOSITORY, spawnProgram } from "./process.ts";

const LIMITS = [
  "bare Hono",
  "bare Hono, Ed25519 verified",
  "bare argon2id verify",
  "bare KV get",
  "bare KV commit",
];
const OPERATIONS = [
  "login",
  "login, wrong password",
  "readMe",
  "refreshTokens",
  "createNote",
  "listNotes",
  "listUsers",
  "listUsers, search",
  "listUsers, 1 in 10 fits",
  "listAuditEvents",
  "readSignInReport",
  "updateUser, plan",
  "register",
];

Deno.test("bench: every limit and operation is measured, and nothing is left behind", async () => {
  await using bench = await startBench(
    "--seconds",
    "0.1",
    "--in-flight",
    "2",
    "--starts",
    "1",
    "--json",
    "-",
  );
  await eventually("the bench is over", () => !existsSync(`/proc/${bench.program.pid}`), {
    limitMs: 120_000,
  });
  assert.equal(await bench.program.ended(), 0, bench.program.stderr());
  const { rows, startUps }: Report = JSON.parse(bench.program.stdout());
  assert.deepEqual(rows.map(({ operation }) => operation), [...LIMITS, ...OPERATIONS]);
  for (const row of rows) {
    const isServers = OPERATIONS.includes(row.operation);
    assert(row.perSecond > 0 && row.p50Ms > 0 && row.p99Ms >= row.p50Ms, JSON.stringify(row));
    assert(row.cpuSecondsPer1000 >= 0 && row.residentMb > 10, JSON.stringify(row));
    assert(isServers ? (row.shareOfLimit ?? 0) > 0 : row.shareOfLimit === null, JSON.stringify(row));
    assert.equal(row.users, isServers ? 1_000 : null);
  }
  assert.deepEqual(startUps.map(({ name, ms }) => [name, ms > 0]), [
    ["deno task start", true],
    ["the server alone", true],
  ]);
  assert.deepEqual(bench.left(), []);
});

Deno.test("bench: interrupted, it leaves nothing behind", async () => {
  await using bench = await startBench("--users", "1000000");
  await eventually("the bench has started", () => bench.left().length > 0);
  bench.program.signal("SIGTERM");
  assert.equal(await bench.program.ended(), 1);
  assert.equal(bench.program.stderr(), "Interrupted\n");
  assert.deepEqual(bench.left(), []);
});

Deno.test("bench: a comparison says how many times as good it is, and marks what is worse", () => {
  const old = reportOf([row("login", { perSecond: 100, cpuSecondsPer1000: 10 }), row("gone", {})]);
  const now = reportOf([row("login", { perSecond: 50, cpuSecondsPer1000: 5 }), row("new", {})]);
  const [, ...lines] = comparisonOf(now, old).split("\n");
  assert.deepEqual(lines.map((line) => line.trim().split(/ {2,}/)), [
    ["login", "16", "! 0.50", "1.00", "1.00", "2.00", "1.00", "1.00"],
    ["First answer of the server alone: 1.00"],
  ]);
});

Deno.test("bench: growth is what many users cost over few", () => {
  const report = reportOf([
    row("login", { users: 1_000, cpuSecondsPer1000: 10, p50Ms: 4 }),
    row("login", { users: 50_000, cpuSecondsPer1000: 12, p50Ms: 6 }),
  ]);
  const [, ...lines] = growthOf(report).split("\n");
  assert.deepEqual(lines.map((line) => line.trim().split(/ {2,}/)), [
    ["login", "16", "10.000", "12.000", "1.20", "4.00", "6.00", "1.50"],
  ]);
});

/** The bench with a folder of its own for all it makes; what is in there at a time. */
async function startBench(
  ...args: string[]
): Promise<{ readonly program: Program; left(): string[] } & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "latchkey_" });
  const command = [Deno.execPath(), "task", "bench", ...args];
  const program = spawnProgram(command, { cwd: REPOSITORY, env: { TMPDIR: folder } });
  return {
    program,
    left: () => [...Deno.readDirSync(folder)].map(({ name }) => name),
    async [Symbol.asyncDispose]() {
      await program.kill();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function reportOf(rows: readonly Row[]): Report {
  return {
    measuredAt: "2026-11-21T09:00:00Z",
    deno: "2.9.6",
    cores: 2,
    loadAverage: 0,
    startUps: [{ name: "the server alone", ms: 250 }],
    rows,
  };
}

function row(operation: string, figures: Partial<Row>): Row {
  return {
    operation,
    inFlight: 16,
    users: 1_000,
    limit: "argon2id",
    shareOfLimit: 0.9,
    perSecond: 100,
    p50Ms: 4,
    p99Ms: 8,
    cpuSecondsPer1000: 10,
    clientCpuSecondsPer1000: 0.01,
    residentMb: 120,
    ...figures,
  };
}
