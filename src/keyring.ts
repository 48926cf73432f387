// The keys that sign access tokens, in memory: read from the store at the start, and again when a token names a
// key that another instance has made since. Private keys are stored sealed under SECRET_KEY.

import { type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from "jose";
import type { Secrets } from "./secrets.ts";
import type { SigningKeyRecord } from "./store/keys.ts";
import type { Kv } from "./store/kv.ts";
import { collectSigningKeys, insertFirstSigningKey } from "./store/signing_keys.ts";
import { digest } from "./secrets.ts";

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
  /** The newest key. */
  signingKey(): { readonly kid: string; readonly privateKey: CryptoKey };
  /** The key that a token names. Throws when there is none, which a verifier takes as a refusal. */
  verificationKey(kid: string | undefined): Promise<CryptoKey>;
  publicKeys(): PublicKeySet;
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

/** However many tokens name unknown keys, the store is asked once in this time. */
const RELOAD_INTERVAL_MS = 1_000;

/** Reads the keys, and makes the first one in an empty store. Throws WrongSecretKey. */
export async function openKeyring(kv: Kv, secrets: Secrets): Promise<Keyring> {
  let loaded = await loadKeys(kv, secrets);
  if (loaded.length === 0) {
    // Another instance may start on the same empty store: one of the two keys is kept, and both load it.
    await insertFirstSigningKey(kv, await createKey(kv, secrets));
    loaded = await loadKeys(kv, secrets);
  }
  let loadedAtMs = kv.nowMs();
  const findKey = (kid: string | undefined): LoadedKey | undefined =>
    loaded.find(({ record }) => record.kid === kid);

  return {
    signingKey() {
      const [newest] = loaded;
      if (!newest) throw new Error("There is no signing key");
      return { kid: newest.record.kid, privateKey: newest.privateKey };
    },
    async verificationKey(kid) {
      if (!findKey(kid) && Math.abs(kv.nowMs() - loadedAtMs) >= RELOAD_INTERVAL_MS) {
        loadedAtMs = kv.nowMs();
        loaded = await loadKeys(kv, secrets);
      }
      const key = findKey(kid);
      if (!key) throw Object.assign(new Error("No such key"), { code: "ERR_JWKS_NO_MATCHING_KEY" });
      return key.publicKey;
    },
    publicKeys: () => ({
      keys: loaded.map(({ record }) => ({ ...record.publicJwk, kid: record.kid, alg: "EdDSA", use: "sig" })),
    }),
  };
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

/** Newest first. */
async function loadKeys(kv: Kv, secrets: Secrets): Promise<LoadedKey[]> {
  const records = await collectSigningKeys(kv);
  const loaded = await Promise.all(records.map((record) => loadKey(record, secrets)));
  return loaded.sort((a, b) => b.record.createdAtMs - a.record.createdAtMs);
}

async function loadKey(record: SigningKeyRecord, secrets: Secrets): Promise<LoadedKey> {
  // Only this file seals signing keys, so that what opens is a private JWK.
  const privateJwk = secrets.unseal("signing-key", record.kid, record.sealed) as JWK | null;
  if (!privateJwk) throw new WrongSecretKey("SECRET_KEY is not the one that this store was made with");
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
