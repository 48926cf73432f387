// The real app over an own store in memory, with a settable clock and the mails it sends at hand. `call` goes
// through the contract: an answer that the contract does not declare fails the test, whatever the test looks at.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import { createAccessTokens } from "../src/access_token.ts";
import { createApp } from "../src/app.ts";
import type { App } from "../src/app_env.ts";
import { type Config, readConfig } from "../src/config.ts";
import type { Deps } from "../src/deps.ts";
import { createHasher, type Hasher } from "../src/hasher.ts";
import { runJobs } from "../src/jobs.ts";
import { openKeyring } from "../src/keyring.ts";
import type { Log } from "../src/log.ts";
import { createMetrics } from "../src/metrics.ts";
import type { OutgoingMail } from "../src/mail/mailer.ts";
import { startOutbox } from "../src/mail/outbox.ts";
import { createSecrets } from "../src/secrets.ts";
import type { Stopwatch } from "../src/store/call.ts";
import { createKv, type Kv } from "../src/store/kv.ts";
import { createLimits } from "../src/store/limits.ts";
import { timeKv } from "../src/store/timed_kv.ts";
import { type Answer, requireDeclared } from "./declared_answer.ts";

export type { Answer };

/** 2026-11-21T09:00:00Z: every test starts then. */
export const START_MS = Date.UTC(2026, 10, 21, 9);

export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** A password that passes every rule. */
export const PASSWORD = "violet-comet-93";

/** Well-formed, and the id of nothing. */
export const UNKNOWN_ID = "01981f6e-7a4c-7d1e-9b60-2f5d1c8e4a10";

/** No limit but those that a test sets itself. */
export const UNLIMITED = {
  THROTTLE_LOGIN: "off",
  THROTTLE_REGISTER: "off",
  THROTTLE_OTP: "off",
  THROTTLE_PASSWORD_RESET: "off",
  THROTTLE_PASSWORD: "off",
  THROTTLE_MAIL: "off",
  THROTTLE_ANONYMOUS: "off",
  THROTTLE_USER: "off",
} as const;

export interface Clock {
  nowMs: number;
}

/** What a test says of one request. */
export interface CallInput {
  readonly json?: unknown;
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as the bearer. */
  readonly token?: string;
  /** The client's address (default 192.0.2.1). */
  readonly ip?: string;
}

export interface TestServer extends AsyncDisposable {
  readonly app: App;
  readonly deps: Deps;
  readonly kv: Kv;
  readonly db: Deno.Kv;
  readonly clock: Clock;
  /** Everything that was logged, as JSON lines. */
  readonly logged: string[];
  /** Every mail delivered so far, oldest first. */
  mails(): Promise<OutgoingMail[]>;
  /** The code of the newest mail to this address. */
  codeFor(email: string): Promise<string>;
  call(route: RouteConfig, input?: CallInput): Promise<Answer>;
  request(path: string, init?: RequestInit & { readonly ip?: string }): Promise<Response>;
  /** The same store under a new process: nothing that was in memory is left. */
  restart(): Promise<void>;
}

export interface ServerOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Wraps the store, to count or fail its calls. */
  readonly wrapKv?: (kv: Kv) => Kv;
  /** Wraps what is below the store, to hold its calls back. */
  readonly wrapDb?: (db: Deno.Kv) => Deno.Kv;
  /** By which a call that takes too long is given up (default: the time that passes). */
  readonly stopwatch?: Stopwatch;
  /** A file, for a test that looks at it (default: in memory). */
  readonly storePath?: string;
  /** What another store holds, to begin with the same; at most a commit of it. */
  readonly entries?: readonly Deno.KvEntry<unknown>[];
}

let sharedHasher: Promise<Hasher> | undefined;

