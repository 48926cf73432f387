// Mailed codes: six digits, or ten Crockford base 32 characters while somebody guesses against the account. The
// contract's field turns what people type into the one spelling that is made and hashed here.

import type { Secrets } from "./secrets.ts";

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SHORT_LENGTH = 6;
const LONG_LENGTH = 10;

/** A code from the cryptographic source: 10^6 values, or 2^50 when `isLong`. */
export function createCode({ isLong }: { readonly isLong: boolean }): string {
  if (!isLong) return String(uniformBelow(10 ** SHORT_LENGTH)).padStart(SHORT_LENGTH, "0");
  // 256 is a multiple of 32, so that the lowest five bits of a byte are uniform.
  return [...crypto.getRandomValues(new Uint8Array(LONG_LENGTH))].map((byte) => CROCKFORD[byte & 31]).join(
    "",
  );
}

/** As it stands in a mail: a long code in two groups, for people who type it. */
export function spellCode(plainCode: string): string {
  return plainCode.length === LONG_LENGTH ? `${plainCode.slice(0, 5)}-${plainCode.slice(5)}` : plainCode;
}

/** Bound to its challenge, so that a hash says nothing about the code of another one. */
export function hashCode(secrets: Secrets, challengeId: string, plainCode: string): string {
  return secrets.mac("code", challengeId, plainCode);
}

/** Without modulo bias: draws again in the incomplete last stretch of the 32-bit range. */
function uniformBelow(bound: number): number {
  const limit = 2 ** 32 - (2 ** 32 % bound);
  while (true) {
    const [draw] = crypto.getRandomValues(new Uint32Array(1));
    if (draw !== undefined && draw < limit) return draw % bound;
  }
}
