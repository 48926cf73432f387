// `deno task bench`: the server as users run it, limits on but set high, logs on, the store in a file; loopback only,
// and bounded. What it does stands beside what this machine can do at most; with --users, a store with so many accounts
// beside one with a thousand.

import { loadavg } from "node:os";
import { readArguments, runProgram, say, ToolFault } from "../../src/cli/tool.ts";
import { createSite, type Settings, type Site } from "../process.ts";
import { LIMITS, startMachine } from "./machine_limits.ts";
import { type Load, measure, type Measurement } from "./measure.ts";
import { openLane, OPERATIONS } from "./operations.ts";
import { LANES_MAX, type People, seedPeople, USERS_MIN } from "./people.ts";
import { treeOf } from "./process_tree.ts";
import { comparisonOf, growthOf, type Report, type Row, tableOf } from "./report.ts";
import { measureStartUp, type StartUp } from "./start_up.ts";

const HELP = `Measures the server on this machine, beside what the machine can do at most. Linux only.

  deno task bench [--users N] [--seconds 3] [--in-flight 1,16,64] [--starts 5] [--json FILE] [--compare FILE]

  --users N      compare a store of N users, up to a million, with one of ${USERS_MIN}; a million takes some minutes to make
  --seconds S    how long each measurement takes
  --in-flight L  how many ask at once; with --users 16 alone
  --starts N     how often the server is started for the time to its first answer
  --json FILE    write the figures to FILE as well, or print them instead of the table when FILE is -
  --compare FILE print how many times as good as those of an earlier run they are`;

const USERS_MAX = 1_000_000;
const HIGH = "1000000000/1d";
const POLICIES = ["LOGIN", "REGISTER", "OTP", "PASSWORD_RESET", "PASSWORD", "MAIL", "ANONYMOUS", "USER"];
const SETTINGS: Settings = {
  ...Object.fromEntries(POLICIES.map((policy) => [`THROTTLE_${policy}`, HIGH])),
  SECRET_KEY: "7Vb2xk0Qm9ZtRrY4sWcL1pHdJ8gNfEuA",
  FREE_NOTES: "100000",
  // A large store takes its time.
  ACCESS_TOKEN_TTL: "24h",
};
/** Before what is measured, as a part of its time: code gets faster when it has run for a while. */
const WARM_UP = 1 / 3;

interface Wanted {
  /** How many users the stores have, one store after the other. */
  readonly users: readonly number[];
  readonly seconds: number;
  readonly inFlight: readonly number[];
  readonly starts: number;
  /** A file, `-` for the standard output, or null. */
  readonly json: string | null;
  readonly compare: string | null;
  readonly signal: AbortSignal;
}

if (import.meta.main) {
  if (Deno.args.includes("--help")) say(HELP);
  else await runProgram(bench);
}

async function bench(): Promise<void> {
  const wanted = readWanted();
  const old: Report | null = wanted.compare && JSON.parse(await Deno.readTextFile(wanted.compare));
  const [loadAverage = 0] = loadavg();
  const measuredAt = new Date().toISOString();
  const startUps = await benchStartUp(wanted);
  const limits = await benchMachine(wanted);
  const report: Report = {
    measuredAt,
    deno: Deno.version.deno,
    cores: navigator.hardwareConcurrency,
    loadAverage,
    startUps,
    rows: [...limits, ...await benchServers(wanted, limits)],
  };
  if (wanted.json === "-") return say(JSON.stringify(report, null, 2));
  if (wanted.json !== null) await Deno.writeTextFile(wanted.json, JSON.stringify(report, null, 2));
  say(tableOf(report));
  if (wanted.users.length > 1) say(`\n${growthOf(report)}`);
  if (old) say(`\n${comparisonOf(report, old)}`);
}

async function benchStartUp({ starts, signal }: Wanted): Promise<StartUp[]> {
  await using site = await createSite();
  return await measureStartUp(settingsOf(site), { times: starts, signal });
}

