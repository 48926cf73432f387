// Who is asking, as far as the network says: the only place that reads addresses from a request.

import type { Context } from "hono";
import type { Deps } from "./deps.ts";
import { clientAddress, networkOf } from "./network.ts";
import type { Client } from "./store/client.ts";

const USER_AGENT_LENGTH_MAX = 200;

/** The client of a request: behind trusted proxies (`TRUST_PROXY`) the address that the outermost of them saw. */
export function clientOf(c: Context, { config, secrets }: Pick<Deps, "config" | "secrets">): Client {
  const address = clientAddress({
    socketAddress: socketAddress(c.env),
    forwardedFor: c.req.header("x-forwarded-for") ?? null,
  }, config.trustedProxyHops);
  return {
    address,
    networkHash: secrets.mac("network", networkOf(address)),
    userAgent: safeUserAgent(c.req.header("user-agent")),
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
