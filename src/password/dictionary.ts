// Passwords that attackers try first: a list of 49,000 from breaches, and what needs no list (runs, repetitions).
// NIST SP 800-63B-4 section 3.1.1.2 compares whole passwords, not words within them; so does this, for each listed
// password in its usual disguises. Importing this file unpacks the list (30 ms, 10 MB), so it is imported on first use.

import { dictionary } from "@zxcvbn-ts/language-common";
import { undisguised } from "./disguise.ts";

const LISTED_LENGTH_MIN = 4;
const DECORATION_LENGTH_MAX = 4;
const PERIOD_MAX = 4;

/** Twice over where people go on from the start. */
const RUNS = [
  "abcdefghijklmnopqrstuvwxyz".repeat(2),
  "0123456789".repeat(2),
  "1234567890".repeat(2),
  "qwertyuiop",
  "asdfghjkl",
  "zxcvbnm",
];

const listed: ReadonlySet<string> = new Set(
  dictionary["passwords-common"].filter((word) => word.length >= LISTED_LENGTH_MIN).map(undisguised),
);

/** True for a listed password, a run or a repetition, also with a little decoration: "Dragon!77", "abcd12345". */
export function isCommon(plainPassword: string): boolean {
  const lower = plainPassword.toLowerCase();
  return isGuessable(lower) || isGuessable(withoutDecoration(lower));
}

function isGuessable(text: string): boolean {
  return listed.has(undisguised(text)) || isRun(text) || isRepetition(text);
}

/** Without the digits and signs around its letters, if they are few, a run of digits apart; else as it is. */
function withoutDecoration(lower: string): string {
  const [, before = "", core = "", after = ""] = /^(\P{L}*)(.*?)(\P{L}*)$/su.exec(lower) ?? [];
  const decoration = before + after;
  const digits = decoration.replace(/\D/g, "");
  const unguessed = decoration.length - (isRun(digits) ? digits.length : 0);
  return core !== "" && unguessed <= DECORATION_LENGTH_MAX ? core : lower;
}

/** "abcdefgh", "87654321", and "aabbccdd" and "aaaaaaaa" too: each character counts once. */
function isRun(text: string): boolean {
  const forward = text.replace(/(.)\1+/gsu, "$1");
  const backward = [...forward].reverse().join("");
  return RUNS.some((run) => run.includes(forward) || run.includes(backward));
}

/** "xyxyxyxy", "abc abc abc", "19871987": the same few characters over and over, however it ends. */
function isRepetition(text: string): boolean {
  const points = [...text];
  const periods = Array.from({ length: PERIOD_MAX }, (_, index) => index + 1);
  return periods.some((period) =>
    points.length >= 2 * period &&
    points.every((point, index) => index < period || point === points[index - period])
  );
}
