// Hashes of another system: what Django made verifies here, with the right password only, and nothing that is dearer
// than a server should pay for is even begun.

import assert from "node:assert/strict";
import { loadArgon2 } from "../src/argon2.ts";
import { readForeignHash } from "../src/foreign_hash.ts";
import { createHasher, isReadableHash, NO_PASSWORD_HASH } from "../src/hasher.ts";
import { DJANGO_HASHES } from "./django_users.ts";

for (const { name, hash, password } of DJANGO_HASHES) {
  Deno.test(`verify takes Django's ${name} for the right password only, and it needs a rehash`, async () => {
    const hasher = await createHasher();
    assert.equal(await hasher.verify(password, hash), true);
    assert.equal(await hasher.verify(`${password.slice(1)} `, hash), false);
    assert.equal(hasher.needsRehash(hash), true);
    assert.deepEqual(hasher.load(), { running: 0, waiting: 0 });
  });
}

for (const name of ["native", "webcrypto"] as const) {
  Deno.test(`verify takes both kinds of Argon2 with the engine ${name}`, async () => {
    const hasher = await createHasher({ engine: await loadArgon2([name]) });
    for (const { hash, password } of DJANGO_HASHES.filter(({ hash }) => hash.startsWith("argon2$"))) {
      assert.equal(await hasher.verify(password, hash), true, hash);
    }
  });
}

Deno.test("verify reads a password for a foreign hash as it was typed, not composed", async () => {
  const hasher = await createHasher();
  const [{ hash } = { hash: "" }] = DJANGO_HASHES.filter(({ name }) => name === "scrypt of 4.0");
  assert.equal(await hasher.verify("lètmein".normalize("NFC"), hash), true);
  assert.equal(await hasher.verify("lètmein".normalize("NFD"), hash), false);
});

const PBKDF2 = "pbkdf2_sha256$260000$seasalt$YlZ2Vggtqdc61YjArZuoApoBh9JNGYoDRBUGu6tcJQo=";
const SCRYPT = DJANGO_HASHES.find(({ name }) => name === "scrypt of 4.0")?.hash ?? "";
const BCRYPT = DJANGO_HASHES.find(({ name }) => name === "bcrypt")?.hash ?? "";
const ARGON2 = DJANGO_HASHES.find(({ name }) => name === "argon2 (argon2id)")?.hash ?? "";

const refused = [
  { name: "nothing", hash: "" },
  { name: "no password", hash: "!pFuUjChqasqT8VHefpBv4tgbNncvznUVU59Awx7x" },
  { name: "another hasher", hash: "md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3" },
  { name: "a name of every object", hash: "constructor$1$2$3" },
  { name: "PBKDF2 of no round", hash: PBKDF2.replace("260000", "0") },
  { name: "PBKDF2 of 10,000,001 rounds", hash: PBKDF2.replace("260000", "10000001") },
  { name: "PBKDF2 of rounds that are no number", hash: PBKDF2.replace("260000", "1e5") },
  { name: "PBKDF2 without a salt", hash: PBKDF2.replace("seasalt", "") },
  { name: "PBKDF2 with a short tag", hash: PBKDF2.replace("YlZ2", "") },
  { name: "PBKDF2 with a field too many", hash: `${PBKDF2}$` },
  { name: "scrypt of an N that is no power of two", hash: SCRYPT.replace("16384", "16383") },
  { name: "scrypt of 2^21", hash: SCRYPT.replace("16384", "2097152") },
  { name: "scrypt of p = 100", hash: SCRYPT.replace("$8$1$", "$8$100$") },
  { name: "scrypt of r = 1,000", hash: SCRYPT.replace("$8$1$", "$1000$1$") },
  { name: "bcrypt of cost 16", hash: BCRYPT.replace("$12$", "$16$") },
  { name: "bcrypt of cost 31", hash: BCRYPT.replace("$12$", "$31$") },
  { name: "bcrypt of cost 3", hash: BCRYPT.replace("$12$", "$03$") },
  { name: "bcrypt of an unknown kind", hash: BCRYPT.replace("$2b$", "$2x$") },
  { name: "bcrypt cut short", hash: BCRYPT.slice(0, -1) },
  { name: "bcrypt without its hasher's name", hash: BCRYPT.replace("bcrypt$", "") },
  { name: "Argon2 of 8 GiB", hash: ARGON2.replace("m=102400", "m=8388608") },
  { name: "Argon2 of 99 passes", hash: ARGON2.replace("t=2", "t=99") },
  { name: "Argon2 of version 16", hash: ARGON2.replace("v=19", "v=16") },
  { name: "Argon2d", hash: ARGON2.replace("argon2id", "argon2d") },
];

for (const { name, hash } of refused) {
  Deno.test(`readForeignHash refuses ${name}`, () => {
    assert.equal(readForeignHash(hash), null);
    assert.equal(isReadableHash(hash), false);
  });
}

Deno.test("verify lets nobody in where there is no password, for the price of one hash", async () => {
  const hasher = await createHasher();
  for (const password of ["", "!", "violet-comet-93"]) {
    assert.equal(await hasher.verify(password, NO_PASSWORD_HASH), false);
  }
});