async function benchMachine(wanted: Wanted): Promise<Row[]> {
  await using machine = await startMachine();
  const rows: Row[] = [];
  for (const { limit, ...work } of machine.works) {
    for (const [inFlight, measurement] of await measureAll(wanted, work)) {
      const share = { limit, shareOfLimit: null };
      rows.push({ operation: LIMITS[limit], users: null, inFlight, ...measurement, ...share });
    }
  }
  return rows;
}

/** One operation after the other, each on all stores: whatever else the machine does meanwhile is in the way of all. */
async function benchServers(wanted: Wanted, limits: readonly Row[]): Promise<Row[]> {
  await using stack = new AsyncDisposableStack();
  const servers: BenchServer[] = [];
  for (const users of wanted.users) {
    servers.push(await startBenchServer(stack.use(await createSite()), users, wanted.signal));
  }
  const rows: Row[] = [];
  for (const operation of OPERATIONS) {
    const { name, limit } = operation;
    for (const { users, tree, port, people } of servers) {
      const work = { tree, openLane: (lane: number) => openLane({ port, people }, operation, lane) };
      for (const [inFlight, measurement] of await measureAll(wanted, work)) {
        const atMost = limits.find((row) => row.limit === limit && row.inFlight === inFlight)?.perSecond ??
          NaN;
        const share = { limit, shareOfLimit: measurement.perSecond / atMost };
        rows.push({ operation: name, users, inFlight, ...measurement, ...share });
      }
    }
  }
  return rows;
}

/** A server on a store of so many users. */
interface BenchServer {
  readonly users: number;
  readonly people: People;
  readonly port: number;
  readonly tree: readonly number[];
}

async function startBenchServer(site: Site, users: number, signal: AbortSignal): Promise<BenchServer> {
  const settings = settingsOf(site);
  const people = await seedPeople(settings, { users, signal });
  // What it logs goes where it goes in operation, to a file, and costs this process nothing.
  const under = ["sh", "-c", `exec "$@" >"$0/log"`, site.folder];
  const { pid } = await site.startServer(settings, { under });
  return { users, people, port: site.port, tree: await treeOf(pid) };
}

/** One work with each number in flight. */
async function measureAll(
  { seconds, inFlight, signal }: Wanted,
  work: Pick<Load, "tree" | "openLane">,
): Promise<[inFlight: number, measurement: Measurement][]> {
  await measure({ ...work, signal, inFlight: Math.max(...inFlight), seconds: seconds * WARM_UP });
  const measurements: [number, Measurement][] = [];
  for (const lanes of inFlight) {
    measurements.push([lanes, await measure({ ...work, signal, inFlight: lanes, seconds })]);
  }
  return measurements;
}

function settingsOf({ port, storePath }: Site): Settings {
  return { ...SETTINGS, HOST: "127.0.0.1", PORT: String(port), KV_PATH: storePath };
}

function readWanted(): Wanted {
  if (Deno.build.os !== "linux") throw new ToolFault("What a process takes is read from /proc: Linux only");
  const { values } = readArguments({
    help: HELP,
    options: {
      "users": { type: "string" },
      "seconds": { type: "string", default: "3" },
      "in-flight": { type: "string" },
      "starts": { type: "string", default: "5" },
      "json": { type: "string" },
      "compare": { type: "string" },
    },
  });
  const users = values.users === undefined ? null : numberOf("users", values.users, USERS_MIN + 1, USERS_MAX);
  const inFlight = values["in-flight"] ?? (users === null ? "1,16,64" : "16");
  return {
    users: users === null ? [USERS_MIN] : [USERS_MIN, users],
    seconds: numberOf("seconds", values.seconds, 0.1, 60),
    inFlight: inFlight.split(",").map((lanes) => numberOf("in-flight", lanes, 1, LANES_MAX)),
    starts: numberOf("starts", values.starts, 1, 100),
    json: values.json ?? null,
    compare: values.compare ?? null,
    signal: interruption(),
  };
}

function numberOf(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (value >= min && value <= max && (option === "seconds" || Number.isInteger(value))) return value;
  throw new ToolFault(`--${option} takes numbers from ${min} to ${max}`);
}

/** Asked to end, it first stops what it started and removes its stores, which can be large. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => controller.abort(new ToolFault("Interrupted")));
  }
  return controller.signal;
}
