// One connection to the mail server, over which mails leave one after the other (RFC 5321): TLS and login happen once.
// Nodemailer speaks the protocol, and says in its errors what went wrong.

import { Readable } from "node:stream";
import SMTPConnection, { type Options } from "nodemailer/lib/smtp-connection";
import { openConnection } from "./connection.ts";

/** What SMTP needs of a mail. */
export interface ComposedMail {
  readonly envelope: { readonly from: string; readonly to: string[] };
  readonly message: Uint8Array;
}

/** What came of handing a mail over. */
export interface HandOver {
  /** Nodemailer's error; null when the server took it. */
  readonly fault: unknown;
  /** Whether the text of the mail was on its way: only then may the server have it in spite of a fault. */
  readonly hasBegun: boolean;
}

export interface SmtpLine {
  /** False once either side has ended it. */
  isOpen(): boolean;
  /** One at a time. An abort ends the line. */
  send(mail: ComposedMail, signal: AbortSignal): Promise<HandOver>;
  /** Makes room for the next mail after one that was refused. False when that fails: then the line has ended. */
  reset(signal: AbortSignal): Promise<boolean>;
  /** Says goodbye, and waits a second for the answer. */
  quit(): Promise<void>;
  close(): void;
}

export interface LineOptions extends Options {
  readonly host: string;
  readonly port: number;
  readonly login: { readonly user: string; readonly pass: string } | null;
}

const QUIT_TIMEOUT_MS = 1_000;

/** Connects, and signs in where the server knows of logins. Rejects with nodemailer's error, or with that of the socket. */
export async function openLine({ login, ...options }: LineOptions): Promise<SmtpLine> {
  const connection = await openConnection(options);
  const smtp = new SMTPConnection({ ...options, connection });
  return await new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      smtp.close();
      reject(error);
    };
    // It stays: later faults come a second time, with what was under way.
    smtp.on("error", fail);
    smtp.connect((error) => {
      if (error) return fail(error);
      if (login === null || !smtp.allowsAuth) return resolve(lineOf(smtp));
      smtp.login({ ...login }, (error) => error ? fail(error) : resolve(lineOf(smtp)));
    });
  });
}

function lineOf(smtp: SMTPConnection): SmtpLine {
  const isOpen = (): boolean => !smtp.destroyed;
  return {
    isOpen,
    close: () => smtp.close(),
    async send({ envelope, message }, signal) {
      let hasBegun = false;
      // Nobody reads it before the server has asked for the text.
      const text = Readable.from(
        (function* () {
          hasBegun = true;
          yield message;
        })(),
        { objectMode: false },
      );
      const fault = await unlessAborted(smtp, signal, (done) => {
        smtp.send({ from: envelope.from, to: envelope.to }, text, done);
      });
      return { fault, hasBegun };
    },
    async reset(signal) {
      const fault = await unlessAborted(smtp, signal, (done) => {
        smtp.once("end", () => done(new Error("Connection closed")));
        smtp.reset(done);
      });
      if (fault !== null) smtp.close();
      return fault === null;
    },
    quit: () =>
      new Promise((resolve) => {
        if (!isOpen()) return resolve();
        const timer = setTimeout(() => smtp.close(), QUIT_TIMEOUT_MS);
        smtp.once("end", () => {
          clearTimeout(timer);
          resolve();
        });
        smtp.quit();
      }),
  };
}

/** The error that `work` is done with, or null; an abort ends the line, and is that error. */
function unlessAborted(
  smtp: SMTPConnection,
  signal: AbortSignal,
  work: (done: (error: unknown) => void) => void,
): Promise<unknown> {
  return new Promise((resolve) => {
    const abort = (): void => {
      resolve(signal.reason);
      smtp.close();
    };
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    work((error) => {
      signal.removeEventListener("abort", abort);
      resolve(error ?? null);
    });
  });
}
