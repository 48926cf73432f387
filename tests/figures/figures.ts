// `deno task figures`: the reliability of the server in numbers, each beside its goal. Everything runs against a started
// server on loopback, over HTTP, SMTP and signals; bounded, and the same seed gives the same schedules.

import { parseArgs } from "node:util";
import { guesses, takeover } from "./codes.ts";
import { createRandom, type Figure, type Finding } from "./figure.ts";
import { floods } from "./floods.ts";
import { kills } from "./kills.ts";
import { mails } from "./outage.ts";
import { rights } from "./rights.ts";
import { canaries, enumeration } from "./secrecy.ts";
import { starts } from "./starts.ts";
import { answers, requirements, roles } from "./suites.ts";
import { forgeries } from "./tokens.ts";
import { windows } from "./windows.ts";
import { winners } from "./winners.ts";

const HELP = `Measures the reliability of the server, and prints each figure beside its goal.

  deno task figures [--seed N] [--quick] [--only 1,5,13]

  --seed N   repeats the schedules of an earlier run
  --quick    smaller rounds: under five minutes, where the whole takes an hour or more
  --only     some of the figures, by number

It ends with status 1 when a figure misses its goal. OPEN is what misses it for a reason that is written down.`;

const figures: readonly Figure[] = [
  guesses,
  winners,
  windows,
  kills,
  mails,
  enumeration,
  rights,
  answers,
  forgeries,
  roles,
  floods,
  canaries,
  takeover,
  requirements,
  starts,
];

if (import.meta.main) await main();

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean" },
      quick: { type: "boolean", default: false },
      seed: { type: "string" },
      only: { type: "string" },
    },
  });
  if (values.help) return say(HELP);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const only = values.only?.split(",").map(Number);
  say(`seed ${seed}${values.quick ? ", quick" : ""}\n`);
  let missed = 0;
  for (const figure of figures.filter(({ number }) => only?.includes(number) ?? true)) {
    const startMs = performance.now();
    const { value, isMet, isExplained = false } = await measure(figure, { seed, isQuick: values.quick });
    if (!isMet && !isExplained) missed++;
    const tookSeconds = ((performance.now() - startMs) / 1000).toFixed(0);
    say(
      `${isMet ? "ok    " : isExplained ? "OPEN  " : "MISSED"} ${
        String(figure.number).padStart(2)
      }  ${figure.name}`,
    );
    say(`           ${value}   (goal: ${figure.goal}; ${tookSeconds} s)`);
  }
  say(
    missed === 0
      ? "\nEvery figure is at its goal, or open for a reason that is written down."
      : `\n${missed} missed.`,
  );
  Deno.exit(missed === 0 ? 0 : 1);
}

/** A figure that cannot be measured is missed. */
async function measure(
  { number, measure }: Figure,
  { seed, isQuick }: { readonly seed: number; readonly isQuick: boolean },
): Promise<Finding> {
  try {
    // A generator of its own, so that one figure alone has the schedule that it has among the others.
    return await measure({ isQuick, random: createRandom(seed + number) });
  } catch (error) {
    return { value: `not measured: ${error instanceof Error ? error.message : error}`, isMet: false };
  }
}

function say(line: string): void {
  // deno-lint-ignore no-console -- the table.
  console.log(line);
}
