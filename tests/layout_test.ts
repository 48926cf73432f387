// The shape of the repository, executed: who may import whom, where the platform is touched, what files are called,
// and that nothing unfinished stays behind.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { posix } from "node:path";
import manifest from "../deno.json" with { type: "json" };
import { REPOSITORY } from "./process.ts";

/** A TypeScript file of ours; its path starts at the repository. */
interface Source {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

interface Import {
  /** A path that starts at the repository, or the name of a package. */
  readonly target: string;
  readonly isTypeOnly: boolean;
}

const TOP_LEVEL = [
  "CHANGELOG.md",
  "Dockerfile",
  "LICENSE",
  "README.md",
  "deno.json",
  "deno.lock",
  "openapi",
  "src",
  "tests",
];

/** What the image is built without. */
const TEST_PACKAGES =
  /^(@redocly\/|@seriousme\/|@types\/|ajv|fast-check|playwright-core|smtp-server|typescript|@hey-api\/|@stoplight\/)/;

/** `from` must not import `not`. */
const importRules: readonly { name: string; from: RegExp; not: RegExp; isTypeAllowed?: boolean }[] = [
  { name: "the contract imports only the contract", from: /^openapi\//, not: /^(src|tests)\// },
  { name: "the server imports no tests", from: /^src\//, not: /^tests\// },
  { name: "the server needs no package of the tests", from: /^(src|openapi)\//, not: TEST_PACKAGES },
  {
    name: "the store knows neither HTTP nor the contract",
    from: /^src\/store\//,
    not:
      /^(hono\b|@hono\/|openapi\/|src\/(routes|pages|cli)\/|src\/(app|server|entry|main|deploy|problem|gate)\.ts)/,
  },
  { name: "a route imports no other route", from: /^src\/routes\//, not: /^src\/routes\// },
  { name: "only the app imports routes", from: /^src\/(?!app\.ts$)/, not: /^src\/routes\// },
  {
    name: "only the server imports the app",
    from: /^src\/(?!server\.ts$)/,
    not: /^src\/app\.ts$/,
    isTypeAllowed: true,
  },
  { name: "nothing imports an entry file", from: /^/, not: /^src\/(main|deploy)\.ts$/ },
  {
    name: "only entry files import the server",
    from: /^src\/(?!(main|deploy|entry)\.ts$)/,
    not: /^src\/(server|entry)\.ts$/,
  },
  { name: "only tools import tools", from: /^src\/(?!cli\/)/, not: /^src\/cli\// },
  { name: "what clients get imports nothing else", from: /^src\/sdk\//, not: /^(?!src\/sdk\/)/ },
  { name: "the server imports nothing that clients get", from: /^src\/(?!sdk\/)/, not: /^src\/sdk\// },
];

/** What stands in no file of the server but these. */
const placeRules: readonly { name: string; pattern: RegExp; only: readonly string[] }[] = [
  { name: "Deno.serve", pattern: /\bDeno\.serve\(/, only: ["src/main.ts", "src/deploy.ts"] },
  { name: "Deno.cron", pattern: /\bDeno\.cron\(/, only: ["src/deploy.ts"] },
  { name: "Deno.openKv", pattern: /\bDeno\.openKv\(/, only: ["src/store/open.ts"] },
  { name: "Deno.env", pattern: /\bDeno\.env\b/, only: ["src/environment.ts"] },
  {
    name: "the wall clock",
    pattern: /\bDate\.now\b|\bnew Date\(\)|\bTemporal\.Now\b/,
    only: ["src/server.ts", "src/cli/", "src/doctor/", "src/sdk/"],
  },
  {
    name: "the end of the process",
    pattern: /\bDeno\.exit\(/,
    only: ["src/entry.ts", "src/cli/", "openapi/emit.ts"],
  },
];

Deno.test("layout: the top level holds what it should, and nothing else", async () => {
  const entries = new Set((await listFiles()).map((path) => path.split("/")[0] ?? ""));
  const visible = [...entries].filter((entry) => !entry.startsWith(".")).sort();
  assert.deepEqual(visible, TOP_LEVEL);
});

Deno.test("layout: files are named for their topic, in snake_case", async () => {
  const ours = (await listFiles()).filter((path) => /^(src|openapi|tests)\//.test(path));
  const misnamed = ours.filter((path) => {
    const names = path.split("/").map((name) => name.replace(/\.(ts|json|md)$/, ""));
    return names.some((name) => !/^[a-z][a-z\d_]*$/.test(name)) ||
      /^(utils?|common|helpers?|libs?|misc|index|mod)$/.test(names.at(-1) ?? "");
  });
  assert.deepEqual(misnamed, []);
});

Deno.test("layout: imports are seen in all their forms", () => {
  // In single quotes, so that they are not taken for imports of this file.
  const text = [
    "import { a } from './a.ts';",
    "import type { B } from '../b.ts';",
    "import {",
    "  type C,",
    "  d,",
    "} from 'hono/d';",
    "import './e.ts';",
    "export { f } from './f.ts';",
    "const g = await import('../g.ts');",
  ].join("\n").replaceAll("'", '"');
  assert.deepEqual(parseImports("src/routes/x.ts", text), [
    { target: "src/routes/a.ts", isTypeOnly: false },
    { target: "src/b.ts", isTypeOnly: true },
    { target: "hono/d", isTypeOnly: false },
    { target: "src/routes/e.ts", isTypeOnly: false },
    { target: "src/routes/f.ts", isTypeOnly: false },
    { target: "src/g.ts", isTypeOnly: false },
  ]);
});

Deno.test("layout: imports point down only", async (t) => {
  const sources = await readSources();
  for (const { name, from, not, isTypeAllowed = false } of importRules) {
    await t.step(name, () => {
      const offences = sources.filter(({ path }) => from.test(path)).flatMap(({ path, imports }) =>
        imports
          .filter(({ target, isTypeOnly }) => not.test(target) && !(isTypeAllowed && isTypeOnly))
          .map(({ target }) => `${path} imports ${target}`)
      );
      assert.deepEqual(offences, []);
    });
  }
  await t.step("there is no cycle, types aside", () => assert.deepEqual(findCycle(sources), []));
});

Deno.test("layout: every import of a package is one of deno.json", async () => {
  const named = Object.keys(manifest.imports);
  const unnamed = (await readSources()).flatMap(({ path, imports }) =>
    imports
      .filter(({ target }) => !/^(src|openapi|tests)\/|^deno\.json$|^node:/.test(target))
      .filter(({ target }) => !named.some((name) => target === name || target.startsWith(`${name}/`)))
      .map(({ target }) => `${path} imports ${target}`)
  );
  assert.deepEqual(unnamed, []);
});

Deno.test("layout: the platform is touched in one place each", async (t) => {
  const sources = (await readSources()).filter(({ path }) => !path.startsWith("tests/"));
  for (const { name, pattern, only } of placeRules) {
    await t.step(name, () => {
      const elsewhere = sources
        .filter(({ path }) => !only.some((place) => path.startsWith(place)))
        .filter(({ text }) => pattern.test(withoutComments(text)));
      assert.deepEqual(elsewhere.map(({ path }) => path), []);
    });
  }
});

Deno.test("layout: nothing is left for later, and no test is left out", async () => {
  // Put together here, so that this file does not find itself.
  const later = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "X" + "XX"].join("|")})\\b`);
  const leftOut = new RegExp(
    `\\bDeno\\.test\\.(${"ignore"}|${"only"})\\b|\\b(${"ignore"}|${"only"}): true\\b`,
  );
  const sources = await readSources();
  assert.deepEqual(sources.filter(({ text }) => later.test(text)).map(({ path }) => path), []);
  assert.deepEqual(sources.filter(({ text }) => leftOut.test(text)).map(({ path }) => path), []);
});

/** All files that git knows or would add. */
async function listFiles(): Promise<string[]> {
  const { success, stdout, stderr } = await new Deno.Command("git", {
    args: ["ls-files", "--cached", "--others", "--exclude-standard", "-z"],
    cwd: REPOSITORY,
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const paths = new TextDecoder().decode(stdout).split("\0").filter((path) => path !== "");
  return paths.filter((path) => existsSync(`${REPOSITORY}${path}`));
}

async function readSources(): Promise<Source[]> {
  const paths = (await listFiles()).filter((path) => /^(src|openapi|tests)\/.*\.ts$/.test(path));
  return await Promise.all(paths.map(async (path) => {
    const text = await Deno.readTextFile(`${REPOSITORY}${path}`);
    return { path, text, imports: parseImports(path, text) };
  }));
}

function parseImports(path: string, text: string): Import[] {
  const statement = /^(?:import|export)\b(\s+type\b)?(?:[^"';]*?\bfrom)?\s*"([^"]+)"/gm;
  const dynamic = /\bimport\(\s*"([^"]+)"/g;
  const resolve = (specifier: string): string =>
    specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : specifier;
  return [
    ...[...text.matchAll(statement)].map(([, type, specifier = ""]) => ({
      target: resolve(specifier),
      isTypeOnly: type !== undefined,
    })),
    ...[...text.matchAll(dynamic)].map(([, specifier = ""]) => ({
      target: resolve(specifier),
      isTypeOnly: false,
    })),
  ];
}

/** The files of one cycle, in order, or none. */
function findCycle(sources: readonly Source[]): string[] {
  const targets = new Map(
    sources.map(({ path, imports }) => [
      path,
      imports.filter(({ isTypeOnly }) => !isTypeOnly).map(({ target }) => target),
    ]),
  );
  const done = new Set<string>();
  const walk = (path: string, trail: readonly string[]): string[] => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return [];
    for (const target of targets.get(path) ?? []) {
      const cycle = walk(target, [...trail, path]);
      if (cycle.length > 0) return cycle;
    }
    done.add(path);
    return [];
  };
  for (const path of targets.keys()) {
    const cycle = walk(path, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$|(?<=[\s;{,])\/\/ .*$/gm, "");
}
