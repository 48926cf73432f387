// Which addresses a program may use under these settings, as `--allow-net` lists them: where it listens, and whom it
// asks. To any other the process cannot connect, whatever runs in it (ASVS 13.2.4, 13.2.5).

import type { Config } from "../config.ts";

/** Whom a program talks to. Deno's exporter of OpenTelemetry is outside of all permissions. */
export type Partner = keyof typeof partners;

/** Deno's own hosted stores send their clients on to hosts that are named nowhere, so that no list would hold. */
export const ANYWHERE = "*";
const HOSTED = "https://api.deno.com/";

const partners = {
  /** Who reaches this server. A port that the system chooses is not known yet: then it is any of this host. */
  clients: ({ host, port }: Config) => [port === 0 ? bracketed(host) : addressOf(host, port)],
  /** The server of SMTP_URL, by its name: nothing else of what runs where it does. */
  mail: ({ smtp }: Config) => smtp ? [addressOf(smtp.host, smtp.port)] : [],
  /** The KV Connect server. Where that one says that its data is elsewhere, it is not followed; but see ANYWHERE. */
  store: ({ kvPath }: Config) => isHosted(kvPath) ? [ANYWHERE] : addressesOfUrl(kvPath ?? ""),
  /** This server itself, as clients reach it and as this machine does. */
  server: ({ publicUrl, port }: Config) => [...addressesOfUrl(publicUrl), addressOf("127.0.0.1", port)],
} satisfies Record<string, (config: Config) => string[]>;

/** `host:port` of each of them, once. */
export function addressesOf(config: Config, talksTo: readonly Partner[]): string[] {
  return [...new Set(talksTo.flatMap((partner) => partners[partner](config)))];
}

function isHosted(kvPath: string | null | undefined): boolean {
  return kvPath?.startsWith(HOSTED) ?? false;
}

/** None for what is a file. */
function addressesOfUrl(text: string): string[] {
  const url = /^https?:/.test(text) ? URL.parse(text) : null;
  if (url === null) return [];
  return [`${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}`];
}

function addressOf(host: string, port: number): string {
  return `${bracketed(host)}:${port}`;
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
