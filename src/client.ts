// Who is asking, as far as the network says: the only place that reads addresses from a request.

import type { Context } from "hono";
import type { AppEnv } from "./app_env.ts";
import type { Deps } from "./deps.ts";
import { clientAddress, networkOf, trustedEntry } from "./network.ts";
import type { Client } from "./store/client.ts";

const USER_AGENT_LENGTH_MAX = 200;
const KNOWN_MAX = 10_000;
const KNOWN_LENGTH_MAX = 200;

/** Tells who asks. */
export type ReadClient = (c: Context<AppEnv>) => Client;

/** Behind trusted proxies (`TRUST_PROXY`) the client's address is the one that the outermost of them saw. */
export function createClientReader({ config, secrets }: Pick<Deps, "config" | "secrets">): ReadClient {
  // Clients ask more than once, and reading, folding and hashing an address costs more than a look-up.
  const known = new Map<string, Pick<Client, "address" | "networkHash">>();

  return (c) => {
    const origin = {
      socketAddress: socketAddress(c.env),
      forwardedFor: config.trustedProxyHops === 0 ? null : c.req.header("x-forwarded-for") ?? null,
    };
    const key = `${origin.socketAddress} ${trustedEntry(origin.forwardedFor, config.trustedProxyHops)}`;
    const request = {
      userAgent: safeUserAgent(c.req.header("user-agent")),
      requestId: c.get("requestId"),
    };
    const found = known.get(key);
    if (found) return { ...found, ...request };

    const address = clientAddress(origin, config.trustedProxyHops);
    const client = { address, networkHash: secrets.mac("network", networkOf(address)) };
    // What is longer the client has written, and can write anew each time.
    if ((origin.forwardedFor?.length ?? 0) <= KNOWN_LENGTH_MAX) {
      if (known.size >= KNOWN_MAX) known.clear();
      known.set(key, client);
    }
    return { ...client, ...request };
  };
}

/** Deno.serve passes the peer's address beside the request. */
function socketAddress(env: unknown): string | null {
  if (typeof env !== "object" || env === null || !("remoteAddr" in env)) return null;
  const { remoteAddr } = env;
  const isNetAddr = typeof remoteAddr === "object" && remoteAddr !== null && "hostname" in remoteAddr;
  return isNetAddr ? String(remoteAddr.hostname) : null;
}

/** Printable and short, because people read it in lists and mails. */
function safeUserAgent(header: string | undefined): string | null {
  const text = (header ?? "").replaceAll(/[^\x20-\x7e]/g, "").trim().slice(0, USER_AGENT_LENGTH_MAX);
  return text === "" ? null : text;
}
