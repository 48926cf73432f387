// About how far a walk through the store has come. Nobody knows how many records there are; but kinds come in order,
// and within one ids go up with time and hashes are spread evenly, so that a key's place between the first and last tells.

import { keys } from "../store/keys.ts";
import type { Key, Kv } from "../store/kv.ts";
import { kindOf } from "./examiner.ts";
import { rulesByKind } from "./kinds.ts";

const KINDS = [...rulesByKind.keys()].sort();
/** Characters that count, beyond those that all keys of a kind begin with. */
const DIGITS = 4;
const BASE = 128;

/** For one walk: takes keys in their order, and gives shares from 0 to 1. `kv` is one in which nothing has ended. */
export function createShares(kv: Kv): (key: Key<unknown>) => Promise<number> {
  let kind = "";
  let first = "";
  let last = "";
  return async (key) => {
    if (kindOf(key) !== kind) {
      kind = kindOf(key);
      const { entries: [end] } = await kv.collect(keys.below(kind), { limit: 1, isNewestFirst: true });
      first = textOf(key);
      last = textOf(end?.key ?? key);
    }
    const before = KINDS.filter((other) => other < kind).length;
    return (before + placeBetween(first, last, textOf(key))) / (KINDS.length + 1);
  };
}

function placeBetween(first: string, last: string, text: string): number {
  const start = [...first].findIndex((character, index) => character !== last[index]);
  const [from = 0, to = 0, at = 0] = [first, last, text].map((one) => numberAt(one, Math.max(0, start)));
  // A running server adds to the end.
  return to > from ? Math.min(Math.max((at - from) / (to - from), 0), 1) : 0;
}

function numberAt(text: string, start: number): number {
  const codes = Array.from({ length: DIGITS }, (_, digit) => text.charCodeAt(start + digit) || 0);
  return codes.reduce((number, code) => number * BASE + Math.min(code, BASE - 1), 0);
}

function textOf({ path }: Key<unknown>): string {
  return path.slice(1).join("/");
}
