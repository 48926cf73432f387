// Which address a request came from, and which network counts for limits. Nothing that a client can write itself is
// trusted: of X-Forwarded-For only the entry that the outermost trusted proxy added, and nothing without TRUST_PROXY.

import ipaddr from "ipaddr.js";

/** Where a request came from, as far as the connection and the proxies say. */
export interface Origin {
  readonly socketAddress: string | null;
  /** The X-Forwarded-For header; several lines arrive joined by commas. */
  readonly forwardedFor: string | null;
}

/** Stands for every client without a readable address, so that they share one network and one limit. */
const UNKNOWN_ADDRESS = "0.0.0.0";

const NETWORK_GROUPS = 4;

/**
 * The client's address in canonical form, IPv4-mapped IPv6 as IPv4. With n trusted proxies the n-th entry of the
 * header from the right; the socket's address when the header has fewer, or when that entry is no address, because
 * then the request did not come through all of them.
 */
export function clientAddress({ socketAddress, forwardedFor }: Origin, trustedProxyHops: number): string {
  const trusted = trustedEntry(forwardedFor, trustedProxyHops);
  const address = parseAddress(withoutPort(trusted)) ?? parseAddress(socketAddress ?? "");
  return address === null ? UNKNOWN_ADDRESS : textOf(address);
}

/** The one entry of X-Forwarded-For that counts, as it came; empty when there is none. */
export function trustedEntry(forwardedFor: string | null, trustedProxyHops: number): string {
  const entries = forwardedFor?.split(",") ?? [];
  const trusted = trustedProxyHops > 0 ? entries.at(-trustedProxyHops) : undefined;
  return trusted?.trim() ?? "";
}

/** The network that shares a limit: an IPv4 address itself, of IPv6 the /64 that one household or host has. */
export function networkOf(address: string): string {
  const parsed = parseAddress(address);
  if (parsed === null) return UNKNOWN_ADDRESS;
  if (parsed instanceof ipaddr.IPv4) return textOf(parsed);
  const groups = parsed.parts.map((group, index) => index < NETWORK_GROUPS ? group : 0);
  return `${textOf(new ipaddr.IPv6(groups))}/64`;
}

function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  // Only four plain decimals: other parsers read 010.0.0.1 or 127.1 each in their own way.
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  if (!ipaddr.IPv6.isValid(text)) return null;
  const address = ipaddr.IPv6.parse(text);
  return address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

/** Some proxies write `192.0.2.1:4711` or `[2001:db8::1]:4711`. */
function withoutPort(entry: string): string {
  return /^\[(.+)\](?::\d+)?$/.exec(entry)?.[1] ?? /^([\d.]+):\d+$/.exec(entry)?.[1] ?? entry;
}

function textOf(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  if (address instanceof ipaddr.IPv4) return address.toString();
  // Built anew without the zone: `%eth0` names an interface of this machine, not a client.
  return new ipaddr.IPv6(address.parts).toRFC5952String();
}
