// Password hashes that another system made, as they stand in a Django database: `pbkdf2_sha256$…`, `pbkdf2_sha1$…`,
// `scrypt$…`, `bcrypt$…`, `bcrypt_sha256$…`, `argon2$…`. Each verifies at the first sign-in after the move and is
// replaced by one of ours then. Until that sign-in an answer for the account takes the time of its old hash, which is
// longer than that of any other address: so far, and no further, it shows that the account exists. The limits on
// sign-in bound how often anybody can look; everybody else's answers stay alike.

import { createHash, scrypt, timingSafeEqual } from "node:crypto";
import { type Argon2Engine, type Argon2Variant, parsePhc } from "./argon2.ts";
import type { BcryptRequest } from "./bcrypt_worker.ts";

/** Answers whether `plainPassword` is the one. Works off the main thread. */
export type ForeignVerifier = (plainPassword: string, engine: Argon2Engine) => Promise<boolean>;

/** What a hash may cost, in a sentence. Beyond this it could stop the server instead of signing somebody in. */
export const COST_LIMITS =
  "10,000,000 rounds of PBKDF2; N·r·p of 8,388,608 and 256 MiB for scrypt; cost 15 for bcrypt; 1 GiB, 10 passes and " +
  "16 lanes for Argon2";

const PBKDF2_ROUNDS_MAX = 10_000_000;
const SCRYPT_WORK_MAX = 2 ** 23;
const SCRYPT_MEMORY_BYTES_MAX = 256 * 1024 * 1024;
const BCRYPT_DEADLINE_MS = 30_000;

/** The name before the first `$`, and how the fields behind it are read: null when they are not of the form. */
const readers: ReadonlyMap<string, (fields: readonly string[]) => ForeignVerifier | null> = new Map([
  ["pbkdf2_sha256", (fields) => readPbkdf2(fields, { digest: "SHA-256", tagBytes: 32 })],
  ["pbkdf2_sha1", (fields) => readPbkdf2(fields, { digest: "SHA-1", tagBytes: 20 })],
  ["scrypt", readScrypt],
  ["bcrypt", (fields) => readBcrypt(fields, (plainPassword) => plainPassword)],
  ["bcrypt_sha256", (fields) => readBcrypt(fields, sha256Hex)],
  ["argon2", readArgon2],
]);

/** How to verify against this hash; null when it is none of these, or dearer than a server should pay for. */
export function readForeignHash(passwordHash: string): ForeignVerifier | null {
  const [name = "", ...fields] = passwordHash.split("$");
  return readers.get(name)?.(fields) ?? null;
}

/** `rounds$salt$tag`; the salt is text, the tag base64. */
function readPbkdf2(
  fields: readonly string[],
  { digest, tagBytes }: { readonly digest: "SHA-256" | "SHA-1"; readonly tagBytes: number },
): ForeignVerifier | null {
  const [iterations, salt, tag] = [wholeNumber(fields[0]), readSalt(fields[1]), readTag(fields[2], tagBytes)];
  if (fields.length !== 3 || !iterations || iterations > PBKDF2_ROUNDS_MAX || !salt || !tag) return null;
  return async (plainPassword) => {
    const key = await crypto.subtle.importKey("raw", bytesOf(plainPassword), "PBKDF2", false, ["deriveBits"]);
    const algorithm = { name: "PBKDF2", hash: digest, salt, iterations };
    return timingSafeEqual(
      new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, tagBytes * 8)),
      tag,
    );
  };
}

/** `N$salt$r$p$tag`. */
function readScrypt(fields: readonly string[]): ForeignVerifier | null {
  const [N, r, p] = [wholeNumber(fields[0]), wholeNumber(fields[2]), wholeNumber(fields[3])];
  const [salt, tag] = [readSalt(fields[1]), readTag(fields[4], 64)];
  if (fields.length !== 5 || !N || !r || !p || !salt || !tag) return null;
  const memoryBytes = 128 * r * (N + p);
  const isPowerOfTwo = N > 1 && Number.isInteger(Math.log2(N));
  if (!isPowerOfTwo || N * r * p > SCRYPT_WORK_MAX || memoryBytes > SCRYPT_MEMORY_BYTES_MAX) return null;
  return (plainPassword) =>
    new Promise((resolve, reject) => {
      scrypt(plainPassword, salt, tag.length, { N, r, p, maxmem: memoryBytes * 2 }, (error, derived) => {
        if (error) return reject(error);
        resolve(timingSafeEqual(new Uint8Array(derived), tag));
      });
    });
}

/** A modular crypt string. `prepare` is what Django does to a password first: bcrypt reads 72 bytes at most. */
function readBcrypt(
  fields: readonly string[],
  prepare: (plainPassword: string) => string,
): ForeignVerifier | null {
  const hash = fields.join("$");
  if (!/^\$2[aby]\$(?:0[4-9]|1[0-5])\$[./A-Za-z0-9]{53}$/.test(hash)) return null;
  return (plainPassword) => verifyBcrypt(prepare(plainPassword), hash);
}

/** A PHC string without its first `$`. Django made argon2i until 3.2. */
function readArgon2(fields: readonly string[]): ForeignVerifier | null {
  const phc = `$${fields.join("$")}`;
  const variant: Argon2Variant = fields[0] === "argon2i" ? "argon2i" : "argon2id";
  const known = parsePhc(phc, variant);
  if (!known) return null;
  const { cost, salt, tag } = known;
  return async (plainPassword, engine) => {
    const request = { variant, cost, salt, tagBytes: tag.length };
    return timingSafeEqual(await engine.derive(bytesOf(plainPassword), request), tag);
  };
}

/** In a thread of its own for each: the package has no other way than to compute where it is called. */
async function verifyBcrypt(preparedPassword: string, hash: string): Promise<boolean> {
  const request: BcryptRequest = { preparedPassword, hash };
  const worker = new Worker(new URL("./bcrypt_worker.ts", import.meta.url), threadOptions());
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error("bcrypt took too long")), BCRYPT_DEADLINE_MS);
      worker.onmessage = ({ data }) => resolve(data === true);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`bcrypt failed: ${event.message}`));
      };
      worker.postMessage(request);
    });
  } finally {
    clearTimeout(timer);
    worker.terminate();
  }
}

/**
 * Where the process has a list of addresses, the thread has none of them, and no permission at all. Deno Deploy knows no
 * lists, and perhaps not this option: asking for it in vain would end the process.
 */
function threadOptions(): WorkerOptions {
  const isListed = Deno.permissions.querySync({ name: "net" }).state !== "granted";
  return { type: "module", ...(isListed ? { deno: { permissions: "none" } } : {}) };
}

function sha256Hex(plainPassword: string): string {
  return createHash("sha256").update(plainPassword).digest("hex");
}

/** As typed: Django normalises nothing. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function wholeNumber(text = ""): number | null {
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : null;
}

function readSalt(text = ""): Uint8Array<ArrayBuffer> | null {
  return text.length >= 1 && text.length <= 128 ? bytesOf(text) : null;
}

function readTag(text: string | undefined, tagBytes: number): Uint8Array<ArrayBuffer> | null {
  try {
    const tag = Uint8Array.fromBase64(text ?? "", { lastChunkHandling: "strict" });
    return tag.length === tagBytes ? tag : null;
  } catch {
    return null;
  }
}
