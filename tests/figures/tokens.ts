// Forged and misused tokens, made from a real one in every way that has worked somewhere.

import { createHmac } from "node:crypto";
import { Buffer } from "node:buffer";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { readMe } from "../../openapi/account.ts";
import { readKeys } from "../../openapi/service.ts";
import { verifyToken } from "../../openapi/sessions.ts";
import { type Account, openDesk } from "./desk.ts";
import type { Figure } from "./figure.ts";

export const forgeries: Figure = {
  number: 9,
  name: "Forged or misused tokens accepted",
  goal: "0 of at least 500",
  async measure() {
    await using desk = await openDesk();
    const person = await desk.signUp();
    const { body: { keys: [publicKey] } } = await desk.ask(readKeys);
    const forged = [...new Set(await forge(person, publicKey))].filter((token) =>
      token !== person.accessToken
    );
    const isReal = (await desk.ask(readMe, { token: person.accessToken })).status === 200;
    let accepted = 0;
    for (const token of forged) {
      // A header takes no control characters: such a token cannot be sent there at all.
      const isSendable = /^[\x20-\x7e]+$/.test(token);
      if (isSendable && (await desk.ask(readMe, { token })).status !== 401) accepted++;
      const { status, body } = await desk.ask(verifyToken, { json: { token } });
      if (status === 200 && body.active) accepted++;
    }
    return {
      value: `${accepted} of ${forged.length}`,
      isMet: isReal && accepted === 0 && forged.length >= 500,
    };
  },
};

async function forge(
  { accessToken, refreshToken }: Account,
  publicKey: { readonly kid: string; readonly x: string },
): Promise<string[]> {
  const [header = "", payload = "", signature = ""] = accessToken.split(".");
  const head = read(header);
  const claims = read(payload);
  const other = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const otherJwk = await exportJWK(other.publicKey);
  const resign = (changes: object, headers: object = {}): Promise<string> =>
    new SignJWT({ ...claims, ...changes }).setProtectedHeader({ ...head, alg: "EdDSA", ...headers })
      .sign(other.privateKey);
  const bytes = Buffer.from(signature, "base64url");

  const flipped = Array.from({ length: bytes.length * 8 }, (_, bit) => {
    const copy = Buffer.from(bytes);
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return `${header}.${payload}.${copy.toString("base64url")}`;
  });
  const unsigned = ["none", "None", "NONE", "nOnE", ""].flatMap((alg) =>
    ["", signature].map((end) => `${write({ ...head, alg })}.${payload}.${end}`)
  );
  // The public key as the secret of a symmetric algorithm.
  const confused = ["HS256", "HS384", "HS512"].flatMap((alg) =>
    [publicKey.x, JSON.stringify(publicKey), Buffer.from(publicKey.x, "base64url")].map((secret) => {
      const signed = `${write({ ...head, alg })}.${payload}`;
      return `${signed}.${createHmac(`sha${alg.slice(2)}`, secret).update(signed).digest("base64url")}`;
    })
  );
  const altered = [
    { role: "admin" },
    { exp: 4e9 },
    { exp: 9e15 },
    { exp: undefined },
    { sub: crypto.randomUUID() },
    { sid: crypto.randomUUID() },
    { iss: "https://evil.example" },
    { aud: "https://evil.example" },
    { iat: 0 },
    { nbf: 4e9 },
  ];
  const kids = ["", "../../etc/passwd", "' OR 1=1 --", "x".repeat(500), "__proto__", publicKey.kid];
  const resigned = await Promise.all([
    ...altered.map((changes) => resign(changes)),
    ...kids.map((kid) => resign({}, { kid })),
    ...["JWT", "at+jwt", "refresh", "application/at+jwt"].map((typ) => resign({}, { typ })),
    // A key that the token brings along itself.
    resign({}, { jwk: otherJwk }),
    resign({}, { jku: "https://evil.example/jwks.json" }),
    resign({}, { crit: ["exp"] }).catch(() => "e30.e30.e30"),
  ]);
  return [
    ...flipped,
    ...unsigned,
    ...confused,
    ...resigned,
    // Signed by us, over something else.
    ...altered.map((changes) => `${header}.${write({ ...claims, ...changes })}.${signature}`),
    ...["JWT", "none"].map((typ) => `${write({ ...head, typ })}.${payload}.${signature}`),
    refreshToken,
    `${header}.${payload}`,
    `${header}.${payload}.`,
    `.${payload}.${signature}`,
    `${accessToken}.${signature}`,
    `${accessToken}=`,
    `${accessToken} ${accessToken}`,
    accessToken.toUpperCase(),
    "a.b.c",
    "...",
    "x".repeat(2_000),
  ];
}

function read(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, "base64url").toString());
}

function write(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}
