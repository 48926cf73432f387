// The pages in a real browser: the documentation sends requests, nothing leaves the server's own origin, the console
// stays empty, and what needs no script has none. SCREENSHOTS=folder keeps the pictures, for a person to look at.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import type { RouteConfig } from "@hono/zod-openapi";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { readMe } from "../openapi/account.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { readMailbox } from "../openapi/service.ts";
import { hasViewer } from "../src/viewer.ts";
import { PASSWORD } from "./harness.ts";
import { createSite, eventually, type Site } from "./process.ts";

const EMAIL = "ada@example.com";
const WAIT_LIMIT_MS = 30_000;
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 740 };
/** A picture of nothing is smaller. */
const PICTURE_BYTES_MIN = 8_000;

Deno.test("docs: register, verify and read the account by pressing Send", async () => {
  await using site = await createSite();
  assert(await hasViewer(), "There is no viewer: run `deno task viewer` with access to the npm registry");
  await site.startServer();
  await using browser = await openBrowser();
  await using visit = await browser.visit(site, { colorScheme: "light", viewport: DESKTOP });

  const challenge = await send(visit.page, site, register, {});
  assert.equal(challenge.status, 202);
  const code = await eventually("the code arrives", async () => {
    const { body } = await site.call(readMailbox, { headers: { accept: "application/json" } });
    return body.data.find(({ to }: { readonly to: string }) => to === EMAIL)?.code;
  });
  const json = { challenge_id: challenge.body.challenge_id, code };
  const signedIn = await send(visit.page, site, verifyOtp, { json });
  assert.equal(signedIn.status, 201);
  const me = await send(visit.page, site, readMe, { token: signedIn.body.access_token });
  assert.deepEqual([me.status, me.body.email], [200, EMAIL]);
  assert.deepEqual(visit.faults, []);
});

Deno.test("docs: light, dark and on a phone", async (t) => {
  await using site = await createSite();
  assert(await hasViewer(), "There is no viewer: run `deno task viewer` with access to the npm registry");
  await site.startServer();
  await using browser = await openBrowser();
  await lookAtAll(t, { browser, site, path: "/docs", name: "docs" }, async (page) => {
    await page.getByRole("heading", { name: "Latchkey", level: 1 }).waitFor();
    await page.getByText("Five minutes").first().waitFor();
  });
});

Deno.test("pages: light, dark and on a phone, without a script", async (t) => {
  await using site = await createSite();
  await site.startServer();
  await using browser = await openBrowser();
  await lookAtAll(t, { browser, site, path: "/dev/mailbox", name: "mailbox_empty" }, async (page) => {
    await page.getByText("No mail yet").waitFor();
  });
  await lookAtAll(t, { browser, site, path: "/problems/otp_expired", name: "problem" }, async (page) => {
    await page.getByText("otp_expired").first().waitFor();
  });
  const answer = await site.call(register, { json: { email: EMAIL, password: PASSWORD, name: "Ada" } });
  assert.equal(answer.status, 202, answer.text);
  await eventually("the mail arrives", async () => {
    return (await site.call(readMailbox, { headers: { accept: "application/json" } })).body.data.length > 0;
  });
  await lookAtAll(t, { browser, site, path: "/dev/mailbox", name: "mailbox" }, async (page) => {
    await page.getByText(`To ${EMAIL}`).waitFor();
    await page.locator("summary").click();
    await page.frameLocator("iframe").getByText(/^\d{6}$/).first().waitFor();
  });
});

interface View {
  readonly browser: TestBrowser;
  readonly site: Site;
  readonly path: string;
  /** Of the pictures. */
  readonly name: string;
}

