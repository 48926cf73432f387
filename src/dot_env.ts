// The file `.env`, and what stands in it to no effect: a limit whose name is misspelt would be one that its operator
// believes in, and that is not there. No value is ever repeated, nor what may be one: it may be a secret.

import { settings } from "./config.ts";

/** The file is there and cannot be read, in a sentence for the operator. */
export class DotEnvFault extends Error {
  override readonly name = "DotEnvFault";
}

/** The text of `.env`; empty when there is none. Throws DotEnvFault. */
export async function readDotEnv(): Promise<string> {
  try {
    return await Deno.readTextFile(".env");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    const reason = error instanceof Error ? error.message : String(error);
    throw new DotEnvFault(
      `.env cannot be read: ${reason}. It must be a file that this user may read, or not be there`,
    );
  }
}

/** Names that are Deno's, also where it exports telemetry. */
const DENO_NAME = /^(DENO|OTEL)_/;
/** A name with its value, which may be quoted and then have several lines; a remark; or nothing. */
const ENTRY =
  /^[^\S\n]*(?:(?:export[^\S\n]+)?(?<name>[A-Za-z_]\w{0,39})[^\S\n]*=[^\S\n]*(?:(?<quote>["'`])[^]*?\k<quote>)?.*|#.*)?$/gm;

/** Each line of `.env` that has no effect, in a plain sentence that says what to look at. */
export function findDotEnvFaults(text: string): string[] {
  const names = [...text.matchAll(ENTRY)].map(({ groups }) => groups?.name).filter((name) =>
    name !== undefined
  );
  const unknown = names.filter((name) => !(name in settings) && !DENO_NAME.test(name));
  const rest = text.replaceAll(ENTRY, (entry) => entry.replaceAll(/.+/g, ""));
  const unread = rest.split("\n").flatMap((line, index) => line.trim() === "" ? [] : [index + 1]);
  return [
    ...unknown.map((name) => `.env names ${name}, which is no setting${hintOf(name)}`),
    ...unread.map((line) => `.env has no NAME=value in line ${line}`),
  ];
}

/** The setting that is meant, if one is like it. */
function hintOf(name: string): string {
  const [nearest] = Object.keys(settings)
    .map((setting) => ({ setting, distance: distanceBetween(name, setting) }))
    .filter(({ distance }) => distance <= name.length / 2)
    .sort((a, b) => a.distance - b.distance);
  return nearest ? `: perhaps ${nearest.setting}` : "";
}

/** How many letters must be put in, taken out or changed to make one text the other (Levenshtein). */
function distanceBetween(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [line, letter] of [...from].entries()) {
    const next = [line + 1];
    for (const [column, other] of [...to].entries()) {
      const changed = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(changed, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
