// Redocly's command line for the tests: the pinned package, in a process that reaches no network, on documents in a
// folder of their own.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import manifest from "../deno.json" with { type: "json" };

const CONFIG = fileURLToPath(new URL("../deno.json", import.meta.url));

/** What the command prints about the documents, which are JSON texts, as JSON. Fails when it prints anything else. */
export async function runRedocly(
  command: "lint" | "diff",
  documents: readonly string[],
  options: readonly string[] = [],
): Promise<unknown> {
  const folder = await Deno.makeTempDir({ prefix: "latchkey_" });
  try {
    const names = documents.map((_, index) => `document_${index}.json`);
    await Promise.all(
      documents.map((text, index) => Deno.writeTextFile(`${folder}/${names[index]}`, text)),
    );
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--frozen",
        "--no-prompt",
        "--allow-read",
        "--allow-env",
        "--allow-sys",
        `--config=${CONFIG}`,
        `${manifest.imports["@redocly/cli"]}/redocly`,
        command,
        ...names,
        "--format=json",
        ...options,
      ],
      // Where there is no configuration, so that its own recommendations count.
      cwd: folder,
      env: { NO_COLOR: "1", REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" },
      stdin: "null",
    }).output();
    const printed = new TextDecoder().decode(stdout);
    assert(printed.startsWith("{"), `redocly ${command} failed: ${new TextDecoder().decode(stderr)}`);
    return JSON.parse(printed);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
