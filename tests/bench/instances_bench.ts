// What several servers over one KV Connect server do, beside one on a file of its own: sign-in, refresh and GET /me, 16
// in flight, spread over all of them. With DENOKV_BIN the store is a denokv. Loopback only, and bounded:
//   deno run -A tests/bench/instances_bench.ts

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import { readMe } from "../../openapi/account.ts";
import { login, refreshTokens } from "../../openapi/sessions.ts";
import { type Cluster, type ClusterInput, join, startCluster } from "../cluster.ts";
import { PASSWORD, UNLIMITED } from "../harness.ts";

const LANES = 16;
/** The best of these counts: what else runs on the machine only ever takes away. */
const WINDOWS = 12;
const WINDOW_MS = 500;

/** Each lane is a person of its own. */
interface Person {
  readonly email: string;
  readonly accessToken: string;
  refreshToken: string;
}

interface Figures {
  readonly perSecond: number;
  readonly p50Ms: number;
}

type Ask = (person: Person, lane: number) => Promise<void>;

if (import.meta.main) await main();

async function main(): Promise<void> {
  const folder = await Deno.makeTempDir();
  const shapes = [
    { name: "1 on a file", size: 1, settings: { KV_PATH: `${folder}/latchkey.kv` } },
    { name: "1 over KV Connect", size: 1, settings: {} },
    { name: "3 over KV Connect", size: 3, settings: {} },
  ];
  for (const { name, size, settings } of shapes) {
    await using cluster = await startCluster({ ...UNLIMITED, ...settings }, { size });
    const people: Person[] = [];
    for (let lane = 0; lane < LANES; lane++) {
      people.push({ ...await join(cluster, `person-${lane}@example.org`) });
    }
    for (const [operation, ask] of Object.entries(asksOf(cluster))) {
      const alone = await measure(people.slice(0, 1), ask);
      const together = await measure(people, ask);
      const rate = together.perSecond.toFixed(0).padStart(6);
      print(`${name.padEnd(18)} ${operation.padEnd(8)} ${rate}/s, alone ${alone.p50Ms.toFixed(1)} ms`);
    }
  }
  await Deno.remove(folder, { recursive: true });
}

function asksOf({ sites }: Cluster): Record<string, Ask> {
  /** Over connections that are kept, unlike the calls of tests. */
  const ask = async ({ method, path }: RouteConfig, lane: number, { token = "", json }: ClusterInput) => {
    const response = await fetch(`${sites[lane % sites.length]?.url}${path}`, {
      method: method.toUpperCase(),
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
    const body = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    return body;
  };
  return {
    me: async ({ accessToken: token }, lane) => void await ask(readMe, lane, { token }),
    refresh: async (person, lane) => {
      const body = await ask(refreshTokens, lane, { json: { refresh_token: person.refreshToken } });
      person.refreshToken = body.refresh_token;
    },
    "sign-in": async ({ email }, lane) => {
      await ask(login, lane, { json: { email, password: PASSWORD } });
    },
  };
}

/** Both figures of the best window. */
async function measure(people: readonly Person[], ask: Ask): Promise<Figures> {
  let [perSecond, p50Ms] = [0, Infinity];
  for (let window = 0; window < WINDOWS; window++) {
    const figures = await measureWindow(people, ask);
    perSecond = Math.max(perSecond, figures.perSecond);
    p50Ms = Math.min(p50Ms, figures.p50Ms);
  }
  return { perSecond, p50Ms };
}

async function measureWindow(people: readonly Person[], ask: Ask): Promise<Figures> {
  const tookMs: number[] = [];
  const startMs = performance.now();
  await Promise.all(people.map(async (person, lane) => {
    while (performance.now() - startMs < WINDOW_MS) {
      const askedMs = performance.now();
      await ask(person, lane);
      tookMs.push(performance.now() - askedMs);
    }
  }));
  const perSecond = tookMs.length / (performance.now() - startMs) * 1000;
  tookMs.sort((a, b) => a - b);
  return { perSecond, p50Ms: tookMs[Math.floor(tookMs.length / 2)] ?? 0 };
}

function print(text: string): void {
  // deno-lint-ignore no-console -- the result of a command.
  console.log(text);
}
