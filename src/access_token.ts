// Access tokens: JWTs of the form RFC 9068 (`at+jwt`), signed with Ed25519. Everything that a verifier must insist
// on is named here once: algorithm, type, issuer, audience, the required claims and their times (RFC 8725 §3).

import { type CryptoKey, errors, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import type { Config } from "./config.ts";
import { newId } from "./id.ts";
import type { Keyring, PublicKeySet } from "./keyring.ts";

/** The claims of a token whose signature and times hold. Whether its session lives is another question. */
export interface AccessClaims {
  readonly iss: string;
  readonly aud: string;
  /** User id. */
  readonly sub: string;
  /** Session id. */
  readonly sid: string;
  readonly role: "user" | "admin";
  /** Seconds since 1970. */
  readonly iat: number;
  readonly exp: number;
  readonly jti: string;
}

/** A signed token. */
export interface IssuedToken {
  readonly token: string;
  /** From `iat` to `exp`. */
  readonly lifeSeconds: number;
}

export interface AccessTokens {
  /** It ends with its session at the latest: a service that reads only the token must not believe it longer. */
  issue(
    subject: {
      readonly userId: string;
      readonly sessionId: string;
      readonly role: "user" | "admin";
      readonly sessionEndsAtMs: number;
    },
  ): Promise<IssuedToken>;
  /** Null for anything that this server did not sign, or whose time is over. */
  verify(token: string): Promise<AccessClaims | null>;
  /** What `/.well-known/jwks.json` answers (RFC 7517). */
  publicKeys(): Promise<PublicKeySet>;
}

/** A token that has passed once. */
interface Verified {
  readonly claims: AccessClaims;
  readonly kid: string | undefined;
}

const claimsForm = z.object({
  iss: z.string(),
  aud: z.string(),
  sub: z.uuid(),
  sid: z.uuid(),
  role: z.enum(["user", "admin"]),
  iat: z.int(),
  exp: z.int(),
  jti: z.string(),
});

/** Clocks of two instances may differ by this much before a token of the one is from the future for the other. */
const CLOCK_SKEW_SECONDS = 60;
const VERIFIED_MAX = 10_000;
const TOKEN_LENGTH_MAX = 2_048;

/** Signs with the key of `keyring` that signs now, and verifies with all of them. */
export function createAccessTokens(config: Config, keyring: Keyring, nowMs: () => number): AccessTokens {
  // Checking a signature costs a hundred times more than this look-up; only tokens that passed get in.
  const verified = new Map<string, Verified>();

  return {
    publicKeys: () => keyring.publicKeys(),
    async issue({ userId, sessionId, role, sessionEndsAtMs }) {
      const { kid, privateKey } = await keyring.signingKey();
      const issuedAt = Math.floor(nowMs() / 1000);
      const endsAt = Math.min(
        issuedAt + Math.ceil(config.accessTtlMs / 1000),
        Math.max(issuedAt, Math.floor(sessionEndsAtMs / 1000)),
      );
      const token = await new SignJWT({ sid: sessionId, role })
        .setProtectedHeader({ alg: "EdDSA", typ: "at+jwt", kid })
        .setIssuer(config.publicUrl)
        .setAudience(config.publicUrl)
        .setSubject(userId)
        .setIssuedAt(issuedAt)
        .setExpirationTime(endsAt)
        .setJti(newId(nowMs()))
        .sign(privateKey);
      return { token, lifeSeconds: endsAt - issuedAt };
    },
    async verify(token) {
      if (token.length > TOKEN_LENGTH_MAX) return null;
      const passed = verified.get(token) ?? await verifySignature(token, { config, keyring, nowMs });
      if (!passed || !isNow(passed.claims, nowMs())) return null;
      // A key that was revoked since takes its tokens along.
      if (!await keyring.findVerificationKey(passed.kid)) return null;
      if (verified.size >= VERIFIED_MAX) verified.delete(verified.keys().next().value ?? "");
      verified.set(token, passed);
      return passed.claims;
    },
  };
}

async function verifySignature(
  token: string,
  { config, keyring, nowMs }: {
    readonly config: Config;
    readonly keyring: Keyring;
    readonly nowMs: () => number;
  },
): Promise<Verified | null> {
  const keyOf = async ({ kid }: { readonly kid?: string }): Promise<CryptoKey> => {
    const key = await keyring.findVerificationKey(kid);
    // Of jose's own, so that it counts as a refusal below.
    if (!key) throw new errors.JWKSNoMatchingKey();
    return key;
  };
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keyOf, {
      algorithms: ["EdDSA"],
      typ: "at+jwt",
      issuer: config.publicUrl,
      audience: config.publicUrl,
      requiredClaims: ["iss", "aud", "sub", "sid", "role", "iat", "exp", "jti"],
      currentDate: new Date(nowMs()),
    });
    const claims = claimsForm.safeParse(payload).data;
    return claims ? { claims, kid: protectedHeader.kid } : null;
  } catch (error) {
    if (error instanceof Error && "code" in error && String(error.code).startsWith("ERR_J")) return null;
    throw error;
  }
}

/** A token from the future is one from before a step back of the clock: it would live too long. */
function isNow({ iat, exp }: AccessClaims, nowMs: number): boolean {
  const now = nowMs / 1000;
  return now < exp && iat <= now + CLOCK_SKEW_SECONDS;
}
