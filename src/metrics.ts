// What this process counts for Prometheus while METRICS_TOKEN is set; without it nothing is counted. Every label comes
// from a closed list (patterns of routes, statuses, codes, policies), so that no client can add a series, and none is
// an id, an address or a path.

import manifest from "../deno.json" with { type: "json" };
import { login } from "../openapi/sessions.ts";
import type { Hasher } from "./hasher.ts";
import { POLICY_DEFAULTS } from "./policy.ts";
import type { Problem } from "./problem.ts";
import type { OutboxDepth } from "./store/outbox_depth.ts";
import type { KvCall } from "./store/timed_kv.ts";

export interface Metrics {
  /** The Content-Type of what `print` gives. */
  readonly mediaType: string;
  /** A request has come in. */
  beginRequest(): void;
  /** It has been answered. */
  endRequest(answer: AnswerFacts): void;
  recordKvCall(call: KvCall): void;
  /** Everything, in Prometheus' text format 0.0.4. */
  print(now: ScrapeFacts): Promise<string>;
}

/** One answer. `method` and `route` are of closed lists already. */
export interface AnswerFacts {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly problem: Problem | undefined;
  readonly durationMs: number;
}

/** What is looked up when somebody asks, rather than counted. */
export interface ScrapeFacts {
  readonly hashes: ReturnType<Hasher["load"]>;
  /** Null when the store does not say: its series are left out, and all others still told. */
  readonly outbox: OutboxDepth | null;
}

const REQUEST_BUCKETS_SECONDS = [
  0.0002,
  0.0005,
  0.001,
  0.002,
  0.005,
  0.01,
  0.02,
  0.05,
  0.1,
  0.2,
  0.5,
  1,
  2,
  5,
];
const KV_BUCKETS_SECONDS = [0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

// Told as 0 from the start, so that the first one is seen as a rise.
const SIGN_INS = ["succeeded", "credentials_invalid", "account_disabled", "rate_limited", "unavailable"];
/** Over the limit `mail` the answer stays a 202 (contract §6.4). */
const POLICIES = [...Object.keys(POLICY_DEFAULTS).filter((policy) => policy !== "mail"), "resend"];
const KV_OPERATIONS = ["find", "findMany", "collect", "commit"] as const satisfies KvCall["operation"][];

/** Counts from nothing. The library is loaded here, so that who does not scrape does not pay for it. */
export async function createMetrics(): Promise<Metrics> {
  const { Counter, Gauge, Histogram, Registry } = await import("prom-client");
  const registry = new Registry();
  const registers = [registry];
  const counter = (name: string, help: string, ...labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = (name: string, help: string, ...labelNames: string[]) =>
    new Gauge({ name, help, labelNames, registers });

  const requests = new Histogram({
    name: "latchkey_http_request_duration_seconds",
    help: "How long requests took.",
    labelNames: ["method", "route", "status"],
    buckets: REQUEST_BUCKETS_SECONDS,
    registers,
  });
  const requestsInFlight = gauge("latchkey_http_requests_in_flight", "Requests that wait for their answer.");
  const signIns = counter("latchkey_sign_ins_total", "Sign-ins, succeeded or by code of refusal.", "outcome");
  const limitsHit = counter("latchkey_limits_hit_total", "Requests refused with 429.", "policy");
  const hashes = gauge("latchkey_hashes", "Password hashes that run, or wait for a core.", "state");
  const kvCalls = new Histogram({
    name: "latchkey_kv_operation_duration_seconds",
    help: "How long calls to the store took, waiting included.",
    labelNames: ["operation"],
    buckets: KV_BUCKETS_SECONDS,
    registers,
  });
  const kvFailures = counter(
    "latchkey_kv_failures_total",
    "Calls that the store did not answer.",
    "operation",
  );
  const lostCommits = counter(
    "latchkey_kv_lost_commits_total",
    "Commits that another writer was faster than.",
  );
  const outboxMails = gauge("latchkey_outbox_mails", "Mails in the store; 10000 stands for more.", "state");
  const outboxAge = gauge(
    "latchkey_outbox_oldest_waiting_seconds",
    "Age of the oldest mail yet to leave, or 0.",
  );
  const resident = gauge("process_resident_memory_bytes", "Resident memory.");
  const heap = gauge("process_heap_bytes", "JavaScript heap in use.");
  const lag = gauge("latchkey_event_loop_lag_seconds", "How long the event loop took for a turn just now.");
  const start = gauge("process_start_time_seconds", "Start of the process, since 1970.");
  const build = gauge("latchkey_build_info", "What runs here, always 1.", "version", "deno");

  for (const outcome of SIGN_INS) signIns.inc({ outcome }, 0);
  for (const policy of POLICIES) limitsHit.inc({ policy }, 0);
  for (const operation of KV_OPERATIONS) kvFailures.inc({ operation }, 0);
  start.set(performance.timeOrigin / 1000);
  build.set({ version: manifest.version, deno: Deno.version.deno }, 1);

  return {
    mediaType: registry.contentType,
    beginRequest: () => requestsInFlight.inc(),
    endRequest({ method, route, status, problem, durationMs }) {
      requestsInFlight.dec();
      requests.observe({ method, route, status }, durationMs / 1000);
      if (route === login.path) signIns.inc({ outcome: problem?.code ?? "succeeded" });
      if (problem?.details.policy !== undefined) limitsHit.inc({ policy: problem.details.policy });
    },
    recordKvCall({ operation, outcome, durationMs }) {
      kvCalls.observe({ operation }, durationMs / 1000);
      if (outcome === "failed") kvFailures.inc({ operation });
      if (outcome === "lost") lostCommits.inc();
    },
    async print({ hashes: { running, waiting }, outbox }) {
      hashes.set({ state: "running" }, running);
      hashes.set({ state: "waiting" }, waiting);
      outboxMails.reset();
      outboxAge.remove();
      if (outbox !== null) {
        const { queued, sending, dead, oldestWaitingMs } = outbox;
        for (const [state, count] of Object.entries({ queued, sending, dead })) {
          outboxMails.set({ state }, count);
        }
        outboxAge.set(oldestWaitingMs / 1000);
      }
      const { rss, heapUsed } = Deno.memoryUsage();
      resident.set(rss);
      heap.set(heapUsed);
      lag.set(await measureTurnMs() / 1000);
      return await registry.metrics();
    },
  };
}

/** Without a timer, which would add a millisecond of its own. */
async function measureTurnMs(): Promise<number> {
  const startMs = performance.now();
  await new Promise((resolve) => setImmediate(resolve));
  return performance.now() - startMs;
}
