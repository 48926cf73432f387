// When a code is dead: the one answer for who guesses, who asks for another, and who is about to mail it.

import type { ChallengeRecord } from "./keys.ts";

/** Wrong guesses against one challenge at most, over all its codes; the last of them still gets its answer. */
export const WRONG_GUESSES_MAX = 5;

/** Codes of one challenge after the first. */
export const RESENDS_MAX = 5;

/** How long a challenge can live that ends with its newest code: each resend comes before the end of the code before. */
export function challengeLifeMaxMs(otpTtlMs: number): number {
  return (RESENDS_MAX + 1) * otpTtlMs;
}

/** Whether the newest code of a challenge can still be tried. */
export function isCodeAlive(challenge: ChallengeRecord, nowMs: number): boolean {
  return nowMs < challenge.codeExpiresAtMs && challenge.wrongGuesses < WRONG_GUESSES_MAX;
}
