// The project's own files, where they repeat what the code says: the image's permissions and packages, and the
// example of all settings.

import assert from "node:assert/strict";
import manifest from "../deno.json" with { type: "json" };
import { runFlags } from "../src/cli/launch.ts";
import { readConfig, settings } from "../src/config.ts";
import { REPOSITORY } from "./process.ts";

const dockerfile = await Deno.readTextFile(`${REPOSITORY}/Dockerfile`);

Deno.test("Dockerfile: the server runs with the permissions that the start task would give it", () => {
  const [, list = ""] = /^ENTRYPOINT (\[.*?\])$/ms.exec(dockerfile.replaceAll("\\\n", "")) ?? [];
  const flags = runFlags({ KV_PATH: "/data/latchkey.kv" });
  assert.deepEqual(JSON.parse(list), [
    "/tini",
    "--",
    "deno",
    "run",
    "--cached-only",
    ...flags,
    "src/main.ts",
  ]);
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

Deno.test(".env.example: names every setting, with its default", async () => {
  const lines = (await Deno.readTextFile(`${REPOSITORY}/.env.example`)).split("\n");
  const example = Object.fromEntries(
    lines.map((line) => /^#([A-Z_]+)=(.*)$/.exec(line)).filter((match) => match !== null)
      .map(([, name = "", value = ""]) => [name, value]),
  );
  assert.deepEqual(Object.keys(example).sort(), Object.keys(settings).sort());
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
