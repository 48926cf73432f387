// `deno task start` and the tools: works out which permissions these settings call for, and runs a program of ours
// with no others. A task alone cannot: it does not know the folder that KV_PATH names, nor where SMTP_URL leads. With
// `--print` it prints them instead, a line each, and leaves the running to the image's shell.

import manifest from "../../deno.json" with { type: "json" };
import { DEFAULT_KV_PATH, readConfig } from "../config.ts";
import { DotEnvFault } from "../dot_env.ts";
import { environmentNames, readEnvironment } from "../environment.ts";
import { addressesOf, ANYWHERE, type Partner } from "./addresses.ts";
import { namesOfOutput } from "./output_names.ts";

const SERVER = "src/main.ts";
const HASHER_VERSION = manifest.imports["@node-rs/argon2"].split("@").at(-1);
/** Where the native hasher's binary is, on the platforms that have one. */
const HASHER_FOLDERS = ["linux-x64-gnu", "linux-arm64-gnu", "darwin-x64", "darwin-arm64", "win32-x64-msvc"]
  .map((target) => `node_modules/.deno/@node-rs+argon2-${target}@${HASHER_VERSION}`).join(",");

/** The oldest Deno that has every flag below; and the one that Latchkey is tested with. */
const DENO_VERSION_MIN = "2.9";
const DENO_VERSION = "2.9.6";

const PARENT_INTERVAL_MS = 200;

/** The thread in which an imported bcrypt hash is verified. */
const BCRYPT = "src/bcrypt_worker.ts";

/** The settings by name, as readConfig takes them. */
type Environment = Readonly<Record<string, string | undefined>>;

/**
 * For glibc: a block of this many bytes goes back to the system once it is free. Without the native hasher it would keep
 * what each thread took for a hash, 19 MiB at a time, until there are gigabytes of it.
 */
export const MEMORY = { MALLOC_MMAP_THRESHOLD_: "4194304" };

/** What a program needs besides: names made of its operand, a file that the operator names, or a system call. */
interface Grant {
  /** Default: the store, which needs no address when it is a file. */
  readonly talksTo?: readonly Partner[];
  readonly reads?: (file: string) => string[];
  readonly writes?: (file: string) => string[];
  readonly sys?: string;
}

const grants: Readonly<Record<string, Grant>> = {
  [SERVER]: { talksTo: ["clients", "mail", "store"] },
  "src/cli/audit_verify.ts": { reads: namesOfOutput, writes: namesOfOutput },
  "src/cli/backup.ts": { reads: namesOfOutput, writes: namesOfOutput },
  "src/cli/restore.ts": { reads: (file) => [file, `${file}-wal`] },
  "src/cli/users_import.ts": { reads: (file) => [file] },
  "src/cli/users_export.ts": { reads: namesOfOutput, writes: namesOfOutput },
  "src/cli/doctor.ts": { talksTo: ["store", "mail", "server"], sys: "statfs" },
};

if (import.meta.main) {
  const [first, ...rest] = Deno.args;
  const env = await readOrEnd();
  // deno-lint-ignore no-console -- for the shell that runs the program.
  if (first === "--print") console.log(runFlags(env, rest).join("\n"));
  else await launch(env, Deno.args);
}

/** The environment. Ends the process with a sentence when this Deno is too old, or `.env` cannot be read. */
async function readOrEnd(): Promise<Environment> {
  const fault = findVersionFault(Deno.version.deno);
  if (fault) fail(fault);
  try {
    return await readEnvironment();
  } catch (error) {
    if (error instanceof DotEnvFault) fail(error.message);
    throw error;
  }
}

/** What to say to an older Deno than Latchkey runs on, which would take our flags for a mistake; null for the others. */
export function findVersionFault(version: string): string | null {
  if (version.localeCompare(DENO_VERSION_MIN, "en", { numeric: true }) >= 0) return null;
  return `Latchkey needs Deno ${DENO_VERSION_MIN}; this is ${version}: \`deno upgrade\`, or ` +
    `\`npx -y deno@${DENO_VERSION} task start\``;
}

function fail(sentence: string): never {
  // deno-lint-ignore no-console -- for who started this.
  console.error(sentence);
  Deno.exit(1);
}

/** Runs `program` with its arguments, passes signals on, and ends with its status. */
async function launch(env: Environment, [program = SERVER, ...args]: readonly string[]): Promise<never> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", ...runFlags(env, [program, ...args]), program, ...args],
    env: MEMORY,
  }).spawn();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => tell(child, signal));
  }
  // Who started this may be killed without a word, and nobody would be left to stop the program.
  whenOrphaned(() => tell(child, "SIGTERM"));
  // The viewer of /docs is fetched beside the first start, so that nobody waits for it.
  // Loaded only now: the server's own start does not wait for what is needed once.
  if (program === SERVER) void import("./viewer.ts").then(({ ensureViewer }) => ensureViewer());
  Deno.exit((await child.status).code);
}

/** What a program needs under these settings and with these arguments, as flags of `deno run`. */
export function runFlags(
  env: Environment,
  [program = SERVER, ...args]: readonly string[] = [],
): string[] {
  const storeFolder = folderOf(env.KV_PATH || DEFAULT_KV_PATH);
  const { talksTo = ["store"], reads = () => [], writes = () => [], sys } = grants[program] ?? {};
  const files = operandsOf(args);
  const settings = readConfig(env);
  // Where a setting has a fault the program only says so.
  const addresses = "config" in settings ? addressesOf(settings.config, talksTo) : [];
  return [
    "--quiet",
    "--no-prompt",
    "--frozen",
    ...netFlags(addresses),
    `--allow-env=${environmentNames.join(",")},DENO_KV_ACCESS_TOKEN`,
    "--ignore-env",
    `--allow-read=${[".env", ".viewer", storeFolder, "/usr/bin/ldd", BCRYPT, ...files.flatMap(reads)]}`,
    `--allow-write=${[storeFolder, ...files.flatMap(writes)]}`,
    `--allow-ffi=${HASHER_FOLDERS}`,
    // Requests leave little behind: a small nursery (MB) costs no time, and saves some forty megabytes under load.
    "--v8-flags=--max-semi-space-size=4",
    ...(sys ? [`--allow-sys=${sys}`] : []),
  ];
}

function netFlags(addresses: readonly string[]): string[] {
  if (addresses.includes(ANYWHERE)) return ["--allow-net"];
  return addresses.length > 0 ? [`--allow-net=${addresses}`] : [];
}

/** The arguments that are no options. A comma would part them in a list of permissions: the program says so. */
function operandsOf(args: readonly string[]): string[] {
  return args.filter((arg) => arg !== "" && !arg.startsWith("-") && !arg.includes(","));
}

function folderOf(path: string): string {
  if (/^https?:\/\//.test(path)) return "./data";
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : ".";
}

function whenOrphaned(act: () => void): void {
  const parent = Deno.ppid;
  const timer = setInterval(() => {
    if (Deno.ppid === parent) return;
    clearInterval(timer);
    act();
  }, PARENT_INTERVAL_MS);
}

/** It may have ended a moment ago. */
function tell(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}
