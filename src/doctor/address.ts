// Where clients reach the server: does PUBLIC_URL lead to this one, and do the addresses of clients look like theirs.
// Nothing is known of a server that does not run, so that is no fault.

import ipaddr from "ipaddr.js";
import { z } from "zod";
import type { Config } from "../config.ts";
import { keys, type SessionRecord } from "../store/keys.ts";
import type { Kv } from "../store/kv.ts";
import { collectSigningKeys } from "../store/signing_keys.ts";
import { type Finding, toFix, well } from "./finding.ts";

const ANSWER_TIMEOUT_MS = 5_000;
const SESSIONS_LOOKED_AT = 1_000;
const SESSIONS_JUDGED = 20;
const CLOCK_DIFFERENCE_MS_MAX = 30_000;

const health = z.object({ status: z.literal("ok") });
const keySet = z.object({ keys: z.array(z.object({ kid: z.string() })) });

/** Asks PUBLIC_URL, and the port on this machine. `kv` is null when the store does not open. */
export async function examineAddress({ publicUrl, port }: Config, kv: Kv | null): Promise<Finding[]> {
  const answer = await ask(`${publicUrl}/health`, health);
  if (answer.fault !== null) {
    const local = await ask(`http://127.0.0.1:${port}/health`, health);
    return local.fault === null
      ? [toFix("address", `the server runs, but ${publicUrl} does not lead to it: ${answer.fault}`)]
      : [well("address", `no server answers at ${publicUrl} now, so nothing was asked`)];
  }
  const findings = [await examineIdentity(publicUrl, kv)];
  const differenceMs = Math.abs((answer.dateMs ?? Date.now()) - Date.now());
  if (differenceMs > CLOCK_DIFFERENCE_MS_MAX) {
    const seconds = Math.round(differenceMs / 1000);
    findings.push(
      toFix("clock", `${publicUrl} is ${seconds} s apart from this machine: keep both clocks by NTP`),
    );
  }
  return findings;
}

/** Whether TRUST_PROXY fits the URL, and the addresses that sessions began from. */
export async function examineProxy(
  { publicUrl, trustedProxyHops, port }: Config,
  kv: Kv | null,
): Promise<Finding> {
  if (trustedProxyHops === 0 && publicUrl.startsWith("https:")) {
    return toFix(
      "proxy",
      "PUBLIC_URL is https, so a proxy stands in front, but TRUST_PROXY is 0: all clients share the limits of one " +
        "network. Set TRUST_PROXY to the number of proxies",
    );
  }
  const addresses = kv ? await collectAddresses(kv) : [];
  const seen = addresses.length === 0
    ? "no session to tell by"
    : `the newest sessions began from ${addresses.slice(0, 3).join(", ")}${
      addresses.length > 3 ? ", …" : ""
    }`;
  if (!isLoopbackUrl(publicUrl) && addresses.length > 0 && addresses.every(isPrivate)) {
    return toFix(
      "proxy",
      `${seen}: these look like proxies, not clients. TRUST_PROXY is ${trustedProxyHops}; count the proxies in front`,
    );
  }
  return trustedProxyHops === 0
    ? well("proxy", `none trusted; ${seen}`)
    : well("proxy", `${trustedProxyHops} trusted, so only they may reach port ${port}; ${seen}`);
}

/** Whether only this machine reaches the URL. */
export function isLoopbackUrl(url: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(url).hostname);
}

/** Another Latchkey at the same address signs with other keys. */
async function examineIdentity(publicUrl: string, kv: Kv | null): Promise<Finding> {
  const published = await ask(`${publicUrl}/.well-known/jwks.json`, keySet);
  const known = kv ? (await collectSigningKeys(kv)).map(({ kid }) => kid) : [];
  if (published.fault !== null) return toFix("address", `${publicUrl} shows no keys: ${published.fault}`);
  if (known.length === 0) {
    return well(
      "address",
      `a Latchkey answers at ${publicUrl}; without a store there is no telling whether it is this one`,
    );
  }
  const isSame = published.value.keys.some(({ kid }) => known.includes(kid));
  return isSame
    ? well("address", `${publicUrl} leads to this server`)
    : toFix("address", `${publicUrl} leads to a server with another store: see PUBLIC_URL and KV_PATH`);
}

type Answer<Value> =
  | { readonly fault: null; readonly value: Value; readonly dateMs: number | null }
  | { readonly fault: string };

async function ask<Value>(url: string, form: z.ZodType<Value>): Promise<Answer<Value>> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS), redirect: "manual" });
    const parsed = form.safeParse(await response.json().catch(() => null));
    if (!response.ok || !parsed.success) return { fault: `something else answers there, ${response.status}` };
    const dateMs = Date.parse(response.headers.get("date") ?? "");
    return { fault: null, value: parsed.data, dateMs: Number.isNaN(dateMs) ? null : dateMs };
  } catch (error) {
    return { fault: error instanceof Error ? error.message : String(error) };
  }
}

/** The different addresses from which the newest sessions began. */
async function collectAddresses(kv: Kv): Promise<string[]> {
  const { entries } = await kv.collect(keys.sessions(), { limit: SESSIONS_LOOKED_AT });
  const newestFirst = entries.map(({ value }): SessionRecord => value)
    .sort((a, b) => b.createdAtMs - a.createdAtMs);
  return [...new Set(newestFirst.slice(0, SESSIONS_JUDGED).map(({ ip }) => ip))];
}

function isPrivate(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() !== "unicast";
}
