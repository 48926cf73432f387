// Writes openapi/openapi.json from the contracts. With --check it writes nothing, and fails when the file is stale.

import { printDocument, routes } from "./document.ts";

const file = new URL("./openapi.json", import.meta.url);

if (import.meta.main) {
  const current = printDocument(routes);
  if (!Deno.args.includes("--check")) {
    await Deno.writeTextFile(file, current);
  } else if (await Deno.readTextFile(file).catch(() => null) !== current) {
    Deno.stderr.writeSync(
      new TextEncoder().encode("openapi/openapi.json is stale: run `deno task contract`\n"),
    );
    Deno.exit(1);
  }
}
