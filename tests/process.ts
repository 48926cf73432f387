// The server as its users run it: `deno task start` as processes of their own, over a store in a temporary folder, on
// a free port of loopback. Whatever becomes of a test, what it started is gone and its folder removed when it ends.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { RouteConfig } from "@hono/zod-openapi";
import { ensureViewer } from "../src/cli/viewer.ts";
import { environmentNames } from "../src/environment.ts";
import type { Answer, CallInput } from "./harness.ts";

/** The folder of deno.json. */
export const REPOSITORY = fileURLToPath(new URL("..", import.meta.url));

/** Environment variables. */
export type Settings = Readonly<Record<string, string>>;

/** Where one test runs its programs: a folder, a store in it, a port. */
export interface Site extends AsyncDisposable {
  readonly folder: string;
  readonly storePath: string;
  readonly port: number;
  readonly url: string;
  /** Starts the server and waits until it answers. Fails with what it printed when it ends instead. */
  startServer(settings?: Settings, options?: Pick<SpawnOptions, "under">): Promise<Program>;
  /** Runs a task of deno.json, and does not wait for anything. */
  spawn(task: string, options?: SpawnOptions): Program;
  /** One request to the server, over a connection of its own. */
  call(route: RouteConfig, input?: Omit<CallInput, "query" | "ip">): Promise<Answer>;
}

export interface SpawnOptions {
  readonly args?: readonly string[];
  readonly settings?: Settings;
  /** All of its standard input; without it there is none. */
  readonly stdin?: string;
  /** A command that runs what follows it, and limits it. */
  readonly under?: readonly string[];
}

/** A program that was started, with all the processes that it started in turn. */
export interface Program {
  /** Of a task: the server is the last of its descendants. */
  readonly pid: number;
  /** What it has printed so far. */
  stdout(): string;
  /** The same, without the line in which Deno names the task. */
  stderr(): string;
  /** Its exit status, once none of its processes is left. Fails when that takes half a minute. */
  ended(): Promise<number>;
  /** To the program, as a supervisor sends it, or to all its processes, as a terminal does. */
  signal(signal: Deno.Signal, options?: { readonly isToAll: boolean }): void;
  /** SIGTERM to the program; its exit status. */
  stop(): Promise<number>;
  /** SIGKILL to all its processes. */
  kill(): Promise<void>;
}

const WAIT_LIMIT_MS = 30_000;
const POLL_INTERVAL_MS = 20;

/** The viewer of /docs, fetched once rather than by each server that finds it missing. */
let viewer: Promise<void> | undefined;

