// Challenges: the one mechanism behind every mailed code. Whoever holds the id may guess, five times in all; a
// guess and its count are one commit, and so is the right code and all that it opens. The store knows the id only
// as a hash, and what the flow needs in the end is sealed under the id itself.

import { hashCode } from "../code.ts";
import type { StoreDeps } from "../deps.ts";
import { newId } from "../id.ts";
import { digest, isSameHash } from "../secrets.ts";
import { addAuditEvents, type AuditDraft, insertAuditEvent } from "./audit.ts";
import { type Actor, anyone, type Client, owner } from "./client.ts";
import { challengeLifeMaxMs, isCodeAlive, RESENDS_MAX, WRONG_GUESSES_MAX } from "./code_life.ts";
import { addCode } from "./code_sending.ts";
import { addHoldEnd, addWrongGuess, findGuessBudget } from "./guess_budget.ts";
import { type ChallengePurpose, type ChallengeRecord, keys } from "./keys.ts";
import { type Change, isPresent, type Kv, LOST, untilCommitted } from "./kv.ts";
import { guessSubject } from "./subjects.ts";

/** What each flow keeps until its code is confirmed. */
export interface ChallengePayloads {
  readonly registration: {
    readonly passwordHash: string;
    readonly username: string | null;
    readonly name: string | null;
    readonly locale: string | null;
  };
  readonly password_reset: Record<never, never>;
  readonly email_change: Record<never, never>;
  readonly account_deletion: Record<never, never>;
}

/** A flow that begins. */
export interface ChallengeDraft<Purpose extends ChallengePurpose> {
  readonly purpose: Purpose;
  /** Where the code goes: canonical. */
  readonly email: string;
  /** The account it is for; null when there is none, and then no code will open it. */
  readonly userId: string | null;
  readonly codeEpoch: number;
  readonly payload: ChallengePayloads[Purpose];
  /** Who begins it. */
  readonly actor: Actor;
}

/** A challenge as its caller sees it. */
export interface IssuedChallenge {
  readonly challengeId: string;
  readonly purpose: ChallengePurpose;
  readonly codeExpiresAtMs: number;
  readonly resendAfterMs: number;
}

/** A challenge that is about to be written, for what else its commit writes. */
export interface BegunChallenge {
  readonly challengeHash: string;
  readonly expiresAtMs: number;
}

export type Resend =
  | { readonly outcome: "sent"; readonly challenge: IssuedChallenge }
  | { readonly outcome: "early"; readonly retryAfterSeconds: number }
  | { readonly outcome: "dead" };

export interface Guess<Purpose extends ChallengePurpose> {
  readonly purpose: Purpose;
  readonly challengeId: string;
  /** As the contract's field gives it: upper case, no hyphens. */
  readonly plainCode: string;
  /** Of the signed-in caller; null on public routes. */
  readonly userId: string | null;
  readonly client: Client;
}

/** A challenge whose code was right, before the commit that uses it up. */
export interface OpenedChallenge<Purpose extends ChallengePurpose> {
  readonly challengeHash: string;
  readonly email: string;
  readonly userId: string | null;
  readonly codeEpoch: number;
  readonly createdAtMs: number;
  readonly payload: ChallengePayloads[Purpose];
}

export type Attempt<Result> =
  | { readonly outcome: "opened"; readonly result: Result }
  | { readonly outcome: "wrong"; readonly attemptsRemaining: number }
  | { readonly outcome: "dead" };

/**
 * Begins a flow: the challenge and its mail are one commit, with whatever `join` adds to it. Any other answer of `join`
 * than "joined" is a refusal: then nothing is written. Costs and looks the same whether or not the address has an
 * account.
 */
