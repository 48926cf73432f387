// Weaknesses of packages: the task asks about every one, against a registry of the test's own; CI runs it; and the README
// promises how soon one is mended.

import assert from "node:assert/strict";
import manifest from "../deno.json" with { type: "json" };
import { REPOSITORY, spawnProgram } from "./process.ts";

const lock = await Deno.readTextFile(`${REPOSITORY}/deno.lock`);
const readme = await Deno.readTextFile(`${REPOSITORY}/README.md`);
const ADVISORY = {
  id: 1,
  url: "https://example.org/advisory",
  title: "A weakness",
  severity: "low",
  vulnerable_versions: "*",
};

Deno.test("advisories: the task asks about every package of deno.lock, and fails while a weakness is known, or nobody answers", async (t) => {
  const cases: { name: string; answer: () => Response; status: number; says: RegExp }[] = [
    { name: "none known", answer: () => Response.json({}), status: 0, says: /No known/ },
    { name: "one known", answer: () => Response.json({ hono: [ADVISORY] }), status: 1, says: /A weakness/ },
    { name: "no answer", answer: () => new Response("Busy", { status: 503 }), status: 1, says: /error/ },
  ];
  for (const { name, answer, status, says } of cases) {
    await t.step(name, async () => {
      await using registry = startRegistry(answer);
      const task = spawnProgram([Deno.execPath(), "task", "advisories"], {
        env: { NPM_CONFIG_REGISTRY: registry.url },
      });
      assert.equal(await task.ended(), status, task.stderr());
      assert.match(task.stdout() + task.stderr(), says);
      assert.deepEqual(registry.asked(), lockedPackages());
    });
  }
});

Deno.test("advisories: CI asks at each push and every week, with the Deno of the image", async () => {
  const workflow = await Deno.readTextFile(`${REPOSITORY}/.github/workflows/advisories.yml`);
  const dockerfile = await Deno.readTextFile(`${REPOSITORY}/Dockerfile`);
  const [, version] = /^FROM denoland\/deno:(\S+)$/m.exec(dockerfile) ?? [];
  assert.match(workflow, /^on:\n {2}push:\n {4}branches: \[main\]\n/m);
  assert.match(workflow, /^ {2}schedule:\n {4}- cron: "\d+ \d+ \* \* [0-6]"$/m);
  assert.match(workflow, new RegExp(`^ +- run: npx -y deno@${version} task advisories$`, "m"));
  assert.doesNotMatch(workflow, /continue-on-error|\bif:/);
});

Deno.test("advisories: the README says how soon a weakness is mended, and which packages most depends on", () => {
  const security = readme.split(/^## /m).find((section) => section.startsWith("Security\n")) ?? "";
  const rows = [...security.matchAll(/^\| (critical|high|moderate|low) +\| (\d+) days +\| (\d+) days +\|$/gm)]
    .map(([, severity = "", served, other]) => ({ severity, served: Number(served), other: Number(other) }));
  assert.deepEqual(rows.map(({ severity }) => severity), ["critical", "high", "moderate", "low"]);
  for (const [index, { severity, served, other }] of rows.entries()) {
    const before = rows[index - 1];
    assert(served <= other, severity);
    assert(!before || (before.served < served && before.other <= other), severity);
  }
  const [, list = ""] = /Most depends on (.+?)\n\n/s.exec(security) ?? [];
  const named = [...list.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
  assert(named.length >= 7);
  assert.deepEqual(named.filter((name) => !Object.keys(manifest.imports).includes(name)), []);
});

type Versions = Record<string, string[]>;

/** Of a key of the lock file the part behind `_` says which peers it was installed with. */
function lockedPackages(): Versions {
  const packages: Versions = {};
  for (const key of Object.keys(JSON.parse(lock).npm)) {
    const [, name = "", version = ""] = /^(@?[^@]+)@([^_]+)/.exec(key) ?? [];
    packages[name] = [...new Set([...packages[name] ?? [], version])].sort();
  }
  return packages;
}

/** A registry that keeps what it is asked. */
function startRegistry(
  answer: () => Response,
): AsyncDisposable & { readonly url: string; asked(): Versions } {
  const asked: Versions = {};
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    for (const [name, versions] of Object.entries<string[]>(await request.json())) {
      asked[name] = [...new Set([...asked[name] ?? [], ...versions])].sort();
    }
    return answer();
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    asked: () => asked,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
