// Whom a limit counts, as the part of a key. Written once: what counts (rate_limit.ts, code_sending.ts) and what tells
// of it (sign_in_report.ts) would otherwise drift apart, and the report lie. Addresses stand here as hashes only. A network
// is its hash, as `Client` has it, and an account that has signed in its id, so that its counts go when it does.

import type { Secrets } from "../secrets.ts";
import type { ChallengePurpose } from "./keys.ts";

/** A challenge, whoever tries codes against it. */
export function challengeSubject(secrets: Secrets, challengeId: string): string {
  return secrets.mac("subject", challengeId);
}

/** A canonical address, whether or not it has an account: mails to it, and resets that name it. */
export function addressSubject(secrets: Secrets, email: string): string {
  return secrets.mac("address", email);
}

/**
 * Sign-in attempts at a canonical address: from a network where its owner signed in lately, or, with null, from all
 * others together. So an attack from elsewhere never keeps the owner out.
 */
export function signInSubject(secrets: Secrets, email: string, knownNetworkHash: string | null): string {
  return secrets.mac("subject", email, knownNetworkHash ?? "elsewhere");
}

/** Wrong guesses at codes: an account's by its id; a registration is for none, and counts for its address apart. */
export function guessSubject(
  secrets: Secrets,
  { purpose, userId, email }: {
    readonly purpose: ChallengePurpose;
    readonly userId: string | null;
    readonly email: string;
  },
): string {
  return purpose === "registration"
    ? secrets.mac("guesses", purpose, email)
    : secrets.mac("guesses", userId ?? email);
}