/** A server with development settings and, unless `env` says otherwise, its default limits. */
export async function startServer(
  { env = {}, wrapKv = (kv) => kv, wrapDb = (db) => db, stopwatch, storePath = ":memory:", entries = [] }:
    ServerOptions = {},
): Promise<TestServer> {
  const result = readConfig({ SECRET_KEY: "test-key-of-32-bytes-0123456789abcdef", ...env });
  if ("faults" in result) throw new Error(result.faults.join("\n"));
  const { config } = result;
  const clock: Clock = { nowMs: START_MS };
  const db = await Deno.openKv(storePath);
  const copy = db.atomic();
  for (const { key, value } of entries) copy.set(key, value);
  await copy.commit();
  const kv = wrapKv(createKv(wrapDb(db), () => clock.nowMs, { stopwatch }));
  const delivered: OutgoingMail[] = [];
  const logged: string[] = [];
  let process = await startProcess({ config, kv, clock, delivered, logged });

  const request: TestServer["request"] = (path, init) =>
    requestOf(process.app, new URL(path, config.publicUrl), init);
  const mails = async (): Promise<OutgoingMail[]> => {
    await process.outbox.settle();
    return delivered;
  };

  return {
    get app() {
      return process.app;
    },
    get deps() {
      return process.deps;
    },
    kv,
    db,
    clock,
    logged,
    mails,
    request,
    async codeFor(email) {
      const mail = (await mails()).findLast(({ to, code }) => to === email && code !== null);
      assert(mail?.code, `No code was mailed to ${email}`);
      return mail.code;
    },
    async call(route, input = {}) {
      return await requireDeclared(route, await request(pathOf(route, input), initOf(route, input)));
    },
    async restart() {
      await process.outbox.stop();
      process = await startProcess({ config, kv, clock, delivered, logged });
      await runJobs(process.deps);
    },
    async [Symbol.asyncDispose]() {
      await process.outbox.stop();
      db.close();
    },
  };
}

/** `call` on any app. */
export async function callApp(app: App, route: RouteConfig, input: CallInput = {}): Promise<Answer> {
  const url = new URL(pathOf(route, input), "http://localhost:8000");
  return await requireDeclared(route, await requestOf(app, url, initOf(route, input)));
}

async function requestOf(
  app: App,
  url: URL,
  { ip = "192.0.2.1", ...init }: RequestInit & { readonly ip?: string } = {},
): Promise<Response> {
  const info = {
    remoteAddr: { transport: "tcp", hostname: ip, port: 50_000 },
    completed: Promise.resolve(),
  };
  return await app.fetch(new Request(url, init), info);
}

interface TestProcess {
  readonly app: App;
  readonly deps: Deps;
  readonly outbox: ReturnType<typeof startOutbox>;
}

async function startProcess({ config, kv: untimedKv, clock, delivered, logged }: {
  readonly config: Config;
  readonly kv: Kv;
  readonly clock: Clock;
  readonly delivered: OutgoingMail[];
  readonly logged: string[];
}): Promise<TestProcess> {
  const nowMs = (): number => clock.nowMs;
  const secrets = createSecrets(config.secretKey ?? "");
  const log = collectLog(logged);
  const metrics = config.metricsToken === null ? null : await createMetrics();
  const kv = metrics ? timeKv(untimedKv, metrics.recordKvCall) : untimedKv;
  const outbox = startOutbox({
    kv,
    secrets,
    nowMs,
    log,
    config,
    mailer: {
      send(mail) {
        delivered.push(mail);
        return Promise.resolve({ outcome: "sent" });
      },
    },
  });
  const deps: Deps = {
    config,
    kv,
    nowMs,
    secrets,
    log,
    metrics,
    nameSpan: null,
    limits: createLimits({ kv, secrets, config }),
    hasher: await (sharedHasher ??= createHasher()),
    accessTokens: createAccessTokens(config, await openKeyring(kv, secrets), nowMs),
    wakeOutbox: () => {},
  };
  return { app: createApp(deps), deps, outbox };
}

function collectLog(logged: string[]): Log {
  const line = (level: string) => (event: string, fields: Record<string, unknown> = {}) => {
    logged.push(JSON.stringify({ level, event, ...fields }));
  };
  return { info: line("info"), warn: line("warn"), error: line("error") };
}

/** The path of a request with its parameters filled in. */
export function pathOf(route: Pick<RouteConfig, "path">, { params = {}, query }: CallInput): string {
  const path = route.path.replaceAll(
    /\{(\w+)\}/g,
    (_, name: string) => encodeURIComponent(params[name] ?? ""),
  );
  return query ? `${path}?${new URLSearchParams(query)}` : path;
}

/** The rest of a request. */
export function initOf(
  route: { readonly method: string },
  { json, headers, token, ip }: CallInput,
): RequestInit & { readonly ip?: string } {
  return {
    method: route.method.toUpperCase(),
    headers: {
      ...(json === undefined ? {} : { "content-type": "application/json" }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    ...(ip === undefined ? {} : { ip }),
  };
}