/** A site of its own for a test; `cwd` is where its tasks run. */
export async function createSite({ cwd = REPOSITORY }: { readonly cwd?: string } = {}): Promise<Site> {
  await (viewer ??= ensureViewer());
  const folder = await Deno.makeTempDir({ prefix: "latchkey_" });
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const storePath = `${folder}/data/latchkey.kv`;
  const programs: Program[] = [];
  // No pool: a connection to a server that was killed must not be used again.
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });

  const spawn: Site["spawn"] = (task, { args = [], settings, stdin, under = [] } = {}) => {
    const env = { ...UNSET, HOST: "127.0.0.1", PORT: String(port), KV_PATH: storePath, ...settings };
    const command = [...under, Deno.execPath(), "task", task, ...args];
    const program = spawnProgram(command, { cwd, env, stdin });
    programs.push(program);
    return program;
  };

  return {
    folder,
    storePath,
    port,
    url,
    spawn,
    async startServer(settings = {}, options = {}) {
      const program = spawn("start", { settings, ...options });
      let isOver = false;
      program.ended().then(() => isOver = true, () => {});
      await eventually("the server answers", async () => {
        assert(!isOver, `The server ended:\n${program.stdout()}${program.stderr()}`);
        return await isHealthy(url, client);
      });
      return program;
    },
    async call({ method, path }, { json, token, headers, params = {} } = {}) {
      const target = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params[name] ?? "");
      const response = await fetch(`${url}${target}`, {
        client,
        method: method.toUpperCase(),
        headers: {
          ...(json === undefined ? {} : { "content-type": "application/json" }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      });
      const text = await response.text();
      const isJson = /\bjson\b/.test(response.headers.get("content-type") ?? "");
      return {
        status: response.status,
        body: isJson ? JSON.parse(text) : null,
        headers: response.headers,
        text,
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(programs.map((program) => program.kill()));
      client.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Asks until there is an answer other than false, null or undefined. Fails after `limitMs`, naming `what` was due. */
export async function eventually<Result>(
  what: string | (() => string),
  ask: () => Promise<Result | false | null | undefined> | Result | false | null | undefined,
  { limitMs = WAIT_LIMIT_MS }: { readonly limitMs?: number } = {},
): Promise<Result> {
  const endMs = performance.now() + limitMs;
  while (performance.now() < endMs) {
    const result = await ask();
    if (result !== false && result !== null && result !== undefined) return result;
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
  }
  assert.fail(`Not within ${limitMs} ms: ${typeof what === "string" ? what : what()}`);
}

/** A port of loopback that nobody listens on now. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** An empty value is none: neither this shell's settings nor a developer's .env reach a test. */
export const UNSET: Settings = Object.fromEntries(environmentNames.map((name) => [name, ""]));

/** Starts an executable with its arguments, and does not wait for anything. Whoever does so kills it in the end. */
export function spawnProgram(
  [executable = "", ...args]: readonly string[],
  { cwd = REPOSITORY, env = {}, stdin }: {
    readonly cwd?: string;
    readonly env?: Settings;
    readonly stdin?: string | undefined;
  } = {},
): Program {
  const child = new Deno.Command(executable, {
    args: [...args],
    cwd,
    env: { ...env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    // A process group of its own, so that a signal can reach all of it and nothing else.
    detached: true,
  }).spawn();
  const printed = collectText(child.stdout);
  const complained = collectText(child.stderr);
  const fed = stdin === undefined ? undefined : feed(child.stdin, stdin);
  const killAll = (): void => sendSignal(-child.pid, "SIGKILL");
  // A fault outside of any test ends the run without its disposals.
  globalThis.addEventListener("unload", killAll);
  // The last process to end closes the pipes.
  const end = Promise.all([child.status, printed.closed, complained.closed, fed]).finally(() =>
    globalThis.removeEventListener("unload", killAll)
  );

  const ended = async (): Promise<number> => {
    const what = () => `${executable} ${args.join(" ")} ends:\n${printed.text()}${complained.text()}`;
    const [status] = await within(WAIT_LIMIT_MS, end, what);
    return status.code;
  };
  return {
    pid: child.pid,
    ended,
    stdout: printed.text,
    stderr: () => complained.text().replace(/^Task .*\n/, ""),
    signal: (signal, { isToAll } = { isToAll: false }) =>
      sendSignal(isToAll ? -child.pid : child.pid, signal),
    stop(): Promise<number> {
      sendSignal(child.pid, "SIGTERM");
      return ended();
    },
    async kill(): Promise<void> {
      killAll();
      await ended();
    },
  };
}

/** Whoever it is for may be gone already. */
function sendSignal(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function collectText(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): { readonly closed: Promise<void>; text(): string } {
  let text = "";
  const closed = stream.pipeThrough(new TextDecoderStream()).pipeTo(
    new WritableStream({ write: (chunk) => void (text += chunk) }),
  );
  return { closed, text: () => text };
}

async function feed(input: WritableStream<Uint8Array<ArrayBuffer>>, text: string): Promise<void> {
  const writer = input.getWriter();
  // A program may end without reading it.
  await writer.write(new TextEncoder().encode(text)).then(() => writer.close()).catch(() => {});
}

async function isHealthy(url: string, client: Deno.HttpClient): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, { client });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function within<Result>(limitMs: number, work: Promise<Result>, what: () => string): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not within ${limitMs} ms: ${what()}`)), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
