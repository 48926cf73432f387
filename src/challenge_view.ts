// Challenges and guesses as the API answers them, the same for all four purposes.

import type { z } from "@hono/zod-openapi";
import type { Challenge } from "../openapi/challenge.ts";
import type { Deps } from "./deps.ts";
import { Problem } from "./problem.ts";
import type { Attempt, IssuedChallenge } from "./store/challenges.ts";

/** The `Challenge` of the contract; times in whole seconds from now. */
export function viewChallenge({ nowMs }: Deps, challenge: IssuedChallenge): z.output<typeof Challenge> {
  const secondsUntil = (ms: number): number => Math.max(0, Math.ceil((ms - nowMs()) / 1000));
  return {
    challenge_id: challenge.challengeId,
    purpose: challenge.purpose,
    expires_in: secondsUntil(challenge.codeExpiresAtMs),
    resend_after: secondsUntil(challenge.resendAfterMs),
  };
}

/** What the right code opened; a wrong or dead one is refused. */
export function requireOpened<Result>(attempt: Attempt<Result>): Result {
  if (attempt.outcome === "opened") return attempt.result;
  if (attempt.outcome === "dead") throw new Problem("otp_expired");
  throw new Problem("otp_invalid", { attempts_remaining: attempt.attemptsRemaining });
}
