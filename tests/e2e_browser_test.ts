// The pages in a real browser: the documentation sends requests, nothing leaves the server's own origin, the console
// stays empty, and what needs no script has none. SCREENSHOTS=folder keeps the pictures, for a person to look at: the
// gate does so.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import type { Locator, Page } from "playwright-core";
import { readMe } from "../openapi/account.ts";
import { createNote, readNote } from "../openapi/notes.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { readMailbox } from "../openapi/service.ts";
import { endOtherSessions, login } from "../openapi/sessions.ts";
import { hasViewer } from "../src/viewer.ts";
import { openBrowser, type TestBrowser } from "./browser.ts";
import { PASSWORD } from "./harness.ts";
import { createSite, eventually, type Site } from "./process.ts";

const EMAIL = "ada@example.com";
/** What the viewer fills in for ids: the example of every id. */
const EXAMPLE_ID = "01981f6e-7a4c-7d1e-9b60-2f5d1c8e4a10";
/** What the viewer registers with. */
const EXAMPLE_PASSWORD = "correct horse battery staple";
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 740 };
/** A picture of nothing is smaller. */
const PICTURE_BYTES_MIN = 8_000;

Deno.test("docs: register, verify and read the account by pressing Send", async () => {
  await using site = await createSite();
  await requireViewer();
  await site.startServer();
  await using browser = await openBrowser();
  await using visit = await browser.visit(site, { colorScheme: "light", viewport: DESKTOP });
  const { page } = visit;
  await page.goto(`${site.url}/docs`);
  await untilDrawn(page);

  const challenge = await send(page, site, register, {});
  assert.equal(challenge.status, 202);
  const json = { challenge_id: challenge.body.challenge_id, code: await mailedCode(site) };
  const signedIn = await send(page, site, verifyOtp, { json });
  assert.equal(signedIn.status, 201);
  // Nobody has filled in the token: the page has kept it.
  const me = await send(page, site, readMe, { picture: "docs_sent" });
  assert.deepEqual([me.status, me.body.email], [200, EMAIL]);
  assert.equal((await send(page, site, createNote, {})).status, 201);

  const other = await send(page, site, login, { json: { email: EMAIL, password: EXAMPLE_PASSWORD } });
  assert.equal(other.status, 200);
  assert.notEqual(other.body.access_token, signedIn.body.access_token);
  // From then on it is the newer session that speaks.
  assert.equal((await send(page, site, endOtherSessions, {})).status, 204);
  assert.equal((await site.call(readMe, { token: signedIn.body.access_token })).status, 401);
  assert.deepEqual(visit.faults, []);
});

Deno.test("docs: a token that is filled in stays for every Send, and no longer than the page", async () => {
  await using site = await createSite();
  await requireViewer();
  await site.startServer();
  const challenge = await site.call(register, { json: { email: EMAIL, password: PASSWORD } });
  const json = { challenge_id: challenge.body.challenge_id, code: await mailedCode(site) };
  const { body: { access_token: token } } = await site.call(verifyOtp, { json });
  await using browser = await openBrowser();
  await using visit = await browser.visit(site, { colorScheme: "dark", viewport: DESKTOP });
  const { page } = visit;
  await page.goto(`${site.url}/docs`);
  await untilDrawn(page);

  assert.equal((await send(page, site, readMe, { token })).status, 200);
  assert.equal((await send(page, site, createNote, {})).status, 201);
  const kept = await page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])");
  assert(!String(kept).includes(token), "The token is kept where it outlives the page");
  assert.deepEqual(visit.faults, []);

  await page.reload();
  await untilDrawn(page);
  assert.equal((await send(page, site, readMe, {})).status, 401);
});

Deno.test("docs: on a phone an operation can be sent", async () => {
  await using site = await createSite();
  await requireViewer();
  await site.startServer();
  await using browser = await openBrowser();
  await using visit = await browser.visit(site, { colorScheme: "light", viewport: PHONE });
  const { page } = visit;
  await page.goto(`${site.url}/docs`);
  await untilDrawn(page);
  const dialog = await openDialog(page, register);
  const button = dialog.getByRole("button", { name: "Send post request" });
  await button.waitFor();
  // The dialog slides in.
  await eventually("Send is where a thumb reaches it", async () => {
    const box = await button.boundingBox();
    return box !== null && box.x >= 0 && box.x + box.width <= PHONE.width;
  }, { limitMs: 5_000 });
  await page.screenshot({ path: pictureFile(site, "docs_send_phone"), animations: "disabled" });
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  assert.equal((await send(page, site, register, {})).status, 202);
  assert.deepEqual(visit.faults, []);
});

