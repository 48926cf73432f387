// `deno task audit:verify`: proves that the audit trail is whole.

import { z } from "zod";
import { type AuditAnchor, proveAudit } from "../store/audit_proof.ts";
import { requireName, writeOutput } from "./output_file.ts";
import { complain, readArguments, runTool, say, type Tool, ToolFault } from "./tool.ts";

const HELP =
  `Proves that no event of the audit trail was altered, taken out or put in. Works beside a running server.

  deno task audit:verify [ANCHOR]

  ANCHOR  a file. What it says of an earlier run, if it is there, must still hold; then it is told how far the trail
          goes now. Keep it on another machine: only it shows that somebody put an older trail back. After a restore
          begin a new one

The proof needs the SECRET_KEY of the server. It ends with status 1 when something is wrong.`;

const anchorForm = z.record(
  z.string().max(64),
  z.strictObject({ number: z.int().min(1), hash: z.string().max(64) }),
);

if (import.meta.main) {
  if (Deno.args.includes("--help")) say(HELP);
  else await runTool(verifyAudit);
}

async function verifyAudit({ kv, secrets }: Tool): Promise<void> {
  const { positionals: [path] } = readArguments({ help: HELP, options: {}, operandsMax: 1 });
  const known = path === undefined ? null : await readAnchor(path);
  const { eventCount, faults, anchor } = await proveAudit(kv, secrets, { anchor: known ?? {} });
  for (const fault of faults) complain(fault);
  if (faults.length > 0) {
    throw new ToolFault(
      "The audit trail is not whole: keep a copy of the store, and find out who could write to it.",
    );
  }
  if (path !== undefined) {
    const text = `${JSON.stringify(anchor, null, 2)}\n`;
    await writeOutput(path, { isForced: true }, (draft) => Deno.writeTextFile(draft, text));
  }
  const events = eventCount === 1 ? "event" : "events";
  say(`${eventCount} ${events}, and none was altered or taken out.`);
  if (path !== undefined) {
    say(
      known ? `They go on from what ${path} knew, and it is up to date.` : `${path} knows how far they go.`,
    );
  }
}

/** Null when there is none yet. */
async function readAnchor(path: string): Promise<AuditAnchor | null> {
  requireName(path);
  try {
    const { data } = anchorForm.safeParse(JSON.parse(await Deno.readTextFile(path)));
    if (data) return data;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    if (!(error instanceof SyntaxError)) throw new ToolFault(`${path} cannot be read`);
  }
  throw new ToolFault(`${path} is not what audit:verify has written`);
}
