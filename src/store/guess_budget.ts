// How many wrong guesses six digits stand: ten a day for each account, and for each address that registers. Every code
// stands five, so that no answer tells how many were made before: a code that the day has fewer left for is a long one.
// Resets are open to strangers, several at once, and lead into an account: their codes hold their guesses until they are
// dead.

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
  /** Wrong guesses that pending codes of six digits still allow, where strangers may ask for several at once. */
  readonly held: Entry<WindowRecord>;
}

type Holder = Pick<ChallengeRecord, "purpose" | "wrongGuesses" | "guessesHeldAtMs">;

/** What a new code is to be, and what its challenge keeps of it. */
export interface Hold extends Pick<ChallengeRecord, "guessesHeldAtMs"> {
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

/** When new codes of an account have six digits again; null when they have now. */
export function longCodesEndAtMs({ made }: GuessBudget, nowMs: number): number | null {
  const oneTooMany = { ...DAILY, limit: DAILY.limit - WRONG_GUESSES_MAX + 1 };
  const [day] = weigh([oneTooMany], made.value, nowMs).windows;
  return day?.remaining === 0 ? day.freesAtMs : null;
}

/**
 * Adds the hold of a challenge's new code, in place of the one of its code before. When the day has fewer guesses left
 * than the challenge the code must be a long one, which holds nothing. `codeTtlMs` is how long a hold lasts.
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
  const isHolding = challenge.purpose === "password_reset";
  const spokenFor = countIn(DAILY, made.value, nowMs) + (isHolding ? countIn(window, others, nowMs) : 0);
  const permits = guessesLeft(challenge);
  const isLong = spokenFor + permits > DAILY.limit;
  change.check(made, held);
  if (!isHolding || isLong) {
    if (others) change.set(held.key, others);
    return { isLong, guessesHeldAtMs: null };
  }
  const record = charge([window], others, nowMs, permits);
  change.set(held.key, record);
  return { isLong, guessesHeldAtMs: record.stampsMs.at(-1) ?? null };
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

function guessesLeft({ wrongGuesses }: Holder): number {
  return WRONG_GUESSES_MAX - wrongGuesses;
}
