// `deno task bench`: the server as users run it, limits on but set high, logs on, the store in a file; loopback only,
// and bounded. Prints each operation beside what this machine can do at most, because machines differ: a share of the
// limit says more than a rate.

import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { generateKeyPair, jwtVerify, SignJWT } from "jose";
import { register, verifyOtp } from "../../openapi/registration.ts";
import { createHasher } from "../../src/hasher.ts";
import { PASSWORD } from "../harness.ts";
import { createSite, eventually, type Site } from "../process.ts";

const HIGH = "1000000000/1d";
const HIGH_LIMITS = Object.fromEntries(
  ["LOGIN", "REGISTER", "OTP", "PASSWORD_RESET", "PASSWORD", "MAIL", "ANONYMOUS", "USER"]
    .map((policy) => [`THROTTLE_${policy}`, HIGH]),
);
const PEOPLE = 64;
const TICKS_PER_SECOND = 100;

interface Row {
  readonly operation: string;
  readonly inFlight: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the server process alone. */
  readonly cpuSecondsPer1000: number;
  readonly residentMb: number;
  /** The machine's limit is how often a second what the operation cannot do without is done. */
  readonly shareOfLimit: number;
}

interface Person {
  readonly email: string;
  readonly accessToken: string;
  refreshToken: string;
}

if (import.meta.main) await main();

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { json: { type: "boolean" }, seconds: { type: "string" } } });
  const limits = await measureLimits();
  await using site = await createSite();
  await site.startServer(HIGH_LIMITS);
  const serverPid = await pidOfServer(site.port);
  const people = await Promise.all(Array.from({ length: PEOPLE }, (_, index) => signUp(site, index)));
  const measureMs = Number(values.seconds ?? "3") * 1000;

  const rows: Row[] = [];
  for (const [operation, perSecondMax, ask] of operationsOf(site, limits)) {
    for (const inFlight of [1, 16, 64]) {
      const measured = await measure(
        { serverPid, inFlight, measureMs },
        (lane) => ask(personOf(people, lane)),
      );
      rows.push({ operation, inFlight, ...measured, shareOfLimit: measured.perSecond / perSecondMax });
    }
  }
  print(values.json ? JSON.stringify({ limits, rows }, null, 2) : tableOf(rows));
  if (!values.json) print(`Limits of this machine, a second: ${JSON.stringify(limits)}`);
}

type Operation = readonly [name: string, perSecondMax: number, ask: (person: Person) => Promise<void>];

