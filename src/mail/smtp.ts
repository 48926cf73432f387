// Delivery over SMTP (RFC 5321), by nodemailer. A connection serves many mails, and the outbox alone decides on retries.
// TLS is required unless the settings say otherwise, the address parser never sees a stranger's text, and whatever
// happens comes back as data.

import { createTransport, type NodemailerError, type SendMailOptions } from "nodemailer";
import type { MailSender, SmtpServer } from "../settings.ts";
import { type ComposedMail, type LineOptions, openLine } from "./smtp_line.ts";
import { createLines, type SmtpLines, type TakenLine } from "./smtp_lines.ts";
import { type Delivery, type Mailer, type OutgoingMail, SEND_DEADLINE_MS } from "./mailer.ts";

export interface SmtpOptions {
  /** Sender of every mail. */
  readonly from: MailSender;
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
  hangUp(): Promise<void>;
  /** Connects and signs in, without a mail. Null when that works, or why it does not. */
  findFault(): Promise<string | null>;
}

/** A mailer that hands mails to `server`. */
export function createSmtpMailer(server: SmtpServer, options: SmtpOptions): SmtpMailer {
  const open = () => openLine(lineOptions(server, options));
  const lines = createLines(open);
  const composer = createComposer();
  return {
    send: (mail) => attempt({ lines, composer }, mail, options),
    hangUp: () => lines.hangUp(),
    findFault: () => open().then((line) => line.quit()).then(() => null, reasonOf),
  };
}

async function attempt(
  { lines, composer }: { readonly lines: SmtpLines; readonly composer: Composer },
  mail: SmtpMail,
  { from }: SmtpOptions,
): Promise<Delivery> {
  if (!PLAIN_ADDRESS.test(mail.to)) {
    return { outcome: "refused", reason: "recipient is not one plain address" };
  }
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(timeout()), SEND_DEADLINE_MS);
  try {
    const composed = await compose(composer, messageOf(mail, from));
    const fault = await handOver(lines, composed, deadline.signal);
    return fault === null ? { outcome: "sent" } : toDelivery(fault, mail);
  } catch (error) {
    const delivery = toDelivery(error, mail);
    // No further line, while there are some: that is no outage.
    const isCrowded = delivery.outcome === "unreachable" && lines.hasOpen();
    return isCrowded ? { ...delivery, outcome: "crowded" } : delivery;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Null when the server took it, or the fault. Rejects when there is no line. A server may end a line between two mails:
 * that costs the next one nothing while the server has nothing of it, for it leaves over a line of its own then.
 */
async function handOver(lines: SmtpLines, mail: ComposedMail, signal: AbortSignal): Promise<unknown> {
  const { fault, mayRepeat } = await sendOver(lines, await lines.take(signal), { mail, signal });
  if (!mayRepeat) return fault;
  const fresh = await lines.take(signal, { isFresh: true });
  return (await sendOver(lines, fresh, { mail, signal })).fault;
}

async function sendOver(
  lines: SmtpLines,
  { line, isUsed }: TakenLine,
  { mail, signal }: { readonly mail: ComposedMail; readonly signal: AbortSignal },
): Promise<{ readonly fault: unknown; readonly mayRepeat: boolean }> {
  const { fault, hasBegun } = await line.send(mail, signal);
  if (fault === null || isAboutMail(fault) && await line.reset(signal)) lines.putBack(line);
  else line.close();
  return { fault, mayRepeat: fault !== null && isUsed && !hasBegun && isAboutLine(fault) };
}

async function compose(composer: Composer, message: SendMailOptions): Promise<ComposedMail> {
  const { envelope, message: bytes } = await composer.sendMail(message);
  if (!(bytes instanceof Uint8Array)) throw new Error("A buffered mail is bytes");
  return { envelope: { from: envelope.from || "", to: envelope.to }, message: bytes };
}

function lineOptions(server: SmtpServer, { from, ca }: SmtpOptions): LineOptions {
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
    login: user === null ? null : { user, pass: password ?? "" },
  };
}

/** It sends nothing: it gives the mail as the bytes that are to be sent. */
function createComposer() {
  return createTransport({ streamTransport: true, buffer: true, newline: "windows" });
}

type Composer = ReturnType<typeof createComposer>;

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
  const { code = "", responseCode, response, message }: NodemailerError = error;
  if (isAboutMail(error) && responseCode) {
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

/** What the server says of the mail, and neither of the connection nor of the login. */
function isAboutMail(error: unknown): boolean {
  const { command = "", responseCode }: NodemailerError = error instanceof Error ? error : new Error();
  return ABOUT_MAIL.has(command) && Boolean(responseCode) && !ABOUT_SERVER.has(responseCode ?? 0);
}

/** Or of how many mails one connection is good for: some tell so at the sender, which is always the same. */
function isAboutLine(error: unknown): boolean {
  const { command, responseCode = 0 }: NodemailerError = error instanceof Error ? error : new Error();
  return !isAboutMail(error) || command === "MAIL FROM" && responseCode < 500;
}

function timeout(): Error {
  return Object.assign(new Error("Timeout"), { code: "ETIMEDOUT" });
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
