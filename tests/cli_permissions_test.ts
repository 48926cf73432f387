// What each program of ours may do: whom it may talk to under which settings, and what a command-line tool may beyond
// what every one of them may. No more than its own work needs.

import assert from "node:assert/strict";
import { findVersionFault, runFlags } from "../src/cli/launch.ts";

const FILE = "/mnt/copies/file";
const DRAFTS = ["", "-wal", "-shm"].map((suffix) => `${FILE}.partial${suffix}`);

const SETTINGS = {
  KV_PATH: "/data/latchkey.kv",
  SMTP_URL: "smtp://relay:secret@Mail.example.org",
  PUBLIC_URL: "https://auth.example.org",
};

const cases = [
  { program: "src/main.ts", args: [], read: [], write: [], sys: [] },
  { program: "src/cli/admin_create.ts", args: ["--email", "ada@example.org"], read: [], write: [], sys: [] },
  { program: "src/cli/keys_rotate.ts", args: ["--revoke-old"], read: [], write: [], sys: [] },
  { program: "src/cli/store_check.ts", args: [], read: [], write: [], sys: [] },
  {
    program: "src/cli/backup.ts",
    args: ["--force", FILE],
    read: [FILE, ...DRAFTS],
    write: [FILE, ...DRAFTS],
    sys: [],
  },
  { program: "src/cli/backup.ts", args: ["a,b"], read: [], write: [], sys: [] },
  { program: "src/cli/restore.ts", args: [FILE], read: [FILE, `${FILE}-wal`], write: [], sys: [] },
  { program: "src/cli/users_import.ts", args: [FILE, "--dry-run"], read: [FILE], write: [], sys: [] },
  { program: "src/cli/users_export.ts", args: [], read: [], write: [], sys: [] },
  {
    program: "src/cli/users_export.ts",
    args: [FILE],
    read: [FILE, ...DRAFTS],
    write: [FILE, ...DRAFTS],
    sys: [],
  },
  { program: "src/cli/doctor.ts", args: [], read: [], write: [], sys: ["statfs"] },
];

for (const { program, args, read, write, sys } of cases) {
  Deno.test(`permissions of ${program} ${args.join(" ")}`, () => {
    const all = listsOf(runFlags(SETTINGS, [program, ...args]));
    const common = listsOf(runFlags(SETTINGS));
    assert.deepEqual(all.get("--allow-read"), [...common.get("--allow-read") ?? [], ...read]);
    assert.deepEqual(all.get("--allow-write"), [...common.get("--allow-write") ?? [], ...write]);
    assert.deepEqual(all.get("--allow-sys") ?? [], sys);
    const others = (lists: Map<string, string[]>) =>
      [...lists].filter(([flag]) => !/read|write|sys|net/.test(flag));
    assert.deepEqual(others(all), others(common));
  });
}

const SERVER = "src/main.ts";
const DOCTOR = "src/cli/doctor.ts";

const networks: { name: string; program: string; env: Readonly<Record<string, string>>; net?: string[] }[] = [
  {
    name: "the server: clients and the mail server",
    program: SERVER,
    env: SETTINGS,
    net: ["0.0.0.0:8000", "mail.example.org:587"],
  },
  { name: "the server without a mail server", program: SERVER, env: {}, net: ["0.0.0.0:8000"] },
  {
    name: "the server with everything elsewhere",
    program: SERVER,
    env: {
      HOST: "::",
      PORT: "8443",
      SMTP_URL: "smtps://[2001:db8::25]",
      KV_PATH: "https://kv.example.org/store",
    },
    net: ["[::]:8443", "[2001:db8::25]:465", "kv.example.org:443"],
  },
  {
    name: "the server with a store that Deno hosts, whose clients are sent on",
    program: SERVER,
    env: { ...SETTINGS, KV_PATH: "https://api.deno.com/databases/2e1f/connect" },
    net: [""],
  },
  {
    name: "the server on a port that the system chooses",
    program: SERVER,
    env: { HOST: "[::1]", PORT: "0", KV_PATH: "http://127.0.0.1:4512" },
    net: ["[::1]", "127.0.0.1:4512"],
  },
  {
    name: "the server with a fault in its settings",
    program: SERVER,
    env: { ...SETTINGS, HOST: "0.0.0.0,evil.example", PORT: "x" },
  },
  {
    name: "the doctor: the mail server, and this server in two ways",
    program: DOCTOR,
    env: SETTINGS,
    net: ["mail.example.org:587", "auth.example.org:443", "127.0.0.1:8000"],
  },
  {
    name: "a tool on a store over the network",
    program: "src/cli/keys_rotate.ts",
    env: { ...SETTINGS, KV_PATH: "https://kv.example.org" },
    net: ["kv.example.org:443"],
  },
  ...cases.map(({ program }) => program).filter((program) => ![SERVER, DOCTOR].includes(program)).map((
    program,
  ) => ({ name: `a tool on a file: ${program}`, program, env: SETTINGS })),
];

Deno.test("addresses: a program may use those that its settings name, and no other", async (t) => {
  for (const { name, program, env, net } of networks) {
    await t.step(name, () => assert.deepEqual(listsOf(runFlags(env, [program])).get("--allow-net"), net));
  }
});

Deno.test("launcher: a Deno that is too old for its flags is named, with what to do; this one and newer ones are not", () => {
  for (const version of ["2.9.0", "2.9.6", "2.10.0", "3.0.0", Deno.version.deno]) {
    assert.equal(findVersionFault(version), null, version);
  }
  for (const version of ["1.46.3", "2.5.6", "2.8.99"]) {
    assert.equal(
      findVersionFault(version),
      `Latchkey needs Deno 2.9; this is ${version}: \`deno upgrade\`, or \`npx -y deno@2.9.6 task start\``,
    );
  }
});

/** Flag → what it lists. */
function listsOf(flags: readonly string[]): Map<string, string[]> {
  return new Map(flags.map((flag): [string, string[]] => {
    const [name = "", list = ""] = flag.split("=");
    return [name, list.split(",")];
  }));
}
