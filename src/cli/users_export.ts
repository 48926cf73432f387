// `deno task users:export [FILE]`: every account as a line of JSON, with its password's hash, in the form that
// users:import reads.

import type { Config } from "../config.ts";
import { collectAccounts } from "../store/users.ts";
import { formatUserLine } from "../transfer/user_line.ts";
import { tellOfCopy } from "./copy_event.ts";
import { writeOutput } from "./output_file.ts";
import { complain, readArguments, requireConfig, runProgram, say, ToolFault, useStore } from "./tool.ts";

const HELP =
  `Writes every account as one JSON object a line, to FILE or to standard output. Works beside a running server.

  deno task users:export [FILE] [--force]

  --force  replace FILE if it is there

The lines hold personal data and password hashes: keep them as safe as the store. Sessions and notes are not among
them; \`deno task backup\` keeps everything.`;

/** A file, or standard output. */
type Output = Pick<Deno.FsFile, "write">;

if (import.meta.main) {
  if (Deno.args.includes("--help")) say(HELP);
  else await runProgram(exportUsers);
}

async function exportUsers(): Promise<void> {
  const { values, positionals: [path] } = readArguments({
    help: HELP,
    options: { force: { type: "boolean" } },
    operandsMax: 1,
  });
  const config = await requireConfig();
  complain("These lines hold personal data and password hashes: keep them as safe as the store.");
  if (!path) return await writeAccounts(config, Deno.stdout);
  await writeOutput(path, { isForced: values.force ?? false }, async (draft) => {
    using file = await Deno.open(draft, { write: true });
    await writeAccounts(config, file);
  });
}

async function writeAccounts(config: Config, output: Output): Promise<void> {
  await tellOfCopy(config, "users_exported");
  const encoder = new TextEncoder();
  let count = 0;
  // No secret is needed: who has lost SECRET_KEY takes the accounts to a new store.
  await useStore(config, async (kv) => {
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof collectAccounts>> = await collectAccounts(kv, { cursor });
      const lines = page.accounts.map((account) => `${formatUserLine(account)}\n`);
      await writeAll(output, encoder.encode(lines.join("")));
      count += lines.length;
      cursor = page.cursor;
    } while (cursor !== null);
  });
  complain(`${count} ${count === 1 ? "account" : "accounts"} written.`);
}

/** Not through a stream: what a file's stream was given last is lost when the file is closed before the stream. */
async function writeAll(output: Output, bytes: Uint8Array): Promise<void> {
  try {
    for (let start = 0; start < bytes.length;) start += await output.write(bytes.subarray(start));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) {
      throw new ToolFault("Nobody reads the output any more: stopped.");
    }
    throw new ToolFault(`The output cannot be written: ${error instanceof Error ? error.message : error}`);
  }
}
