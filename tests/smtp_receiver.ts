// A real SMTP server on loopback for tests: it keeps what it accepts, and says no when a test wants it to.

import { Buffer } from "node:buffer";
import { SMTPServer } from "smtp-server";

/** A mail that the receiver accepted. */
export interface ReceivedMail {
  readonly from: string;
  readonly recipients: readonly string[];
  /** By lower-case name, unfolded. */
  readonly headers: ReadonlyMap<string, string>;
  readonly raw: string;
  readonly isTls: boolean;
  readonly user: string | null;
}

export interface SmtpReceiver extends AsyncDisposable {
  readonly port: number;
  readonly received: ReceivedMail[];
  /** Connections so far. */
  connections(): number;
  stop(): Promise<void>;
}

export interface ReceiverOptions {
  /** Default: STARTTLS offered. */
  readonly tls?: "starttls" | "implicit" | "none";
  /** Default: TEST_CERTIFICATE. */
  readonly certificate?: string;
  /** Then nothing goes without it. */
  readonly login?: { readonly user: string; readonly password: string };
  /** To come back where another receiver was. */
  readonly port?: number;
  /** The reply to say no with, `[451, "Try later"]`; null lets it pass. */
  readonly refuse?: (stage: "connect" | "sender" | "recipient" | "data", address: string) => Refusal | null;
}

export type Refusal = readonly [code: number, text: string];

/** smtp-server greets whoever comes so much later, by a timer that it keeps when they have gone before. */
const GREETING_DELAY_MS = 100;

/** Starts a receiver on a free port. */
export async function startReceiver(options: ReceiverOptions = {}): Promise<SmtpReceiver> {
  const { tls = "starttls", certificate = TEST_CERTIFICATE, login, port = 0, refuse = () => null } = options;
  const received: ReceivedMail[] = [];
  let sockets = 0;
  let connections = 0;
  const server = new SMTPServer({
    name: "localhost",
    key: TEST_KEY,
    cert: certificate,
    secure: tls === "implicit",
    authOptional: !login,
    disableReverseLookup: true,
    closeTimeout: 10,
    disabledCommands: [...(tls === "none" ? ["STARTTLS"] : []), ...(login ? [] : ["AUTH"])],
    onAuth({ username, password }, _session, done): void {
      const isRight = username === login?.user && password === login?.password;
      done(isRight ? null : replyError([535, "Wrong user or password"]), { user: username });
    },
    onConnect(session, done): void {
      connections++;
      done(replyError(refuse("connect", session.remoteAddress)));
    },
    onMailFrom: ({ address }, _session, done) => done(replyError(refuse("sender", address))),
    onRcptTo: ({ address }, _session, done) => done(replyError(refuse("recipient", address))),
    onData(stream, { envelope, secure, user }, done): void {
      const recipients = envelope.rcptTo.map(({ address }) => address);
      const chunks: Uint8Array[] = [];
      stream.on("data", (chunk) => chunks.push(chunk));
      stream.on("end", () => {
        const refusal = refuse("data", recipients[0] ?? "");
        if (refusal) return done(replyError(refusal));
        const raw = Buffer.concat(chunks).toString("utf8");
        const from = envelope.mailFrom ? envelope.mailFrom.address : "";
        received.push({ from, recipients, headers: headersOf(raw), raw, isTls: secure, user: user ?? null });
        done(null);
      });
    },
  });
  // A client that hangs up, or refuses our certificate, is no fault of the test.
  server.on("error", () => {});
  server.server.on("connection", () => sockets++);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.server.address();
  if (address === null || typeof address === "string") throw new Error("The receiver has no port");

  let stopped: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await new Promise<void>((resolve) => server.close(resolve));
    if (connections < sockets) await new Promise((resolve) => setTimeout(resolve, GREETING_DELAY_MS));
  };
  const stop = (): Promise<void> => stopped ??= close();
  return { port: address.port, received, connections: () => connections, stop, [Symbol.asyncDispose]: stop };
}

function replyError(refusal: Refusal | null): Error | null {
  if (refusal === null) return null;
  const [responseCode, text] = refusal;
  return Object.assign(new Error(text), { responseCode });
}

function headersOf(raw: string): Map<string, string> {
  const head = raw.slice(0, raw.indexOf("\r\n\r\n")).replaceAll(/\r\n[ \t]+/g, " ");
  return new Map(
    head.split("\r\n").map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
}

const TEST_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5ksi++gd9OKhbvgP
jxEu29nbG6iLfdAozfz8JcOFbFqhRANCAATO7SUMvoYXTPzGP9Q2N3t4P9GzZdsv
RNvgtpU6UcCLCDWymIhZIKrcbTGU64aZNhUb++HkBo/+fG5IXjJwdgBV
-----END PRIVATE KEY-----`;

/** Of localhost and 127.0.0.1, until 2120, signed by itself. For tests only, like its key. */
export const TEST_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBbzCCARSgAwIBAgIBATAKBggqhkjOPQQDAjAZMRcwFQYDVQQDDA5MYXRjaGtl
eSB0ZXN0czAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowGTEXMBUG
A1UEAwwOTGF0Y2hrZXkgdGVzdHMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATO
7SUMvoYXTPzGP9Q2N3t4P9GzZdsvRNvgtpU6UcCLCDWymIhZIKrcbTGU64aZNhUb
++HkBo/+fG5IXjJwdgBVo0swSTAMBgNVHRMBAf8EAjAAMBoGA1UdEQQTMBGCCWxv
Y2FsaG9zdIcEfwAAATAdBgNVHQ4EFgQUy9slrMDuLjdzJpjsBUO2DwVg5zcwCgYI
KoZIzj0EAwIDSQAwRgIhANIklX6VBbN5uxKxJ47as/GO3MmGda2Pml8EQUXpn0pA
AiEA7GZY94cUpFGxq3BtiLAtvlk8R42APdSgBJFaGSlQaos=
-----END CERTIFICATE-----`;

/** The same of mail.example.org, where nobody is on loopback. */
export const OTHER_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBbjCCARWgAwIBAgIBAjAKBggqhkjOPQQDAjAZMRcwFQYDVQQDDA5MYXRjaGtl
eSB0ZXN0czAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowGTEXMBUG
A1UEAwwOTGF0Y2hrZXkgdGVzdHMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATO
7SUMvoYXTPzGP9Q2N3t4P9GzZdsvRNvgtpU6UcCLCDWymIhZIKrcbTGU64aZNhUb
++HkBo/+fG5IXjJwdgBVo0wwSjAMBgNVHRMBAf8EAjAAMBsGA1UdEQQUMBKCEG1h
aWwuZXhhbXBsZS5vcmcwHQYDVR0OBBYEFMvbJazA7i43cyaY7AVDtg8FYOc3MAoG
CCqGSM49BAMCA0cAMEQCIEWOJOWF8QjC4VHE+NRuHE3nOp4lc9jJyAw6sgsdIiMR
AiA7KXgmjbO9SzKybAGfggZVZjaRHjgZfrKCLlUWa/CIGw==
-----END CERTIFICATE-----`;