Deno.test("docs: the parts of a path are filled in", async () => {
  await using site = await createSite();
  await requireViewer();
  await site.startServer();
  await using browser = await openBrowser();
  await using visit = await browser.visit(site, { colorScheme: "light", viewport: DESKTOP });
  await visit.page.goto(`${site.url}/docs`);
  await untilDrawn(visit.page);
  const dialog = await openDialog(visit.page, readNote);
  await dialog.getByText("note_id", { exact: true }).waitFor();
  await dialog.getByText(EXAMPLE_ID).waitFor();
  assert.deepEqual(visit.faults, []);
});

Deno.test("docs: light, dark and on a phone", async (t) => {
  await using site = await createSite();
  await requireViewer();
  await site.startServer();
  await using browser = await openBrowser();
  await lookAtAll(t, { browser, site, path: "/docs", name: "docs" }, untilDrawn);
  const path = `/docs${fragmentOf(readNote)}`;
  await lookAtAll(t, { browser, site, path, name: "docs_operation" }, async (page) => {
    await page.getByRole("heading", { name: readNote.summary }).waitFor();
    // Where the link leads to has the focus; it wears no frame.
    await page.waitForFunction("document.activeElement.tagName === 'SECTION'");
    const frame = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle");
    assert.equal(frame, "none");
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

/** The page in four ways: it shows what it should, fits the width, and takes a picture. */
async function lookAtAll(
  t: Deno.TestContext,
  { browser, site, path, name }: View,
  isThere: (page: Page) => Promise<void>,
): Promise<void> {
  const looks = [
    { look: "light", colorScheme: "light", viewport: DESKTOP },
    { look: "dark", colorScheme: "dark", viewport: DESKTOP },
    { look: "phone_light", colorScheme: "light", viewport: PHONE },
    { look: "phone_dark", colorScheme: "dark", viewport: PHONE },
  ] as const;
  for (const { look, ...options } of looks) {
    await t.step(`${name}, ${look}`, async () => {
      const isScripted = path.startsWith("/docs");
      await using visit = await browser.visit(site, { ...options, javaScriptEnabled: isScripted });
      await visit.page.goto(`${site.url}${path}`);
      await isThere(visit.page);
      const picture = await visit.page.screenshot({
        path: pictureFile(site, `${name}_${look}`),
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

/** Opens an operation, fills in what is given, presses Send, waits until the page shows the answer, and closes it. */
async function send(
  page: Page,
  site: Site,
  route: RouteConfig,
  { json, token, picture }: {
    readonly json?: unknown;
    readonly token?: string;
    readonly picture?: string;
  },
  // The contract is checked elsewhere; here it is what the page got.
  // deno-lint-ignore no-explicit-any
): Promise<{ readonly status: number; readonly body: any }> {
  const dialog = await openDialog(page, route);
  if (token !== undefined) await dialog.getByPlaceholder("Token").fill(token);
  if (json !== undefined) {
    await dialog.getByRole("textbox").last().click();
    await page.keyboard.press("Control+A");
    await page.keyboard.insertText(JSON.stringify(json));
  }
  const [response] = await Promise.all([
    page.waitForResponse((answer) => answer.url() === `${site.url}${route.path}`),
    dialog.getByRole("button", { name: `Send ${route.method} request` }).click(),
  ]);
  const status = response.status();
  await dialog.getByText(`${status} ${response.statusText()}`).waitFor();
  const body = status === 204 ? null : await response.json();
  if (picture !== undefined) {
    await page.screenshot({ path: pictureFile(site, picture), animations: "disabled" });
  }
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  return { status, body };
}

/** Waits until the viewer shows the document: before that it heeds no change of address. */
async function untilDrawn(page: Page): Promise<void> {
  await page.getByRole("heading", { name: "Latchkey", level: 1 }).waitFor();
  await page.getByText("Five minutes").first().waitFor();
}

/** Goes to an operation of the page that is open, and opens where it can be tried. */
async function openDialog(page: Page, route: RouteConfig): Promise<Locator> {
  await page.evaluate(`location.hash = ${JSON.stringify(fragmentOf(route))}`);
  await page.getByRole("button", { name: `Test Request (${route.method} ${route.path})` }).click();
  return page.getByRole("dialog");
}

/** Where in the page an operation stands. */
function fragmentOf({ method, path, tags = [] }: RouteConfig): string {
  return `#tag/${tags[0]?.toLowerCase()}/${method.toUpperCase()}${path}`;
}

function pictureFile(site: Site, name: string): string {
  return `${Deno.env.get("SCREENSHOTS") ?? site.folder}/${name}.png`;
}

async function mailedCode(site: Site): Promise<string> {
  return await eventually("the code arrives", async () => {
    const { body } = await site.call(readMailbox, { headers: { accept: "application/json" } });
    return body.data.find(({ to }: { readonly to: string }) => to === EMAIL)?.code;
  });
}

async function requireViewer(): Promise<void> {
  assert(await hasViewer(), "There is no viewer: run `deno task viewer` with access to the npm registry");
}
