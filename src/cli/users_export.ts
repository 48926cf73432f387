// `deno task users:export [FILE]`: every account as a line of JSON, with its password's hash, in the form that
// users:import reads.

import { insertAuditEvent } from "../store/audit.ts";
import { OPERATOR } from "../store/client.ts";
import { collectAccounts } from "../store/users.ts";
import { formatUserLine } from "../transfer/user_line.ts";
import { writeOutput } from "./output_file.ts";
import { complain, readArguments, runTool, say, type Tool, ToolFault } from "./tool.ts";

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
  else await runTool(exportUsers);
}

async function exportUsers(tool: Tool): Promise<void> {
  const { values, positionals: [path] } = readArguments({
    help: HELP,
    options: { force: { type: "boolean" } },
    operandsMax: 1,
  });
  complain("These lines hold personal data and password hashes: keep them as safe as the store.");
  if (!path) return await writeAccounts(tool, Deno.stdout);
  await writeOutput(path, { isForced: values.force ?? false }, async (draft) => {
    using file = await Deno.open(draft, { write: true });
    await writeAccounts(tool, file);
  });
}

async function writeAccounts(tool: Tool, output: Output): Promise<void> {
  await insertAuditEvent(tool, { type: "users_exported", actor: OPERATOR, userId: null });
  const encoder = new TextEncoder();
  let count = 0;
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof collectAccounts>> = await collectAccounts(tool.kv, { cursor });
    const lines = page.accounts.map((account) => `${formatUserLine(account)}\n`);
    await writeAll(output, encoder.encode(lines.join("")));
    count += lines.length;
    cursor = page.cursor;
  } while (cursor !== null);
  complain(`${count} ${count === 1 ? "account" : "accounts"} written.`);
}

/** Not through a stream: what a file's stream was given last is lost when the file is closed before the stream. */
async function writeAll(output: Output, bytes: Uint8Array): Promise<void> {
  try {
    for (let start = 0; start < bytes.length;) start += await output.write(bytes.subarray(start));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    throw new ToolFault("Nobody reads the output any more: stopped.");
  }
}
