// How many wrong guesses six digits stand: ten a day for each account. Strangers can guess at resets only, and open
// several at once: so the code of a reset holds as many guesses as its challenge still allows, or what the day has left,
// until it is used up or dead. When nothing is left a code is a long one. Nobody ends another one's code.

import { charge, countIn, recordOne, refund, weigh } from "../window.ts";
import { WRONG_GUESSES_MAX } from "./code_life.ts";
import { type ChallengeRecord, keys, type WindowRecord } from "./keys.ts";
import type { Change, Entry, Kv } from "./kv.ts";

/** Wrong guesses against one account in a day. */
const DAILY = { limit: 10, windowMs: 24 * 60 * 60 * 1000 } as const;

/** The two counts of an account, as they were read; both are checked in the commit that writes one of them. */
export interface GuessBudget {
  /** Wrong guesses that were made. */
  readonly made: Entry<WindowRecord>;
  /** Wrong guesses that pending resets with six digits still allow. */
  readonly held: Entry<WindowRecord>;
}

type Holder = Pick<ChallengeRecord, "purpose" | "wrongGuesses" | "guessesAllowed" | "guessesHeldAtMs">;

/** What a new code is to be, and what its challenge keeps of it. */
export interface Hold extends Pick<ChallengeRecord, "guessesAllowed" | "guessesHeldAtMs"> {
  readonly isLong: boolean;
}

/** Reads both; `guessSubject` is a hash. */
export async function findGuessBudget(kv: Kv, guessSubject: string): Promise<GuessBudget> {
  const [made, held] = await kv.findMany([
    keys.window("guesses", guessSubject),
    keys.window("held_guesses", guessSubject),
  ]);
  return { made, held };
}

/** When codes of an account have six digits again; null when they have now. */
export function longCodesEndAtMs({ made }: GuessBudget, nowMs: number): number | null {
  const [day] = weigh([DAILY], made.value, nowMs).windows;
  return day?.remaining === 0 ? day.freesAtMs : null;
}

/**
 * Adds the hold of a challenge's new code, in place of the one of its code before. With nothing left of the day the
 * code must be a long one, which holds nothing. `codeTtlMs` is how long a hold lasts.
 */
export function addHold(
  change: Change,
  { made, held }: GuessBudget,
  { challenge, codeTtlMs, nowMs }: {
    readonly challenge: Holder;
    readonly codeTtlMs: number;
    readonly nowMs: number;
  },
): Hold {
  const window = { limit: DAILY.limit, windowMs: codeTtlMs };
  const others = withoutHold(held.value, challenge, guessesLeft(challenge));
  const isReset = challenge.purpose === "password_reset";
  const spokenFor = countIn(DAILY, made.value, nowMs) + (isReset ? countIn(window, others, nowMs) : 0);
  const isLong = spokenFor >= DAILY.limit;
  change.check(made, held);
  if (!isReset || isLong) {
    if (others) change.set(held.key, others);
    return { isLong, guessesAllowed: WRONG_GUESSES_MAX, guessesHeldAtMs: null };
  }
  const permits = Math.min(WRONG_GUESSES_MAX - challenge.wrongGuesses, DAILY.limit - spokenFor);
  const record = charge([window], others, nowMs, permits);
  change.set(held.key, record);
  return {
    isLong,
    guessesAllowed: challenge.wrongGuesses + permits,
    guessesHeldAtMs: record.stampsMs.at(-1) ?? null,
  };
}

/** Adds a wrong guess: what was held for it becomes one that was made. */
export function addWrongGuess(
  change: Change,
  { made, held }: GuessBudget,
  { challenge, nowMs }: { readonly challenge: Holder; readonly nowMs: number },
): void {
  change.check(made).set(made.key, recordOne(DAILY, made.value, nowMs));
  giveBack(change, held, { challenge, count: 1 });
}

/** Adds the end of a code that was right: the wrong guesses that it still allowed will not be made. */
export function addHoldEnd(change: Change, { held }: GuessBudget, challenge: Holder): void {
  giveBack(change, held, { challenge, count: guessesLeft(challenge) });
}

function giveBack(
  change: Change,
  held: Entry<WindowRecord>,
  { challenge, count }: { readonly challenge: Holder; readonly count: number },
): void {
  const record = withoutHold(held.value, challenge, count);
  change.check(held);
  if (record) change.set(held.key, record);
}

function withoutHold(
  record: WindowRecord | null,
  { guessesHeldAtMs }: Holder,
  count: number,
): WindowRecord | null {
  return guessesHeldAtMs === null ? record : refund(record, { stampMs: guessesHeldAtMs, permits: count });
}

function guessesLeft({ guessesAllowed, wrongGuesses }: Holder): number {
  return guessesAllowed - wrongGuesses;
}
