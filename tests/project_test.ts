// The project's own files, where they repeat what the code says: the image's permissions and packages, and the
// example of all settings.

import assert from "node:assert/strict";
import manifest from "../deno.json" with { type: "json" };
import { readHealth } from "../openapi/service.ts";
import { MEMORY, runFlags } from "../src/cli/launch.ts";
import { readConfig, settings } from "../src/config.ts";
import { lastDescendantOf } from "./server_memory.ts";
import { createSite, eventually, REPOSITORY, spawnProgram, UNSET } from "./process.ts";

const dockerfile = await Deno.readTextFile(`${REPOSITORY}/Dockerfile`);

Deno.test("Dockerfile: the server runs alone, with the permissions that the start task would give it", async () => {
  const [, list = ""] = /^ENTRYPOINT (\[.*?\])$/ms.exec(dockerfile.replaceAll("\\\n", "")) ?? [];
  const [init, dashes, ...command]: string[] = JSON.parse(list);
  assert.deepEqual([init, dashes], ["/tini", "--"]);

  await using site = await createSite();
  // Nothing in a setting is the shell's business.
  const storePath = `${site.folder}/$HOME *; b/latchkey.kv`;
  const env = { ...UNSET, HOST: "127.0.0.1", PORT: String(site.port), KV_PATH: storePath };
  const server = spawnProgram(command, { env });
  try {
    await eventually(
      "the server answers",
      () => site.call(readHealth).then(({ status }) => status === 200, () => false),
    );
    const running = (await Deno.readTextFile(`/proc/${server.pid}/cmdline`)).split("\0").slice(1, -1);
    assert.deepEqual(running, ["run", "--cached-only", ...runFlags(env), "src/main.ts"]);
  } finally {
    await server.kill();
  }
});

Deno.test("memory: what large blocks are is told to the server by the start task, and in the image", async () => {
  await using site = await createSite();
  const { pid } = await site.startServer();
  const environ = await Deno.readTextFile(`/proc/${await lastDescendantOf(pid)}/environ`);
  for (const [name, value] of Object.entries(MEMORY)) {
    assert(environ.split("\0").includes(`${name}=${value}`), name);
    assert(dockerfile.split("\n").includes(`ENV ${name}=${value}`), name);
  }
});

Deno.test("Dockerfile: the image is built for one pinned Deno, and leaves out exactly what only tests use", async () => {
  const images = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
  assert.deepEqual([...new Set(images)], ["denoland/deno:2.9.6"]);
  const [, removed = ""] = /deno remove --frozen=false (.*?)&&/s.exec(dockerfile) ?? [];
  const sources = await sourceText();
  const isImported = (name: string): boolean => new RegExp(`(from |import\\()"${name}["/]`).test(sources);
  const unused = Object.keys(manifest.imports).filter((name) => !isImported(name));
  assert.deepEqual(removed.replaceAll("\\", "").trim().split(/\s+/).sort(), unused.sort());
});

Deno.test(".env.example: names every setting, with its default, and what else may stand in .env", async () => {
  const lines = (await Deno.readTextFile(`${REPOSITORY}/.env.example`)).split("\n");
  const example = Object.fromEntries(
    lines.map((line) => /^#([A-Z_]+)=(.*)$/.exec(line)).filter((match) => match !== null)
      .map(([, name = "", value = ""]) => [name, value]),
  );
  assert.deepEqual(Object.keys(example).sort(), [...Object.keys(settings), "DENO_KV_ACCESS_TOKEN"].sort());
  assert.deepEqual(readConfig(example), readConfig({}));
});

/** All code that the server and its tools consist of. */
async function sourceText(folders: readonly string[] = ["src", "openapi"]): Promise<string> {
  let text = "";
  for (const folder of folders) {
    for await (const { name, isDirectory } of Deno.readDir(`${REPOSITORY}/${folder}`)) {
      const path = `${folder}/${name}`;
      if (isDirectory) text += await sourceText([path]);
      else if (name.endsWith(".ts")) text += await Deno.readTextFile(`${REPOSITORY}/${path}`);
    }
  }
  return text;
}
