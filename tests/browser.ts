// A real browser for tests: each visit keeps a list of what went wrong in it, and nothing that it asks of another host
// than the server reaches the network.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import type { Site } from "./process.ts";

const WAIT_LIMIT_MS = 30_000;

/** A headless Chromium; it ends with the test. */
export interface TestBrowser extends AsyncDisposable {
  /** A page with nothing from other visits. */
  visit(site: Site, options: Parameters<Browser["newContext"]>[0]): Promise<Visit>;
}

/** One page, and what went wrong in it. */
export interface Visit extends AsyncDisposable {
  readonly page: Page;
  /** Requests to elsewhere, failed requests, and what the console complains of. */
  readonly faults: string[];
}

/** Starts the Chromium of this machine, or the program that CHROMIUM names. */
export async function openBrowser(): Promise<TestBrowser> {
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
