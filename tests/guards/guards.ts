// `deno task guards`: takes every guard of the tables out, one at a time, and runs the test that must miss it. The
// working tree stays as it is: this happens in copies.

import { parseArgs } from "node:util";
import { guards } from "./all.ts";
import { type Proof, proveGuards } from "./proof.ts";

const HELP = `Takes each guard out of a copy of the code, and looks whether its test turns red.

  deno task guards [--only REGEX] [--why]

  --only  those whose name, file or test it matches
  --why   prints what each test said

It ends with status 1 when a guard can be taken out and its test stays green.`;

/** Each has its own copy, and most tests keep one core busy. */
const LANES_MAX = 2;

if (import.meta.main) Deno.exit(await main());

/** The status to end with. */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { help: { type: "boolean" }, only: { type: "string" }, why: { type: "boolean" } },
  });
  if (values.help) return say(HELP), 0;
  const only = new RegExp(values.only ?? "");
  const wanted = guards.filter(({ name, file, red }) => [name, file, ...red].some((text) => only.test(text)));
  let redCount = 0;
  try {
    for await (const proof of proveGuards(wanted, { lanesMax: LANES_MAX, signal: interruption() })) {
      if (proof.isRed) redCount++;
      tell(proof, { isReasonWanted: values.why ?? false });
    }
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return 1;
  }
  say(`\n${wanted.length} guards, ${redCount} seen red, ${wanted.length - redCount} survived`);
  return redCount === wanted.length && redCount > 0 ? 0 : 1;
}

function tell(
  { guard: { name, red: [file, test] }, isRed, reason, tookMs }: Proof,
  { isReasonWanted }: { readonly isReasonWanted: boolean },
): void {
  say(`${isRed ? "red  " : "GREEN"}  ${name}   (${(tookMs / 1000).toFixed(1)} s)`);
  if (isRed && !isReasonWanted) return;
  say(`       ${file}: ${test}`);
  say(reason.split("\n").map((line) => `       ${line}`).slice(0, 12).join("\n"));
}

/** Asked to end, it first ends what it started and removes its copies. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => controller.abort(new Error("Interrupted")));
  }
  return controller.signal;
}

function say(line: string): void {
  // deno-lint-ignore no-console -- the table.
  console.log(line);
}
