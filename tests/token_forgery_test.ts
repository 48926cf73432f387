// Access tokens that somebody else signed, and says so: by a key within the token, an address where the key lies, a name
// that leads elsewhere (RFC 8725 §3.10). Only the server's own keys are asked; and what they have signed is not yet an
// access token.

import assert from "node:assert/strict";
import {
  type CryptoKey,
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  SignJWT,
} from "jose";
import { readMe } from "../openapi/account.ts";
import { verifyToken } from "../openapi/sessions.ts";
import { collectSigningKeys } from "../src/store/signing_keys.ts";
import { startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { signUp } from "./person.ts";

Deno.test("access token: a key that the token brings along, or points to, is never asked", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const claims = { ...decodeJwt(ada.accessToken), role: "admin" };
  const { kid = "" } = decodeProtectedHeader(ada.accessToken);
  const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
  const jwk = await exportJWK(publicKey);
  const asked: string[] = [];
  const listener = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    asked.push(url);
    return Response.json({ keys: [{ ...jwk, kid, alg: "EdDSA", use: "sig" }] });
  });
  const url = `http://127.0.0.1:${listener.addr.port}/keys`;
  const headers: Readonly<Record<string, Record<string, unknown>>> = {
    "the server's key by name": { kid },
    "no key by name": {},
    "another key by name": { kid: "another" },
    "a path as name": { kid: "../../../../dev/null" },
    "a query as name": { kid: "' OR 1=1 --" },
    "its own key": { kid, jwk },
    "an address of keys": { kid, jku: url },
    "an address of certificates": { kid, x5u: url },
    "a certificate": { kid, x5c: ["MIIB"] },
    "a member that must be understood": { kid, crit: ["exp"], exp: 1 },
  };
  try {
    for (const [name, header] of Object.entries(headers)) {
      await t.step(name, async () => {
        const { crit, ...rest } = header;
        const token = await new SignJWT(claims)
          .setProtectedHeader({ alg: "EdDSA", typ: "at+jwt", ...rest, ...(crit ? { crit: ["exp"] } : {}) })
          .sign(privateKey, crit ? { crit: { exp: true } } : undefined);
        assert.equal((await server.call(readMe, { token })).body.code, "token_invalid");
        assert.deepEqual((await server.call(verifyToken, { json: { token } })).body, { active: false });
      });
    }
    assert.deepEqual(asked, []);
  } finally {
    await listener.shutdown();
  }
});

Deno.test("access token: what the server's own key has signed is none unless every part of it is right", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const head = decodeProtectedHeader(ada.accessToken);
  const claims = decodeJwt(ada.accessToken);
  const privateKey = await openSigningKey(server);
  const sign = (claims: object, { header = {} }: { readonly header?: object } = {}): Promise<string> =>
    new SignJWT({ ...claims }).setProtectedHeader({ ...head, alg: "EdDSA", ...header }).sign(privateKey);
  const without = (name: string): object =>
    Object.fromEntries(Object.entries(claims).filter(([claim]) => claim !== name));

  const asIs = await sign(claims);
  assert.equal((await server.call(readMe, { token: asIs })).status, 200, "the rows differ in one part only");
  const rows: Readonly<Record<string, Promise<string>>> = {
    "another algorithm of the same key": sign(claims, { header: { alg: "Ed25519" } }),
    "another type": sign(claims, { header: { typ: "JWT" } }),
    "no type": sign(claims, { header: { typ: undefined } }),
    "another issuer": sign({ ...claims, iss: "https://auth.example.com" }),
    "another audience": sign({ ...claims, aud: "https://app.example.com" }),
    "a role that there is not": sign({ ...claims, role: "root" }),
    "a user that is no id": sign({ ...claims, sub: "ada" }),
    "an end that is no number": sign({ ...claims, exp: "4000000000" }),
    ...Object.fromEntries(Object.keys(claims).map((name) => [`no ${name}`, sign(without(name))])),
  };
  for (const [name, signed] of Object.entries(rows)) {
    await t.step(name, async () => {
      const token = await signed;
      assert.equal((await server.call(readMe, { token })).body.code, "token_invalid");
      assert.deepEqual((await server.call(verifyToken, { json: { token } })).body, { active: false });
    });
  }
});

async function openSigningKey({ kv, deps }: TestServer): Promise<CryptoKey> {
  const [record] = await collectSigningKeys(kv);
  assert(record);
  // The server has sealed a private JWK there.
  const jwk = deps.secrets.unseal("signing-key", record.kid, record.sealed) as JWK;
  const key = await importJWK(jwk, "EdDSA");
  assert(!(key instanceof Uint8Array));
  return key;
}
