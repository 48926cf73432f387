// What each command-line tool may do beyond what every program of ours may: no more than its own work needs.

import assert from "node:assert/strict";
import { runFlags } from "../src/cli/launch.ts";

const FILE = "/mnt/copies/file";
const DRAFTS = ["", "-wal", "-shm"].map((suffix) => `${FILE}.partial${suffix}`);

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
    const env = { KV_PATH: "/data/latchkey.kv" };
    const all = listsOf(runFlags(env, [program, ...args]));
    const common = listsOf(runFlags(env));
    assert.deepEqual(all.get("--allow-read"), [...common.get("--allow-read") ?? [], ...read]);
    assert.deepEqual(all.get("--allow-write"), [...common.get("--allow-write") ?? [], ...write]);
    assert.deepEqual(all.get("--allow-sys") ?? [], sys);
    const others = (lists: Map<string, string[]>) =>
      [...lists].filter(([flag]) => !/read|write|sys/.test(flag));
    assert.deepEqual(others(all), others(common));
  });
}

/** Flag → what it lists. */
function listsOf(flags: readonly string[]): Map<string, string[]> {
  return new Map(flags.map((flag): [string, string[]] => {
    const [name = "", list = ""] = flag.split("=");
    return [name, list.split(",")];
  }));
}