export function insertChallenge<Purpose extends ChallengePurpose, Outcome extends string = "joined">(
  deps: StoreDeps,
  draft: ChallengeDraft<Purpose>,
  join: (change: Change, begun: BegunChallenge) => Promise<Outcome | "joined"> = addNothing,
): Promise<IssuedChallenge | Exclude<Outcome, "joined">> {
  const { kv, config, secrets } = deps;
  return untilCommitted(async (): Promise<IssuedChallenge | Exclude<Outcome, "joined"> | typeof LOST> => {
    const nowMs = kv.nowMs();
    const challengeId = newId(nowMs);
    const challengeHash = digest(challengeId);
    const change = kv.change();
    const base = {
      purpose: draft.purpose,
      userId: draft.userId,
      codeEpoch: draft.codeEpoch,
      guessSubject: guessSubject(secrets, draft),
      wrongGuesses: 0,
      guessesHeldAtMs: null,
      sealed: secrets.seal("challenge", challengeId, { email: draft.email, payload: draft.payload }),
      createdAtMs: nowMs,
    };
    const endsAtMs = draft.purpose === "registration" ? nowMs + config.registrationTtlMs : Infinity;
    const { email, actor } = draft;
    const code = await addCode(deps, change, {
      challengeId,
      email,
      endsAtMs,
      codeNumber: 1,
      actor,
      ...base,
    });
    const expiresAtMs = expiryOf(draft.purpose, { endsAtMs, ...code });
    change.set(keys.challenge(challengeHash), { ...base, ...code, expiresAtMs });
    const outcome = await join(change, { challengeHash, expiresAtMs });
    // Whatever else `join` says is a refusal.
    if (outcome !== "joined") return outcome as Exclude<Outcome, "joined">;
    return await change.commit() ? issued(challengeId, { ...base, ...code }) : LOST;
  });
}

/** For flows of which an account has one at a time: the one before ends with the commit that begins this one. */
export async function addReplacement(
  { kv, config }: Pick<StoreDeps, "kv" | "config">,
  change: Change,
  { userId, purpose, challengeHash }: {
    readonly userId: string;
    readonly purpose: ChallengePurpose;
    readonly challengeHash: string;
  },
): Promise<void> {
  const current = await kv.find(keys.currentChallenge(userId, purpose));
  if (isPresent(current)) change.remove(keys.challenge(current.value.challengeHash));
  const expiresAtMs = kv.nowMs() + challengeLifeMaxMs(config.otpTtlMs);
  change.check(current).set(current.key, { challengeHash, expiresAtMs });
}

/** Mails a new code for a living challenge; the old code dies with the same commit. */
export function resendCode(deps: StoreDeps, challengeId: string, client: Client): Promise<Resend> {
  const { kv, secrets } = deps;
  const challengeHash = digest(challengeId);
  return untilCommitted(async (): Promise<Resend | typeof LOST> => {
    const entry = await kv.find(keys.challenge(challengeHash));
    if (!isPresent(entry)) return { outcome: "dead" };
    const challenge = entry.value;
    const sealed = openSeal(secrets, challengeId, challenge);
    if (!sealed || challenge.wrongGuesses >= WRONG_GUESSES_MAX || challenge.codeNumber > RESENDS_MAX) {
      return { outcome: "dead" };
    }
    if (await isKnownVoid(kv, challenge)) return { outcome: "dead" };
    const waitMs = challenge.resendAfterMs - kv.nowMs();
    if (waitMs > 0) return { outcome: "early", retryAfterSeconds: Math.ceil(waitMs / 1000) };
    const change = kv.change().check(entry);
    const endsAtMs = challenge.purpose === "registration" ? challenge.expiresAtMs : Infinity;
    const code = await addCode(deps, change, {
      ...challenge,
      challengeId,
      endsAtMs,
      email: sealed.email,
      codeNumber: challenge.codeNumber + 1,
      actor: anyone(client),
    });
    const expiresAtMs = expiryOf(challenge.purpose, { endsAtMs, ...code });
    const renewed = { ...challenge, ...code, expiresAtMs };
    change.set(entry.key, renewed);
    return await change.commit() ? { outcome: "sent", challenge: issued(challengeId, renewed) } : LOST;
  });
}

/**
 * Tries a code. A wrong one is counted before anybody learns that it is wrong; a right one is used up in the commit
 * to which `open` adds what it opens. `open` gives null when the flow has become void: nothing is changed then.
 */
