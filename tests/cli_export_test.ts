// What a tool writes, where the disk is full: a sentence, and nothing left behind. That what is exported imports as it
// was: cli_import_test.ts.

import assert from "node:assert/strict";
import { writeOutput } from "../src/cli/output_file.ts";
import { ToolFault } from "../src/cli/tool.ts";
import { DJANGO_DUMP_ARRAY } from "./django_users.ts";
import { createSite } from "./process.ts";
import { requireTask, runTask } from "./tool_run.ts";

/** A file that the kernel never has room for. */
const FULL = "/dev/full";

Deno.test("users:export says in a sentence that there is no room for its output", async () => {
  await using site = await createSite();
  const dump = `${site.folder}/dump.json`;
  await Deno.writeTextFile(dump, DJANGO_DUMP_ARRAY);
  await requireTask(site, "users:import", [dump]);
  const under = ["bash", "-c", `exec "$@" >${FULL}`, "bash"];
  const { status, stderr } = await runTask(site, "users:export", [], { under });
  assert.equal(status, 1);
  assert.match(stderr, /\nThe output cannot be written: No space left on device \(os error 28\)\n$/);
});

Deno.test("output: a disk that gets full while a file is written is told of, and no draft stays; other faults pass", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/copy`;
    const meet = (fill: (draft: string) => Promise<void>) => writeOutput(path, { isForced: false }, fill);
    await assert.rejects(meet(() => Deno.writeTextFile(FULL, "x")), {
      name: "ToolFault",
      message: new RegExp(`^${path} cannot be written: No space left on device \\(os error 28\\)`),
    });
    const other = new ToolFault("The store is gone");
    await assert.rejects(meet(() => Promise.reject(other)), other);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
