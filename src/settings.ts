// How the text of a setting becomes a value. Each message continues the setting's name as a plain sentence that says
// what to write, and never repeats what was written: it may be a secret.

import { z } from "zod";
import { parseDurationMs } from "./duration.ts";
import { parsePolicy, type Policy } from "./policy.ts";

/** A mail server. `host` of an IPv6 address is without brackets. */
export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  /** Both or none. */
  readonly user: string | null;
  readonly password: string | null;
  /** TLS from the first byte (`smtps://`), instead of STARTTLS. */
  readonly isImplicitTls: boolean;
  /** False only with `?tls=off`. */
  readonly hasTls: boolean;
  readonly isLoopback: boolean;
}

/** The sender of mails; `name` may be empty. */
export interface MailSender {
  readonly name: string;
  readonly address: string;
}

const SECRET_BYTES_MIN = 32;
const SECRET_LENGTH_MAX = 1_000;
const TOKEN_LENGTH_MIN = 16;
const SECRET_CHARACTERS_MIN = 10;
const SECRET_PLACEHOLDER =
  /change[-_ ]?(me|this|it)|replace[-_ ]?(me|this|it)|placeholder|your[-_ ](secret|key)/i;

const ORIGINS_MAX = 100;
const PATH_LENGTH_MAX = 4_096;

/** `5s`, `30m`, `24h`, `30d` → milliseconds. */
export const durationMs = fromText(
  (text) =>
    parseDurationMs(text) ?? wrong("must be a duration such as 5s, 30m, 24h or 30d, from 1s to 3650d"),
);

/** A TCP port; 0 lets the system choose. */
export const port = wholeNumber(0, 65_535);

/** An address or a name of this machine; of an IPv6 address without brackets. */
export const listenHost = fromText((text) => {
  const host = text.replace(/^\[(.*)\]$/, "$1");
  return isHost(host) ? host : wrong("must be an address or a host name, such as 127.0.0.1 or ::");
});

/** A file, or the `http(s)://` URL of a KV Connect server. */
export const storePath = fromText((text) => {
  if (text.length > PATH_LENGTH_MAX) return wrong(`must have at most ${PATH_LENGTH_MAX} characters`);
  // It would part the path in a list of permissions (src/cli/launch.ts).
  if (text.includes(",")) return wrong("must not have a comma: give the store another name or folder");
  const isUrl = /^[a-z][a-z\d+.-]+:\/\//i.test(text);
  return !isUrl || (/^https?:/.test(text) && URL.canParse(text)) ? text : wrong(
    "must be the path of a file, or the URL of a KV Connect server, http:// or https:// in lower case",
  );
});

/** How many proxies are trusted. */
export const hopCount = wholeNumber(0, 10);

/** `5/1m`, `10/1h,30/1d` or `off`. */
export const policy = fromText<Policy>(
  (text) =>
    parsePolicy(text) ??
      wrong("must be a limit such as 5/1m (five a minute), up to four with commas between, or off"),
);

/** `Name <a@b>` or `a@b`. */
export const mailSender = fromText<MailSender>((text) => {
  const [, name = "", bracketed, bare] = /^(?:"?([^<>"\p{C}]{0,100}?)"? *<([^<>]+)>|([^<>]+))$/u.exec(text) ??
    [];
  const address = bracketed ?? bare ?? "";
  return isMailAddress(address)
    ? { name: name.trim(), address }
    : wrong("must be one sender, `Name <name@example.org>` or name@example.org, in ASCII but for the name");
});

/** Comma list of origins, as browsers send them. */
export const origins = fromText<readonly string[]>((text) => {
  const listed = text.split(",").map((entry) => entry.trim()).filter((entry) => entry !== "");
  if (listed.length > ORIGINS_MAX) return wrong(`must list at most ${ORIGINS_MAX} origins`);
  const misfit = listed.findIndex((entry) => !isOrigin(entry));
  if (misfit === -1) return listed;
  return wrong(
    `must list origins as browsers send them, such as https://app.example.org: no path, no *, lower case, no ` +
      `default port (see entry ${misfit + 1})`,
  );
});

