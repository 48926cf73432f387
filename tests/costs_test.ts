// What each operation costs: how often it asks the store, and how often it hashes a password or signs a token. The table
// stands in openapi/performance.md; an extra round trip turns this red.

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { routes } from "../openapi/document.ts";
import { createApp } from "../src/app.ts";
import { createLimits } from "../src/store/limits.ts";
import { callApp } from "./harness.ts";
import { type Row, rows, setScene } from "./operations.ts";
import { watchKv } from "./watched_kv.ts";

/** They ask the store nothing, or need what no request brings about. */
const WITHOUT_ROW = /^(retryMail|read(Health|Readiness|Metrics|Keys|Document|Docs|Problem|Mailbox))$/;

/** Their token is in the body. */
const BODY_TOKEN = /^(refreshTokens|verifyToken)$/;

/** One line of the table: the operation once, on a server that has answered this client before. */
async function measure({ route, note, status, ask }: Row): Promise<string> {
  const scene = await setScene();
  await using server = scene.server;
  const input = await ask(scene);
  await server.mails();
  const watched = watchKv();
  const kv = watched.wrap(server.kv);
  const { deps } = server;
  const { secrets, config, hasher, accessTokens } = deps;
  let hashes = 0;
  let signatures = 0;
  const app = createApp({
    ...deps,
    kv,
    limits: createLimits({ kv, secrets, config }),
    hasher: {
      ...hasher,
      hash: (...args) => (hashes++, hasher.hash(...args)),
      verify: (...args) => (hashes++, hasher.verify(...args)),
    },
    accessTokens: { ...accessTokens, issue: (...args) => (signatures++, accessTokens.issue(...args)) },
  });
  // Permits of a day are taken in blocks by who is busy: after three requests there is one in memory.
  const token = input.token ?? (BODY_TOKEN.test(route.operationId ?? "") ? scene.ada.accessToken : undefined);
  for (let requests = 0; token !== undefined && requests < 3; requests++) {
    await callApp(app, readMe, { token });
  }
  Object.assign(watched, { reads: 0, commits: 0 });
  const answer = await callApp(app, route, input);
  assert(status === undefined ? answer.status < 300 : answer.status === status, answer.text);
  const name = `\`${route.operationId}\`${note ? `, ${note}` : ""}`;
  return `| ${[name, watched.reads, watched.commits, hashes, signatures].join(" | ")} |`;
}

Deno.test("costs: the table of openapi/performance.md is what each operation costs", async () => {
  const lines: string[] = [];
  for (const row of rows) lines.push(await measure(row));
  const page = await Deno.readTextFile(new URL("../openapi/performance.md", import.meta.url));
  const table = page.split("\n").filter((line) => line.startsWith("| `")).map((line) =>
    line.replaceAll(/ +\|/g, " |")
  );
  assert.deepEqual(table, lines);
});

Deno.test("costs: the table has every operation that asks the store", () => {
  const named = new Set(rows.map(({ route }) => route.operationId));
  const missing = routes.map(({ operationId = "" }) => operationId)
    .filter((name) => !named.has(name) && !WITHOUT_ROW.test(name));
  assert.deepEqual(missing, []);
});
