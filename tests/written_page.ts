// The pages that are written rather than emitted, as tests read them: what a page names as an operation, a setting, a task
// or an option has to be one.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import manifest from "../deno.json" with { type: "json" };
import { routes } from "../openapi/document.ts";
import { REPOSITORY, type Site } from "./process.ts";

/** The text of a page; `path` starts at the repository. */
export async function readPage(path: string): Promise<string> {
  return await Deno.readTextFile(`${REPOSITORY}${path}`);
}

/** The code spans of a text. */
export function spansOf(text: string): string[] {
  return [...text.replaceAll(/^```.*?^```$/gms, "").matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span);
}

/** The operation that `GET /me` or `GET /api/v1/me` names. */
export function findRoute(span: string): RouteConfig | undefined {
  const [method, target = ""] = span.split(" ");
  const [path] = target.split("?");
  return routes.find((route) =>
    route.method.toUpperCase() === method && [path, `/api/v1${path}`].includes(route.path)
  );
}

/** Fails unless every `METHOD /path` of the page is an operation; gives how many there are. */
export function assertOperations(page: string): number {
  const named = spansOf(page).filter((span) => /^(GET|POST|PUT|PATCH|DELETE) \//.test(span));
  assert.deepEqual(named.filter((span) => !findRoute(span)), []);
  return named.length;
}

/**
 * Fails unless every `deno task …` of the page is a task whose help knows the options that the page gives it. Options
 * that stand alone in the page are those of `mainTask`.
 */
export async function assertCommands(
  site: Site,
  page: string,
  { mainTask }: { readonly mainTask: string },
): Promise<void> {
  const given = Map.groupBy(page.matchAll(/deno task ([a-z:]+)([^\n`|]*)/g), ([, task = ""]) => task);
  const loose = spansOf(page).filter((span) => span.startsWith("--"));
  assert(given.has(mainTask), `${mainTask} is not on the page`);
  for (const [task, uses] of given) {
    assert(task in manifest.tasks, `${task} is no task`);
    const parts = [...uses.map(([, , rest = ""]) => rest), ...task === mainTask ? loose : []];
    const options = parts.flatMap((part) => part.match(/--[a-z\d-]+/g) ?? []);
    if (options.length === 0) continue;
    const tool = site.spawn(task, { args: ["--help"] });
    assert.equal(await tool.ended(), 0, tool.stderr());
    const known: string[] = tool.stdout().match(/--[a-z\d-]+/g) ?? [];
    assert.deepEqual(options.filter((option) => !known.includes(option)), [], task);
  }
}

/** Fails unless every file that the page links to is there. */
export async function assertLinks(page: string, { folder }: { readonly folder: string }): Promise<void> {
  for (const [, path = ""] of page.matchAll(/\]\(((?!http)[^)#]+)[^)]*\)/g)) {
    assert((await Deno.stat(`${REPOSITORY}${folder}/${path}`)).isFile, path);
  }
}
