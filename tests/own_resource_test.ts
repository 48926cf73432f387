// openapi/own_resource.md, followed literally: its files and lines go into a copy of the repository, which then checks,
// keeps the rules of the house, and passes the test that the page brings along.

import assert from "node:assert/strict";
import { REPOSITORY } from "./process.ts";
import { copyRepository } from "./repository_copy.ts";

const PAGE = "openapi/own_resource.md";
/** What the added resource has to please: the rules of files and imports, what a contract owes, and its own test. */
const TESTS = ["layout", "contract", "contract_operations", "bookmarks"];
const LINES_MAX = 200;

const page = await Deno.readTextFile(`${REPOSITORY}${PAGE}`);

Deno.test("own resource: the page, followed literally, gives a resource that pleases the gate", async (t) => {
  await using copy = await copyRepository();
  const { folder } = copy;
  for (const [, path = "", text = ""] of page.matchAll(/^```ts (\S+)\n(.*?)^```$/gms)) {
    await Deno.writeTextFile(`${folder}/${path}`, text, { createNew: true });
  }
  const [, edits = ""] = /^```diff\n(.*?)^```$/ms.exec(page) ?? [];
  for (const [, path = "", lines = ""] of edits.matchAll(/^--- (\S+)\n((?:[ +].*\n)+)/gm)) {
    const file = `${folder}/${path}`;
    await Deno.writeTextFile(file, insertLines(await Deno.readTextFile(file), lines.trimEnd().split("\n")));
  }
  const added = [...page.matchAll(/^(?:```ts|---) (\S+)$/gm)].map(([, path = ""]) => path);
  assert.equal(added.length, 11);

  const steps: Record<string, string[]> = {
    "deno task contract": ["task", "--quiet", "contract"],
    "deno fmt": ["fmt", "--check", ...added],
    "deno lint": ["lint", "--quiet", ...added],
    "deno check": ["check", "--quiet", "src", "openapi", "tests/bookmarks_test.ts"],
    "tests": [
      "test",
      "--quiet",
      "--no-check",
      "--allow-all",
      ...TESTS.map((name) => `tests/${name}_test.ts`),
    ],
  };
  for (const [name, args] of Object.entries(steps)) {
    await t.step(name, async () => {
      const { success, text } = await run(Deno.execPath(), { args, cwd: folder });
      assert(success, text);
    });
  }
});

Deno.test("own resource: the page stays short", () => {
  assert(page.split("\n").length <= LINES_MAX);
});

/** Added lines go below the line of the file that stands before them, the first ones above the line that follows. */
function insertLines(text: string, lines: readonly string[]): string {
  let edited = `\n${text}`;
  let waiting: string[] = [];
  let anchor: string | undefined;
  for (const line of lines) {
    const content = `\n${line.slice(1)}`;
    if (line.startsWith("+")) {
      if (anchor === undefined) waiting.push(content);
      else edited = edited.replace(`${anchor}\n`, (found) => `${found.slice(0, -1)}${content}\n`);
      if (anchor !== undefined) anchor += content;
      continue;
    }
    assert.equal(edited.split(`${content}\n`).length, 2, `"${line}" is not one line of the file`);
    edited = edited.replace(`${content}\n`, (found) => `${waiting.join("")}${found}`);
    waiting = [];
    anchor = content;
  }
  return edited.slice(1);
}

async function run(
  program: string,
  { args, cwd }: { readonly args: readonly string[]; readonly cwd: string },
): Promise<{ readonly success: boolean; readonly text: string }> {
  const env = { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
  const command = new Deno.Command(program, { args: [...args], cwd, env, stdin: "null" });
  const { success, stdout, stderr } = await command.output();
  return { success, text: [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("") };
}