export function attemptCode<Purpose extends ChallengePurpose, Result>(
  deps: StoreDeps,
  guess: Guess<Purpose>,
  open: (change: Change, challenge: OpenedChallenge<Purpose>) => Promise<Result | null>,
): Promise<Attempt<Result>> {
  const { kv, secrets } = deps;
  const challengeHash = digest(guess.challengeId);
  return untilCommitted(async (): Promise<Attempt<Result> | typeof LOST> => {
    const entry = await kv.find(keys.challenge(challengeHash));
    if (!isPresent(entry) || !isOpenTo(entry.value, guess)) return { outcome: "dead" };
    const challenge = entry.value;
    const nowMs = kv.nowMs();
    if (!isCodeAlive(challenge, nowMs)) {
      await insertAuditEvent(deps, failureOf(challenge, guess, "expired"));
      return { outcome: "dead" };
    }
    const change = kv.change().check(entry);
    const budget = await findGuessBudget(kv, challenge.guessSubject);

    if (!isSameHash(challenge.codeHash, hashCode(secrets, guess.challengeId, guess.plainCode))) {
      const wrongGuesses = challenge.wrongGuesses + 1;
      addWrongGuess(change.set(entry.key, { ...challenge, wrongGuesses }), budget, { challenge, nowMs });
      await addAuditEvents(deps, change, [failureOf(challenge, guess, "wrong")]);
      return await change.commit()
        ? { outcome: "wrong", attemptsRemaining: WRONG_GUESSES_MAX - wrongGuesses }
        : LOST;
    }

    const sealed = openSeal<Purpose>(secrets, guess.challengeId, challenge);
    if (!sealed) throw new Error("A challenge does not open under its own id");
    const { userId, codeEpoch, createdAtMs } = challenge;
    addHoldEnd(change, budget, challenge);
    const opened = { challengeHash, userId, codeEpoch, createdAtMs, ...sealed };
    const result = await open(change.remove(entry.key), opened);
    if (result === null) return { outcome: "dead" };
    return await change.commit() ? { outcome: "opened", result } : LOST;
  });
}

/** The same answer for everything that is not to be guessed at: contract §6.2. */
function isOpenTo(challenge: ChallengeRecord, guess: Guess<ChallengePurpose>): boolean {
  return challenge.purpose === guess.purpose && (guess.userId === null || challenge.userId === guess.userId);
}

function failureOf(
  { purpose, userId }: ChallengeRecord,
  guess: Guess<ChallengePurpose>,
  cause: "wrong" | "expired",
): AuditDraft {
  const actor = guess.userId === null ? anyone(guess.client) : owner(guess.userId, guess.client);
  return { type: "code_failed", actor, userId, cause, details: { purpose } };
}

/** Whether its owner, who asked for it signed in, has made it void. Of a reset a stranger is not to learn as much. */
async function isKnownVoid(kv: Kv, { purpose, userId, codeEpoch }: ChallengeRecord): Promise<boolean> {
  if (purpose === "registration" || purpose === "password_reset" || userId === null) return false;
  return (await kv.find(keys.user(userId))).value?.codeEpoch !== codeEpoch;
}

function addNothing(): Promise<"joined"> {
  return Promise.resolve("joined");
}

/** A pending registration outlives its codes; every other challenge ends with its newest one. */
function expiryOf(
  purpose: ChallengePurpose,
  { endsAtMs, codeExpiresAtMs }: { readonly endsAtMs: number; readonly codeExpiresAtMs: number },
): number {
  return purpose === "registration" ? endsAtMs : codeExpiresAtMs;
}

function issued(
  challengeId: string,
  { purpose, codeExpiresAtMs, resendAfterMs }: Omit<IssuedChallenge, "challengeId">,
): IssuedChallenge {
  return { challengeId, purpose, codeExpiresAtMs, resendAfterMs };
}

function openSeal<Purpose extends ChallengePurpose>(
  secrets: StoreDeps["secrets"],
  challengeId: string,
  challenge: ChallengeRecord,
): { readonly email: string; readonly payload: ChallengePayloads[Purpose] } | null {
  // Sealed by insertChallenge only, with the payload of the same purpose.
  return secrets.unseal("challenge", challengeId, challenge.sealed) as {
    email: string;
    payload: ChallengePayloads[Purpose];
  } | null;
}
