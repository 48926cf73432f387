// The gate between releases: openapi/released.json is what clients rely on, and what breaks them takes a version that
// may. What breaks them is in compatibility_operations_test.ts, compatibility_requests_test.ts and
// compatibility_answers_test.ts.

import assert from "node:assert/strict";
import { z } from "@hono/zod-openapi";
import manifest from "../deno.json" with { type: "json" };
import { refuseRelease } from "../openapi/emit.ts";
import { breakingVersion, compareDocuments, isAtLeast, printChange, refuseBreaks } from "./compatibility.ts";
import { printed } from "./contract_document.ts";

Deno.test("the document breaks no client of the last release, unless its version may", async () => {
  const released = await Deno.readTextFile(new URL("../openapi/released.json", import.meta.url));
  const [before, { version }] = [versionOf(released), manifest];
  assert.ok(isAtLeast(version, before), `deno.json is at ${version}, but ${before} is released`);
  const { breaks, notices } = await compareDocuments({ released, current: printed });
  const refusal = refuseBreaks({ before, version, breaks });
  assert.ok(refusal === null, refusal ?? "");
  if (notices.length === 0) return;
  const text = notices.map(printChange).join("\n");
  Deno.stderr.writeSync(
    new TextEncoder().encode(`\nNew for clients since ${before}; CHANGELOG.md should say so:\n${text}\n`),
  );
});

Deno.test("a break is told with its operation, its reason, and what to do", () => {
  const breaks = [{
    where: "POST /api/v1/auth/login (login), request",
    what: "Properties became required: `captcha`.",
    why: "Clients that leave it out are refused.",
  }];
  assert.equal(
    refuseBreaks({ before: "0.1.0", version: "0.1.1", breaks }),
    `The document breaks clients of 0.1.0, the last release (openapi/released.json):

  POST /api/v1/auth/login (login), request: Properties became required: \`captcha\`.
    Clients that leave it out are refused.

Keep what clients rely on. If it must break: raise "version" in deno.json to 0.2.0, and say in CHANGELOG.md what
clients have to change. (Below 1.0.0 a breaking change takes a new minor version, from then on a new major one.)
`,
  );
  assert.equal(refuseBreaks({ before: "0.1.0", version: "0.2.0", breaks }), null);
  assert.equal(refuseBreaks({ before: "0.1.0", version: "0.1.0", breaks: [] }), null);
});

Deno.test("below 1.0.0 a breaking change takes a new minor version, from then on a new major one", () => {
  const versions = [
    { before: "0.1.0", lowest: "0.2.0", tooLow: ["0.1.0", "0.1.9"], enough: ["0.2.0", "0.10.0", "1.0.0"] },
    { before: "0.9.3", lowest: "0.10.0", tooLow: ["0.9.4"], enough: ["0.10.0", "1.0.0"] },
    { before: "1.4.2", lowest: "2.0.0", tooLow: ["1.4.2", "1.5.0", "1.99.0"], enough: ["2.0.0", "10.0.0"] },
  ];
  for (const { before, lowest, tooLow, enough } of versions) {
    assert.equal(breakingVersion(before), lowest);
    for (const version of tooLow) assert.ok(!isAtLeast(version, lowest), `${before} to ${version}`);
    for (const version of enough) assert.ok(isAtLeast(version, lowest), `${before} to ${version}`);
  }
  assert.throws(() => breakingVersion("1.0"), /no version/);
});

Deno.test("a version is released once", () => {
  const [first, other, next] = [["0.1.0", "a"], ["0.1.0", "b"], ["0.2.0", "b"]].map(([version, title]) =>
    JSON.stringify({ info: { title, version } })
  );
  assert.ok(first && other && next);
  assert.equal(refuseRelease(null, first), null);
  assert.equal(refuseRelease(first, first), null);
  assert.match(refuseRelease(first, other) ?? "", /^0\.1\.0 is released already: raise "version"/);
  assert.equal(refuseRelease(first, next), null);
});

function versionOf(document: string): string {
  return z.object({ info: z.object({ version: z.string() }) }).parse(JSON.parse(document)).info.version;
}
