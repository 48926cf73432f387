// Everything that SECRET_KEY is for: one derived key a purpose (HKDF, RFC 5869), keyed hashes, and sealed values.
// A secret of one purpose is worthless for another, and a stolen store is worthless without SECRET_KEY.

import { Buffer } from "node:buffer";
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  timingSafeEqual,
} from "node:crypto";

/** What a keyed hash is for. */
export type MacPurpose =
  | "code"
  | "refresh-token"
  | "reset-token"
  | "address"
  | "network"
  | "subject"
  | "guesses"
  | "audit-event"
  | "audit-head";

/** What a sealed value is for. */
export type SealPurpose = "challenge" | "mail" | "signing-key" | "cursor";

export interface Secrets {
  /** HMAC-SHA-256 over the parts, base64url, 43 characters. Parts are separated, so that no two lists collide. */
  mac(purpose: MacPurpose, ...parts: string[]): string;
  /** AES-256-GCM over the JSON of `value`; `context` must be the same to open it again. */
  seal(purpose: SealPurpose, context: string, value: unknown): Uint8Array;
  /** The sealed value, or null when it was sealed under another key or context, or was altered. */
  unseal(purpose: SealPurpose, context: string, sealed: Uint8Array): unknown;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** `secretKey` has at least 32 bytes: config.ts sees to it. */
export function createSecrets(secretKey: string): Secrets {
  const derived = new Map<string, Uint8Array>();
  const keyFor = (use: string): Uint8Array => {
    const known = derived.get(use);
    if (known) return known;
    const made = new Uint8Array(hkdfSync("sha256", secretKey, "latchkey", use, 32));
    derived.set(use, made);
    return made;
  };
  // The context takes part in the key: what is sealed under a challenge id cannot be opened without that id.
  const sealKeyFor = (purpose: SealPurpose, context: string): Uint8Array =>
    createHmac("sha256", keyFor(`seal ${purpose}`)).update(context).digest();

  return {
    mac: (purpose, ...parts) =>
      createHmac("sha256", keyFor(`mac ${purpose}`)).update(JSON.stringify(parts)).digest("base64url"),
    seal: (purpose, context, value) => {
      const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
      const cipher = createCipheriv("aes-256-gcm", sealKeyFor(purpose, context), nonce);
      const body = cipher.update(JSON.stringify(value), "utf8");
      return new Uint8Array(Buffer.concat([nonce, body, cipher.final(), cipher.getAuthTag()]));
    },
    unseal: (purpose, context, sealed) => {
      // Too short to be ours; and a decipher that never gets a whole tag would never be freed.
      if (sealed.byteLength < NONCE_BYTES + TAG_BYTES) return null;
      try {
        const decipher = createDecipheriv(
          "aes-256-gcm",
          sealKeyFor(purpose, context),
          sealed.subarray(0, NONCE_BYTES),
        );
        decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
        const body = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
        return JSON.parse(Buffer.concat([body, decipher.final()]).toString("utf8"));
      } catch {
        return null;
      }
    },
  };
}

/** SHA-256, base64url: for secrets that are long and random themselves, and for index keys. */
export function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

/** Compares two hashes of one kind in a time that tells nothing about where they differ. */
export function isSameHash(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

/** `bytes` from the cryptographic source, base64url. */
export function randomText(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toBase64({ alphabet: "base64url", omitPadding: true });
}