/** Absolute, without a trailing slash. */
export const publicUrl = fromText((text) => {
  const url = /^https?:\/\/[^\s\\?#@]+$/i.test(text) ? URL.parse(text) : null;
  if (url === null) {
    return wrong("must be a URL such as https://auth.example.org, without user, query or fragment");
  }
  if (url.protocol !== "https:" && !isLoopback(url.hostname)) {
    return wrong("must be https, except on loopback");
  }
  return url.href.replace(/\/+$/, "");
});

/** Key material; refuses what somebody made up. */
export const secretKey = fromText((text) => {
  if (new TextEncoder().encode(text).length < SECRET_BYTES_MIN) {
    return wrong("must have at least 32 bytes, for example from `openssl rand -base64 48`");
  }
  if (text.length > SECRET_LENGTH_MAX) return wrong(`must have at most ${SECRET_LENGTH_MAX} characters`);
  const isGuessable = new Set(text).size < SECRET_CHARACTERS_MIN || isRepetition(text) ||
    SECRET_PLACEHOLDER.test(text);
  return isGuessable ? wrong("can be guessed: make it with `openssl rand -base64 48`") : text;
});

/** What a scraper presents as its bearer (RFC 6750 §2.1). */
export const metricsToken = fromText((text) => {
  if (text.length < TOKEN_LENGTH_MIN || text.length > SECRET_LENGTH_MAX) {
    return wrong("must have 16 to 1000 characters, for example from `openssl rand -hex 24`");
  }
  return /^[\w.~+/-]+=*$/.test(text) ? text : wrong("must consist of letters, digits and - . _ ~ + / only");
});

/** `smtp://user:password@host:587`, `smtps://…` (port 465), `?tls=off`. */
export const smtpUrl = fromText<SmtpServer>((text) => {
  const url = /^smtps?:\/\/[^\s\p{C}]+$/u.test(text) ? URL.parse(text) : null;
  const host = url?.hostname.toLowerCase().replace(/^\[(.*)\]$/, "$1") ?? "";
  if (url === null || !isHost(host) || url.port === "0") {
    return wrong(
      "must be smtp://user:password@host:587 or smtps://user:password@host:465, special characters of user and " +
        "password percent-encoded",
    );
  }
  if (!["", "/"].includes(url.pathname) || !["", "?tls=off"].includes(url.search) || url.hash !== "") {
    return wrong("must end with the port, or with ?tls=off; percent-encode special characters before the @");
  }
  const user = decoded(url.username);
  const password = decoded(url.password);
  if (user === null || password === null) return wrong("has a stray % before the @: write it as %25");
  if ((user === "") !== (password === "")) return wrong("must have both a user and a password, or neither");
  const isImplicitTls = url.protocol === "smtps:";
  const hasTls = url.search === "";
  if (isImplicitTls && !hasTls) return wrong("must be smtp:// when it says ?tls=off");
  return {
    host,
    port: url.port === "" ? (isImplicitTls ? 465 : 587) : Number(url.port),
    user: user || null,
    password: password || null,
    isImplicitTls,
    hasTls,
    isLoopback: isLoopback(host),
  };
});

/** Plain decimal digits, both bounds included: no sign, space, exponent or leading zero. */
export function wholeNumber(min: number, max: number): z.ZodType<number, string> {
  return fromText((text) => {
    const value = /^(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : NaN;
    return value >= min && value <= max ? value : wrong(`must be a whole number from ${min} to ${max}`);
  });
}

/** What a reader answers instead of a value. */
interface Wrong {
  readonly fault: string;
}

function wrong(fault: string): Wrong {
  return { fault };
}

function fromText<Value>(read: (text: string) => Value | Wrong): z.ZodType<Value, string> {
  return z.string().transform((text, context) => {
    const value = read(text);
    if (!isWrong(value)) return value;
    context.addIssue(value.fault);
    return z.NEVER;
  });
}

function isWrong(value: unknown): value is Wrong {
  return typeof value === "object" && value !== null && "fault" in value;
}

/** An address or a name; of an IPv6 address without brackets. */
function isHost(text: string): boolean {
  return isIpv6(text) || (text.length <= 253 && /^[a-z\d_-]+(\.[a-z\d_-]+)*\.?$/i.test(text));
}

/** By the parser of URLs, which is there already: node:net takes a fifth of the launcher's time. */
function isIpv6(text: string): boolean {
  return /^[\da-f:.]+$/i.test(text) && URL.canParse(`http://[${text}]`);
}

function isMailAddress(text: string): boolean {
  return text.length <= 254 && /^[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[a-z\d]([a-z\d.-]*[a-z\d])?$/i.test(text);
}

function isOrigin(text: string): boolean {
  return /^https?:\/\/[^*]+$/.test(text) && URL.parse(text)?.origin === text;
}

/** `hostname` as `URL` gives it. */
function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || /^127(\.\d{1,3}){3}$/.test(hostname) || /^(::1|\[::1\])$/.test(hostname);
}

/** True when the text is one block, at most half its length, over and over. */
function isRepetition(text: string): boolean {
  for (let block = 1; block <= text.length / 2; block++) {
    if (text.startsWith(text.slice(block))) return true;
  }
  return false;
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
