// Writes openapi/openapi.json from the contracts. With --check it writes nothing, and fails when the file is stale.
// With --release it is also kept as released.json: what clients rely on from then on (tests/compatibility_test.ts).

import { z } from "@hono/zod-openapi";
import { printDocument, routes } from "./document.ts";

const file = new URL("./openapi.json", import.meta.url);
const releasedFile = new URL("./released.json", import.meta.url);
const versioned = z.object({ info: z.object({ version: z.string() }) });

/** Why `current` cannot be released after `released`; null when it can. A version is released once. */
export function refuseRelease(released: string | null, current: string): string | null {
  if (released === null || released === current) return null;
  const [before, now] = [released, current].map((text) => versioned.parse(JSON.parse(text)).info.version);
  return before === now ? `${now} is released already: raise "version" in deno.json first` : null;
}

if (import.meta.main) {
  const current = printDocument(routes);
  if (Deno.args.includes("--check")) {
    if (await read(file) !== current) fail("openapi/openapi.json is stale: run `deno task contract`");
  } else {
    await Deno.writeTextFile(file, current);
  }
  if (Deno.args.includes("--release")) {
    const refusal = refuseRelease(await read(releasedFile), current);
    if (refusal !== null) fail(refusal);
    await Deno.writeTextFile(releasedFile, current);
  }
}

async function read(url: URL): Promise<string | null> {
  return await Deno.readTextFile(url).catch(() => null);
}

function fail(message: string): never {
  Deno.stderr.writeSync(new TextEncoder().encode(`${message}\n`));
  Deno.exit(1);
}
