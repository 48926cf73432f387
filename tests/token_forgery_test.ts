// Access tokens that somebody else signed, and says so: by a key within the token, an address where the key lies, a name
// that leads elsewhere (RFC 8725 §3.10). Only the server's own keys are asked.

import assert from "node:assert/strict";
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from "jose";
import { readMe } from "../openapi/account.ts";
import { verifyToken } from "../openapi/sessions.ts";
import { startServer, UNLIMITED } from "./harness.ts";
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
