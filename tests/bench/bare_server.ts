// What a server here does at most: an answer, and an answer to a token whose signature holds. Nothing else is in the
// way. Prints where it listens, and a token.

import { Hono } from "hono";
import { generateKeyPair, jwtVerify, SignJWT } from "jose";

/** What it prints, as one line of JSON. */
export interface BareServerAddress {
  readonly port: number;
  readonly token: string;
}

if (import.meta.main) await main();

async function main(): Promise<void> {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519" });
  const token = await new SignJWT({ sub: crypto.randomUUID() }).setProtectedHeader({ alg: "EdDSA" })
    .setIssuedAt().setExpirationTime("1h").sign(privateKey);
  const app = new Hono()
    .get("/answer", (c) => c.json({ status: "ok" }))
    .get("/token", async (c) => {
      const bearer = c.req.header("authorization")?.slice("Bearer ".length) ?? "";
      const { payload } = await jwtVerify(bearer, publicKey, { algorithms: ["EdDSA"] });
      return c.json({ sub: payload.sub });
    });
  const onListen = ({ port }: Deno.NetAddr): void => {
    const address: BareServerAddress = { port, token };
    // deno-lint-ignore no-console -- whoever started this reads it.
    console.log(JSON.stringify(address));
  };
  Deno.serve({ hostname: "127.0.0.1", port: 0, onListen }, app.fetch);
}
