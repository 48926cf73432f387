// A copy of the repository as it stands, for tests that alter it: everything that git knows or would add, in a folder
// of its own that is a repository, too. Packages and the viewer are linked.

import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { REPOSITORY } from "./process.ts";

export interface RepositoryCopy extends AsyncDisposable {
  readonly folder: string;
}

/** Removed with everything in it when it is disposed of. */
export async function copyRepository(): Promise<RepositoryCopy> {
  const folder = await Deno.makeTempDir({ prefix: "latchkey_" });
  const listed = await git(REPOSITORY, "ls-files", "--cached", "--others", "--exclude-standard", "-z");
  // Git names what was deleted, too, until that is committed.
  const paths = listed.split("\0").filter((path) => path !== "" && existsSync(`${REPOSITORY}${path}`));
  for (const path of paths) {
    await Deno.mkdir(dirname(`${folder}/${path}`), { recursive: true });
    await Deno.copyFile(`${REPOSITORY}${path}`, `${folder}/${path}`);
  }
  const linked = ["node_modules", ".viewer"].filter((name) => existsSync(`${REPOSITORY}${name}`));
  for (const name of linked) await Deno.symlink(`${REPOSITORY}${name}`, `${folder}/${name}`);
  await git(folder, "init", "--quiet");
  // A link is no folder: .gitignore does not mean it.
  await Deno.writeTextFile(`${folder}/.git/info/exclude`, linked.map((name) => `/${name}\n`).join(""));
  return { folder, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

async function git(cwd: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("git", { args, cwd, stdin: "null" }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}
