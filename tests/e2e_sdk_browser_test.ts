// The built TypeScript client and its session in Chromium, in pages of another origin than the server's: the code of
// openapi/clients.md, two tabs of one browser, and what the browser itself does about CORS and locks.

import assert from "node:assert/strict";
import { openBrowser } from "./browser.ts";
import { UNLIMITED } from "./harness.ts";
import { createSite, eventually, type Site } from "./process.ts";
import {
  BROWSER_APP,
  codeOf,
  compile,
  createApp,
  EMAIL,
  install,
  makeClients,
  NPM_FLAGS,
  readme,
  typescriptPrelude,
} from "./sdk_app.ts";
import { signUp } from "./sdk_place.ts";

const CALLS = 10;

const CALLBACKS = `
const heard: string[] = [];
const showSignIn = (reason: string): void => void heard.push(reason);
const showProblem = (code: string): void => void heard.push(code);
`;

/** Another tab of the same app. */
const SECOND_TAB = `
  import { client, readMe } from "latchkey-client";
  import { createSession } from "latchkey-client/session";
  const session = createSession({ baseUrl, storage: localStorage, onSignedOut: showSignIn });
  client.setConfig({ baseUrl, fetch: session.fetch });
  const me = undefined;
`;

const EXPOSURE = `Object.assign(globalThis, { app: { session, heard, readMe, me } });`;

const PAGE = `<!doctype html>
<link rel="icon" href="data:,">
<script type="importmap">{ "imports": {
  "latchkey-client": "/node_modules/latchkey-client/dist/index.js",
  "latchkey-client/session": "/node_modules/latchkey-client/dist/session.js"
} }</script>
<script type="module" src="APP"></script>
`;

Deno.test("sdk in a browser: login, me, one renewal for two tabs, and a sign-out that both hear", async () => {
  await using site = await createSite();
  const folder = `${site.folder}/app`;
  await using pages = servePages(folder);
  const origin = `http://127.0.0.1:${pages.addr.port}`;
  await site.startServer({ ...UNLIMITED, ACCESS_TOKEN_TTL: "5s", CORS_ORIGINS: origin });
  await signUp(site, EMAIL);
  await makeApp(site, folder);

  await using browser = await openBrowser();
  await using visit = await browser.visit(site, {});
  const context = visit.page.context();
  // A request that a test looks into is spared its preflight.
  await context.unrouteAll();
  const renewals: string[] = [];
  context.on("request", (request) => {
    if (request.method() === "POST" && request.url().endsWith("/token/refresh")) renewals.push(request.url());
  });

  const first = visit.page;
  await first.goto(`${origin}/first.html`);
  await first.waitForFunction("globalThis.app");
  assert.equal(await first.evaluate("app.me?.email"), EMAIL);
  const second = await context.newPage();
  await second.goto(`${origin}/second.html`);
  await second.waitForFunction("globalThis.app");
  assert.equal(await second.evaluate("app.session.isSignedIn()"), true);
  assert.deepEqual(renewals, []);

  const entry: string = await first.evaluate("localStorage.getItem('latchkey.session')");
  await eventually("the token is due", () => Date.now() >= JSON.parse(entry).renew_at_ms);
  const call = `Promise.all(Array.from({ length: ${CALLS} }, async () => (await app.readMe()).data?.email))`;
  const answers = await Promise.all([first, second].map((page) => page.evaluate(call)));
  assert.deepEqual(answers.flat(), Array(2 * CALLS).fill(EMAIL));
  assert.equal(renewals.length, 1);

  assert.equal(await second.evaluate("app.session.signOut()"), true);
  const heard = await eventually("the other tab hears it", async () => {
    const reasons: string[] = await first.evaluate("app.heard");
    return reasons.length > 0 && reasons;
  });
  assert.deepEqual([heard, await second.evaluate("app.heard")], [["elsewhere"], ["signed_out"]]);
  assert.equal(await first.evaluate("localStorage.length"), 0);
  assert.deepEqual(visit.faults, []);
});

/** Two pages; the first is what the guide shows. */
async function makeApp(site: Site, folder: string): Promise<void> {
  const given = typescriptPrelude(site) + CALLBACKS;
  const usage = codeOf("ts browser");
  assert(readme.includes(usage), "The README says the same");
  const guide = usage.replace(/^const baseUrl.*\n/m, "");
  await createApp(folder, {
    "first.ts": [given, guide, EXPOSURE].join("\n"),
    "second.ts": [given, SECOND_TAB, EXPOSURE].join("\n"),
    "first.html": PAGE.replace("APP", "/first.js"),
    "second.html": PAGE.replace("APP", "/second.js"),
    "package.json": JSON.stringify({ private: true, type: "module" }),
  });
  await makeClients(`${site.folder}/clients`, ["--only", "typescript"]);
  await install("npm", { app: folder, clients: `${site.folder}/clients`, flags: NPM_FLAGS });
  await compile(folder, BROWSER_APP);
}

function servePages(folder: string): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async ({ url }) => {
    const { pathname } = new URL(url);
    const type = pathname.endsWith(".js") ? "text/javascript" : "text/html";
    return new Response(await Deno.readFile(folder + pathname), { headers: { "content-type": type } });
  });
}