function operationsOf(site: Site, limits: Limits): Operation[] {
  const post = async (path: string, body: unknown): Promise<Record<string, string>> => {
    const response = await fetch(`${site.url}/api/v1${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    assert(response.ok, JSON.stringify(answer));
    return answer;
  };
  return [
    ["readMe", limits.kvGets, async ({ accessToken }) => {
      const response = await fetch(`${site.url}/api/v1/me`, {
        headers: { authorization: `Bearer ${accessToken}` },
      });
      assert.equal(response.status, 200);
      await response.arrayBuffer();
    }],
    ["refreshTokens", limits.kvCommits, async (person) => {
      const answer = await post("/auth/token/refresh", { refresh_token: person.refreshToken });
      person.refreshToken = answer.refresh_token ?? "";
    }],
    [
      "login",
      limits.argon2,
      async ({ email }) => void await post("/auth/login", { email, password: PASSWORD }),
    ],
  ];
}

/** Asks in so many lanes at once until the time is over. */
async function measure(
  { serverPid, inFlight, measureMs }: {
    readonly serverPid: number;
    readonly inFlight: number;
    readonly measureMs: number;
  },
  ask: (lane: number) => Promise<void>,
): Promise<Omit<Row, "operation" | "inFlight" | "shareOfLimit">> {
  const latenciesMs: number[] = [];
  const cpuBefore = await cpuSecondsOf(serverPid);
  const startMs = performance.now();
  await Promise.all(Array.from({ length: inFlight }, async (_, lane) => {
    while (performance.now() - startMs < measureMs) {
      const askedMs = performance.now();
      await ask(lane);
      latenciesMs.push(performance.now() - askedMs);
    }
  }));
  const tookSeconds = (performance.now() - startMs) / 1000;
  latenciesMs.sort((a, b) => a - b);
  const at = (share: number): number => latenciesMs[Math.floor((latenciesMs.length - 1) * share)] ?? 0;
  return {
    perSecond: latenciesMs.length / tookSeconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuSecondsPer1000: (await cpuSecondsOf(serverPid) - cpuBefore) / latenciesMs.length * 1000,
    residentMb: await residentMbOf(serverPid),
  };
}

interface Limits {
  readonly kvGets: number;
  readonly kvCommits: number;
  readonly argon2: number;
  readonly ed25519Verify: number;
}

/** What this machine does at most, 32 in flight, without any server. */
async function measureLimits(): Promise<Limits> {
  const folder = await Deno.makeTempDir();
  const kv = await Deno.openKv(`${folder}/kv`);
  const hasher = await createHasher();
  const hash = await hasher.hash(PASSWORD);
  const { publicKey, privateKey } = await generateKeyPair("EdDSA");
  const token = await new SignJWT({}).setProtectedHeader({ alg: "EdDSA" }).sign(privateKey);
  await kv.set(["k"], { some: "value" });
  const limits = {
    kvGets: await rateOf(() => kv.get(["k"])),
    kvCommits: await rateOf((index) => kv.atomic().set(["a", index], 1).set(["b", index], 2).commit()),
    argon2: await rateOf(() => hasher.verify(PASSWORD, hash)),
    ed25519Verify: await rateOf(() => jwtVerify(token, publicKey)),
  };
  kv.close();
  await Deno.remove(folder, { recursive: true });
  return limits;
}

async function rateOf(work: (index: number) => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  let done = 0;
  await Promise.all(Array.from({ length: 32 }, async () => {
    while (performance.now() - startMs < 1_000) await work(done++);
  }));
  return Math.round(done / ((performance.now() - startMs) / 1000));
}

async function signUp(site: Site, index: number): Promise<Person> {
  const email = `person${index}@example.org`;
  const challenge = await site.call(register, { json: { email, password: PASSWORD } });
  const code = await eventually("the code is mailed", async () => {
    const { data } = await (await fetch(`${site.url}/dev/mailbox`)).json();
    return data.find(({ to }: { readonly to: string }) => to === email)?.code as string | undefined;
  });
  const { body } = await site.call(verifyOtp, { json: { challenge_id: challenge.body.challenge_id, code } });
  return { email, accessToken: body.access_token, refreshToken: body.refresh_token };
}

function personOf(people: readonly Person[], lane: number): Person {
  const person = people[lane % people.length];
  assert(person);
  return person;
}

/** The process that listens on the port: the start task and its launcher stand before it. */
async function pidOfServer(port: number): Promise<number> {
  const { stdout } = await new Deno.Command("ss", { args: ["-Hltnp", `sport = :${port}`] }).output();
  const [, pid] = /pid=(\d+)/.exec(new TextDecoder().decode(stdout)) ?? [];
  assert(pid, "ss does not say who listens");
  return Number(pid);
}

async function cpuSecondsOf(pid: number): Promise<number> {
  const fields = (await Deno.readTextFile(`/proc/${pid}/stat`)).split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function residentMbOf(pid: number): Promise<number> {
  const [, kb] = /VmRSS:\s+(\d+)/.exec(await Deno.readTextFile(`/proc/${pid}/status`)) ?? [];
  return Number(kb) / 1024;
}

function tableOf(rows: readonly Row[]): string {
  const head = [
    "operation",
    "in flight",
    "a second",
    "p50 ms",
    "p99 ms",
    "CPU s / 1000",
    "MB",
    "of the limit",
  ];
  const lines = rows.map((row) => [
    row.operation,
    String(row.inFlight),
    row.perSecond.toFixed(0),
    row.p50Ms.toFixed(2),
    row.p99Ms.toFixed(2),
    row.cpuSecondsPer1000.toFixed(2),
    row.residentMb.toFixed(0),
    `${(row.shareOfLimit * 100).toFixed(0)} %`,
  ]);
  return [head, ...lines].map((cells) =>
    cells.map((cell, column) => column === 0 ? cell.padEnd(15) : cell.padStart(13)).join("")
  ).join("\n");
}

function print(text: string): void {
  // deno-lint-ignore no-console -- the result of a command.
  console.log(text);
}
