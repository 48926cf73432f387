// Delivery over SMTP (RFC 5321), by nodemailer. One connection a mail: the outbox alone decides on retries. TLS is
// required unless the settings say otherwise, the address parser never sees a stranger's text, and whatever happens
// comes back as data.

import {
  createTransport,
  type NodemailerError,
  type SendMailOptions,
  type SMTPTransportOptions,
} from "nodemailer";
import { openConnection } from "./connection.ts";
import { type Delivery, type Mailer, type OutgoingMail, SEND_DEADLINE_MS } from "./mailer.ts";

/** The mail server, as SMTP_URL gives it. */
export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  readonly user: string | null;
  readonly password: string | null;
  /** TLS from the first byte (`smtps://`), instead of STARTTLS. */
  readonly isImplicitTls: boolean;
  /** False for `?tls=off`: then everything goes in the clear. */
  readonly hasTls: boolean;
}

export interface SmtpOptions {
  /** Sender of every mail. */
  readonly from: { readonly name: string; readonly address: string };
  /** Whom to trust for this server, as PEM (default: the usual authorities, and DENO_CERT). */
  readonly ca?: string;
}

const GREETING_TIMEOUT_MS = 10_000;
const SILENCE_TIMEOUT_MS = 20_000;
const REASON_LENGTH_MAX = 200;
/** RFC 5321 §4.1.2, dot-string at domain: nothing in it means anything to an address parser. */
const PLAIN_ADDRESS = /^[\w!#$%&'*+\-/=?^`{|}~.]+@[\w.-]+$/;

/** What a mail server is to be told; which kind of mail it is, is none of its business. */
export type SmtpMail = Omit<OutgoingMail, "kind">;

export interface SmtpMailer extends Mailer {
  send(mail: SmtpMail): Promise<Delivery>;
  /** Connects and signs in, without a mail. Null when that works, or why it does not. */
  findFault(): Promise<string | null>;
}

/** A mailer that hands mails to `server`. */
export function createSmtpMailer(server: SmtpServer, options: SmtpOptions): SmtpMailer {
  const transport = createTransport(transportOptions(server, options));
  return {
    send: (mail) => attempt(transport, mail, options),
    findFault: () => transport.verify().then(() => null, reasonOf),
  };
}

async function attempt(
  transport: ReturnType<typeof createTransport>,
  mail: SmtpMail,
  { from }: SmtpOptions,
): Promise<Delivery> {
  if (!PLAIN_ADDRESS.test(mail.to)) {
    return { outcome: "refused", reason: "recipient is not one plain address" };
  }
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), SEND_DEADLINE_MS);
  try {
    await transport.sendMail({ ...messageOf(mail, from), signal: deadline.signal });
    return { outcome: "sent" };
  } catch (error) {
    return toDelivery(error, mail);
  } finally {
    clearTimeout(timer);
  }
}

function transportOptions(server: SmtpServer, { from, ca }: SmtpOptions): SMTPTransportOptions {
  const { host, port, user, password, isImplicitTls, hasTls } = server;
  return {
    host,
    port,
    secure: isImplicitTls,
    requireTLS: hasTls && !isImplicitTls,
    ignoreTLS: !hasTls,
    tls: { minVersion: "TLSv1.2", ...(ca === undefined ? {} : { ca }) },
    // The name for EHLO: without it the machine's own would be looked up, and shown.
    name: hostOf(from.address),
    greetingTimeout: GREETING_TIMEOUT_MS,
    socketTimeout: SILENCE_TIMEOUT_MS,
    getSocket: (_options, done) => {
      openConnection({ host, port }).then((connection) => done(null, { connection }), (error) => done(error));
    },
    ...(user === null ? {} : { auth: { user, pass: password ?? "" } }),
  };
}

function messageOf(mail: SmtpMail, from: SmtpOptions["from"]): SendMailOptions {
  return {
    messageId: `<${mail.id}@${hostOf(from.address)}>`,
    from: { name: from.name, address: from.address },
    to: { name: "", address: mail.to },
    envelope: { from: from.address, to: [{ name: "", address: mail.to }] },
    subject: mail.subject,
    text: mail.text,
    html: mail.html,
    // RFC 3834: no out-of-office answers.
    headers: { "Auto-Submitted": "auto-generated" },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** RFC 5321 §4.2.1: 4yz may pass, 5yz will not. Replies about the connection or the login say nothing of the mail. */
function toDelivery(error: unknown, mail: SmtpMail): Delivery {
  if (!(error instanceof Error)) return { outcome: "delayed", reason: "mailer failed" };
  const { code = "", command = "", responseCode, response, message }: NodemailerError = error;
  if (ABOUT_MAIL.has(command) && responseCode && !ABOUT_SERVER.has(responseCode)) {
    const reason = withoutPrivate(response ?? message, mail);
    return { outcome: responseCode >= 500 ? "refused" : "delayed", reason };
  }
  const reason = withoutPrivate(`${code} ${message}`.trim(), mail);
  if (!responseCode && UNSENDABLE.has(code)) return { outcome: "refused", reason };
  // A fault without a code is our own: it must not stop the mails behind this one.
  return { outcome: code ? "unreachable" : "delayed", reason };
}

/** For the operator alone: of a connection without a mail there is nothing private to tell. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/[\p{C}\s]+/gu, " ").slice(0, REASON_LENGTH_MAX);
}

const ABOUT_MAIL: ReadonlySet<string> = new Set(["MAIL FROM", "RCPT TO", "DATA"]);
/** Service going down; login or encryption wanted first. */
const ABOUT_SERVER: ReadonlySet<number> = new Set([421, 530, 534, 535, 538]);
/** Found out before anything was sent. */
const UNSENDABLE: ReadonlySet<string> = new Set(["EENVELOPE", "EMESSAGE"]);

/** Servers quote the recipient, at times the text. Whoever may read a reason is to see neither. */
function withoutPrivate(text: string, { to, code }: SmtpMail): string {
  const localPart = to.slice(0, to.lastIndexOf("@"));
  const words = [code, code?.replaceAll("-", ""), localPart].filter((word) =>
    word !== undefined && word !== null
  );
  return words
    .reduce(
      (rest, word) => rest.replaceAll(new RegExp(`(?<!\\w)${RegExp.escape(word)}(?!\\w)`, "gi"), "…"),
      text,
    )
    .replaceAll(/\S*@\S*/g, "…")
    .replaceAll(/[\p{C}\s]+/gu, " ")
    .slice(0, REASON_LENGTH_MAX);
}

function hostOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1);
}