/** The page in three ways: it shows what it should, fits the width, and takes a picture. */
async function lookAtAll(
  t: Deno.TestContext,
  { browser, site, path, name }: View,
  isThere: (page: Page) => Promise<void>,
): Promise<void> {
  const looks = [
    { look: "light", colorScheme: "light", viewport: DESKTOP },
    { look: "dark", colorScheme: "dark", viewport: DESKTOP },
    { look: "phone", colorScheme: "light", viewport: PHONE },
  ] as const;
  for (const { look, ...options } of looks) {
    await t.step(`${name}, ${look}`, async () => {
      const isScripted = path === "/docs";
      await using visit = await browser.visit(site, { ...options, javaScriptEnabled: isScripted });
      await visit.page.goto(`${site.url}${path}`);
      await isThere(visit.page);
      const folder = Deno.env.get("SCREENSHOTS") ?? site.folder;
      const picture = await visit.page.screenshot({
        path: `${folder}/${name}_${look}.png`,
        fullPage: !isScripted,
      });
      assert(picture.length > PICTURE_BYTES_MIN, `${picture.length} bytes`);
      assert.deepEqual(visit.faults, []);
      const width = await visit.page.evaluate("document.documentElement.scrollWidth");
      assert.equal(width, options.viewport.width, "It can be scrolled sideways");
      assert.equal(await visit.page.locator("script").count() > 0, isScripted);
    });
  }
}

/** Opens an operation, fills in what is given, presses Send, and waits until the page shows the answer. */
async function send(
  page: Page,
  { url }: Site,
  { method, path, tags = [] }: RouteConfig,
  { json, token }: { readonly json?: unknown; readonly token?: string },
  // The contract is checked elsewhere; here it is what the page got.
  // deno-lint-ignore no-explicit-any
): Promise<{ readonly status: number; readonly body: any }> {
  // A new document each time: a change of the part behind # loads nothing.
  await page.goto("about:blank");
  const verb = method.toUpperCase();
  await page.goto(`${url}/docs#tag/${tags[0]?.toLowerCase()}/${verb}${path}`);
  await page.getByRole("button", { name: `Test Request (${method} ${path})` }).click();
  const dialog = page.getByRole("dialog");
  if (token !== undefined) await dialog.getByPlaceholder("Token").fill(token);
  if (json !== undefined) {
    await dialog.getByRole("textbox").last().click();
    await page.keyboard.press("Control+A");
    await page.keyboard.insertText(JSON.stringify(json));
  }
  const [response] = await Promise.all([
    page.waitForResponse((answer) => answer.url() === `${url}${path}`),
    dialog.getByRole("button", { name: `Send ${method} request` }).click(),
  ]);
  const status = response.status();
  await dialog.getByText(`${status} ${response.statusText()}`).waitFor();
  return { status, body: await response.json() };
}

interface TestBrowser extends AsyncDisposable {
  visit(site: Site, options: Parameters<Browser["newContext"]>[0]): Promise<Visit>;
}

/** One page, and what went wrong in it. */
interface Visit extends AsyncDisposable {
  readonly page: Page;
  /** Requests to elsewhere, failed requests, and what the console complains of. */
  readonly faults: string[];
}

async function openBrowser(): Promise<TestBrowser> {
  const browser = await chromium.launch({ executablePath: findChromium(), headless: true, args: FLAGS });
  return {
    async visit(site, options) {
      const context = await browser.newContext(options);
      context.setDefaultTimeout(WAIT_LIMIT_MS);
      const faults = await watch(context, site);
      return { page: await context.newPage(), faults, [Symbol.asyncDispose]: () => context.close() };
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

async function watch(context: BrowserContext, { url }: Site): Promise<string[]> {
  const faults: string[] = [];
  context.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(`${message.type()}: ${message.text()}`);
  });
  context.on("weberror", (error) => faults.push(`uncaught: ${error.error().message}`));
  context.on("response", (response) => {
    if (response.status() >= 400) faults.push(`${response.status()}: ${response.url()}`);
  });
  // Nothing that leaves the origin reaches the network, and each attempt is a fault.
  await context.route((target) => target.origin !== url, (route) => {
    faults.push(`elsewhere: ${route.request().url()}`);
    return route.abort();
  });
  return faults;
}

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

function findChromium(): string {
  const paths = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  const path = Deno.env.get("CHROMIUM") || paths.find((candidate) => existsSync(candidate));
  assert(path, "There is no Chromium: install it, or name its program in CHROMIUM");
  return path;
}
