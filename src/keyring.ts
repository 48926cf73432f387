// The keys that sign access tokens, in memory: read from the store at the start, then once a second when they are
// used, and at once when a token names a key that is not among them. So a key that another process has made or
// revoked counts here within a second. Private keys are stored sealed under SECRET_KEY.

import { type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from "jose";
import { digest, type Secrets } from "./secrets.ts";
import type { AuditDeps } from "./store/audit.ts";
import type { SigningKeyRecord } from "./store/keys.ts";
import type { Kv } from "./store/kv.ts";
import {
  CLOCK_SLACK_MS,
  collectSigningKeys,
  insertFirstSigningKey,
  isReady,
  replaceSigningKey,
} from "./store/signing_keys.ts";

/** A public key as it is published (RFC 8037). */
export type PublicKey = SigningKeyRecord["publicJwk"] & {
  readonly kid: string;
  readonly alg: "EdDSA";
  readonly use: "sig";
};

export interface PublicKeySet {
  readonly keys: PublicKey[];
}

export interface Keyring {
  /** The newest key of those that everybody who keeps the published keys for a while has by now. */
  signingKey(): Promise<{ readonly kid: string; readonly privateKey: CryptoKey }>;
  /** The key that a token names; null when there is none, or none any more. */
  findVerificationKey(kid: string | undefined): Promise<CryptoKey | null>;
  publicKeys(): Promise<PublicKeySet>;
}

interface LoadedKey {
  readonly record: SigningKeyRecord;
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
}

/** SECRET_KEY is not the one under which this store was made. */
export class WrongSecretKey extends Error {
  override readonly name = "WrongSecretKey";
}

const WRONG_KEY =
  "SECRET_KEY is not the one that this store was made with: set that one again, or restore the " +
  "backup that belongs to this one";
/** No use is made of keys that were read longer ago. */
const AGE_MAX_MS = 1_000;
/**
 * So long after a rotation every server signs with the new key, and what it signed with the old one has been handed
 * out. Revoked earlier than that, the old one would still make tokens that other servers refuse.
 */
export const TAKEN_UP_MS = 2 * AGE_MAX_MS;
/** How long anybody may keep the published keys; a cache before this server gives no others that long. */
export const PUBLISHED_MAX_AGE_SECONDS = 300;
/** An announced key signs so long after it was made: then no cache is left that lacks it. */
const PUBLISHED_AHEAD_MS = PUBLISHED_MAX_AGE_SECONDS * 1000 + AGE_MAX_MS + CLOCK_SLACK_MS;

/** Reads the keys, and makes the first one in an empty store. Throws WrongSecretKey. */
export async function openKeyring(kv: Kv, secrets: Secrets): Promise<Keyring> {
  let loaded = await loadKeys(kv, secrets);
  if (loaded.length === 0) {
    // Another instance may start on the same empty store: one of the two keys is kept, and both load it.
    await insertFirstSigningKey(kv, await createKey(kv, secrets));
    loaded = await loadKeys(kv, secrets);
  }
  let loadedAtMs = kv.nowMs();
  let loading: Promise<LoadedKey[]> | undefined;

  const reload = async (): Promise<LoadedKey[]> => {
    try {
      const startedAtMs = kv.nowMs();
      loaded = await loadKeys(kv, secrets, loaded);
      loadedAtMs = startedAtMs;
      return loaded;
    } finally {
      loading = undefined;
    }
  };
  /** However many ask at once, the store is read once. */
  const loadNow = (): Promise<LoadedKey[]> => loading ??= reload();
  const loadFresh = async (): Promise<LoadedKey[]> =>
    Math.abs(kv.nowMs() - loadedAtMs) < AGE_MAX_MS ? loaded : await loadNow();

  return {
    async signingKey() {
      const newestFirst = await loadFresh();
      // After a step back of the clock there may be none: then the one that was known the longest.
      const signing = newestFirst.find(({ record }) => isReady(record, kv.nowMs())) ?? newestFirst.at(-1);
      if (!signing) throw new Error("There is no signing key");
      return { kid: signing.record.kid, privateKey: signing.privateKey };
    },
    async findVerificationKey(kid) {
      const isNamed = ({ record }: LoadedKey): boolean => record.kid === kid;
      const key = (await loadFresh()).find(isNamed) ?? (await loadNow()).find(isNamed);
      return key?.publicKey ?? null;
    },
    async publicKeys() {
      const records = (await loadFresh()).map(({ record }) => record);
      return {
        keys: records.map(({ publicJwk, kid }) => ({ ...publicJwk, kid, alg: "EdDSA", use: "sig" })),
      };
    },
  };
}

/** What a rotation leaves behind. */
export interface Rotation {
  /** Of the new key. */
  readonly kid: string;
  /** From when on it signs. */
  readonly signsAtMs: number;
  /** When the key before it stops verifying. */
  readonly othersEndAtMs: number;
}

/**
 * `at_once`: the new key signs as soon as a server has read it. `announced`: it is published now and signs minutes later,
 * when no cache lacks it. `revoking`: at once, and the keys that may have signed are to be removed after TAKEN_UP_MS.
 */
export type RotationKind = "at_once" | "announced" | "revoking";

/**
 * Makes a new key. The one before it signs until then, and verifies until the last token it signed has expired. Null when
 * there are a hundred keys already; who revokes always has room. Throws WrongSecretKey.
 */
export async function rotateSigningKey(
  deps: AuditDeps,
  { accessTtlMs, kind }: { readonly accessTtlMs: number; readonly kind: RotationKind },
): Promise<Rotation | null> {
  const { kv, secrets } = deps;
  // A key sealed under another SECRET_KEY would stop every server on this store.
  await openKeyring(kv, secrets);
  const key = await createKey(kv, secrets);
  const signsAtMs = key.createdAtMs + (kind === "announced" ? PUBLISHED_AHEAD_MS : 0);
  const othersEndAtMs = signsAtMs + accessTtlMs + CLOCK_SLACK_MS;
  // Without a time of its own it signs by every clock, also one that is behind.
  const record = kind === "announced" ? { ...key, signsAtMs } : key;
  const isDone = await replaceSigningKey(deps, record, { othersEndAtMs, isRevoking: kind === "revoking" });
  return isDone ? { kid: key.kid, signsAtMs, othersEndAtMs } : null;
}

async function createKey(kv: Kv, secrets: Secrets): Promise<SigningKeyRecord> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const jwk = await exportJWK(privateKey);
  if (!jwk.x) throw new Error("An Ed25519 key has a public part");
  const kid = digest(jwk.x).slice(0, 16);
  return {
    kid,
    publicJwk: { kty: "OKP", crv: "Ed25519", x: jwk.x },
    sealed: secrets.seal("signing-key", kid, jwk),
    createdAtMs: kv.nowMs(),
  };
}

/** Newest first. Those that are among `known` need no opening again. */
async function loadKeys(kv: Kv, secrets: Secrets, known: readonly LoadedKey[] = []): Promise<LoadedKey[]> {
  const loaded = (await collectSigningKeys(kv)).map(async (record) => {
    const same = known.find(({ record: { kid } }) => kid === record.kid);
    return same ? { ...same, record } : await loadKey(record, secrets);
  });
  return await Promise.all(loaded);
}

async function loadKey(record: SigningKeyRecord, secrets: Secrets): Promise<LoadedKey> {
  // Only this file seals signing keys, so that what opens is a private JWK.
  const privateJwk = secrets.unseal("signing-key", record.kid, record.sealed) as JWK | null;
  if (!privateJwk) throw new WrongSecretKey(WRONG_KEY);
  return {
    record,
    publicKey: await importKey(record.publicJwk),
    privateKey: await importKey(privateJwk),
  };
}

async function importKey(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, "EdDSA");
  if (key instanceof Uint8Array) throw new Error("An Ed25519 key is not symmetric");
  return key;
}
