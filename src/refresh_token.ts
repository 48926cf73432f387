// Refresh tokens: opaque to clients. One names its session, so that it is found without an index, and carries a
// secret. A rotated token together with its nonce and the server's key gives its successor again: this is how a
// lost answer, or a second tab, gets the same successor and never a fork, though tokens are stored only hashed.

import { digest, randomText, type Secrets } from "./secrets.ts";

/** What a refresh token says of itself; nothing of it is proved. */
export interface RefreshTokenParts {
  readonly userId: string;
  readonly sessionId: string;
}

/** `lkr_`, session id and user id (16 bytes each) and the secret (32 bytes), all base64url. */
const FORM = /^lkr_([\w-]{22})([\w-]{22})([\w-]{43})$/;

/** The first token of a session: 256 random bits. */
export function createRefreshToken(parts: RefreshTokenParts): string {
  return format(parts, randomText(32));
}

/** A nonce for `deriveSuccessor`. */
export function createSuccessorNonce(): string {
  return randomText(32);
}

/** The token that follows `plainToken`: the same one for the same nonce, unknowable without SECRET_KEY. */
export function deriveSuccessor(
  secrets: Secrets,
  plainToken: string,
  { nonce, parts }: { readonly nonce: string; readonly parts: RefreshTokenParts },
): string {
  return format(parts, secrets.mac("refresh-token", plainToken, nonce));
}

/** The ids in a well-formed token, or null. */
export function parseRefreshToken(plainToken: string): RefreshTokenParts | null {
  const [, session, user] = FORM.exec(plainToken) ?? [];
  const sessionId = session && toUuid(session);
  const userId = user && toUuid(user);
  return sessionId && userId ? { sessionId, userId } : null;
}

/** SHA-256: the secret in the token is long and random, so that no salt or key is due. */
export function hashRefreshToken(plainToken: string): string {
  return digest(plainToken);
}

function format({ userId, sessionId }: RefreshTokenParts, secret: string): string {
  return `lkr_${fromUuid(sessionId)}${fromUuid(userId)}${secret}`;
}

function fromUuid(uuid: string): string {
  return Uint8Array.fromHex(uuid.replaceAll("-", "")).toBase64({ alphabet: "base64url", omitPadding: true });
}

function toUuid(text: string): string | null {
  try {
    const hex = Uint8Array.fromBase64(text, { alphabet: "base64url", lastChunkHandling: "loose" }).toHex();
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  } catch {
    return null;
  }
}
