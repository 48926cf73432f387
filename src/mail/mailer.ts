// What the outbox needs of whatever delivers its mails: the SMTP server, or in development the mailbox.

import type { MailContent } from "./content.ts";

/** One mail, ready to go. */
export interface OutgoingMail {
  /** The record's id: every attempt carries the same, so that a duplicate can be recognised. */
  readonly id: string;
  readonly kind: MailContent["kind"];
  /** One canonical address. */
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /** The code that stands in it, as spelled there. */
  readonly code: string | null;
}

/** What came of one attempt. Reasons name neither recipient nor code. */
export type Delivery =
  | { readonly outcome: "sent" }
  /** Final: no further attempt. */
  | { readonly outcome: "refused"; readonly reason: string }
  /** Not now; about this mail only. */
  | { readonly outcome: "delayed"; readonly reason: string }
  /** The server is there, and takes no more at once than it has: fewer of us get further. */
  | { readonly outcome: "crowded"; readonly reason: string }
  /** Nothing gets through at present, this mail or any other. */
  | { readonly outcome: "unreachable"; readonly reason: string };

export interface Mailer {
  /** Ends within `SEND_DEADLINE_MS`. A rejection counts as `delayed`. */
  send(mail: OutgoingMail): Promise<Delivery>;
  /** Nothing more is to be sent for now: gives up what was kept for the next mail. */
  hangUp?(): Promise<void>;
}

/** The longest that one attempt may take: the lease of a claim is longer. */
export const SEND_DEADLINE_MS = 40_000;
