// `deno task store:check`: looks whether all records of the store agree with each other. Reads only.

import { createKv } from "../store/kv.ts";
import { connect, isFile } from "../store/open.ts";
import { requireCurrentSchema } from "../store/schema.ts";
import { checkStore } from "../store_check/check.ts";
import { createShares } from "../store_check/share.ts";
import { createProgress } from "./progress.ts";
import { complain, readArguments, requireConfig, runProgram, say, ToolFault } from "./tool.ts";

const HELP =
  `Looks whether all records of the store agree with each other: accounts and what leads to them, sessions, codes,
notes and their counts, mails and the audit trail; and whether anything is left of who is gone. Works beside a
running server, and changes nothing. A million accounts take about a quarter of an hour.

  deno task store:check

Each fault is a line with the kind and id of its record, and the exit status is 1 when there is one. To look at a
backup name it: KV_PATH=FILE deno task store:check. Whether an event of the audit trail was altered, only deno task
audit:verify can tell.`;

if (import.meta.main) {
  if (Deno.args.includes("--help")) say(HELP);
  else await runProgram(check);
}

async function check(): Promise<void> {
  readArguments({ help: HELP, options: {} });
  const { kvPath } = await requireConfig();
  await requireStore(kvPath);
  const db = await connect(kvPath);
  try {
    await requireCurrentSchema(createKv(db, Date.now), { name: kvPath ?? "The store" });
    const progress = createProgress("Checking");
    const shareOf = createShares(createKv(db, () => 0));
    const { recordCount, faultCount, faults } = await checkStore(db, {
      nowMs: Date.now,
      async onPage(page) {
        const last = page.at(-1);
        if (last) progress.show(await shareOf(last.key));
      },
    }).finally(() => progress.clear());
    for (const fault of faults) complain(fault);
    if (faultCount > faults.length) complain(`And ${faultCount - faults.length} more.`);
    if (faultCount > 0) throw new ToolFault(adviceFor(faultCount));
    say(`${recordCount.toLocaleString("en")} records, and nothing is wrong with them.`);
  } finally {
    // What SQLite keeps beside the file is cleared away.
    db.close();
  }
}

/** To look for a store must not make one. */
async function requireStore(kvPath: string | null): Promise<void> {
  if (!isFile(kvPath)) return;
  const isThere = await Deno.stat(kvPath).then(({ size }) => size > 0, () => false);
  if (!isThere) throw new ToolFault(`There is no store at ${kvPath}: see KV_PATH`);
}

function adviceFor(faultCount: number): string {
  const count = `${faultCount} ${faultCount === 1 ? "fault" : "faults"}`;
  return `${count}. Keep the store as it is: \`deno task backup FILE\`. Then put back a backup that has none: \`deno task
restore FILE\`. Left alone, what searching misses is found again once its user changes, and what belongs to nobody
lets nobody in; nothing else mends itself.`;
}
