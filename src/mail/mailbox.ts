// The mailbox of development: without an SMTP server mails end here, sealed like everything else, for a day. A page
// shows them, so that nobody needs a mail account to try the server out.

import type { Log } from "../log.ts";
import type { Secrets } from "../secrets.ts";
import { keys, type MailboxRecord } from "../store/keys.ts";
import type { Kv, Present } from "../store/kv.ts";
import type { Delivery, Mailer, OutgoingMail } from "./mailer.ts";

/** A mail as the mailbox shows it. */
export interface MailboxItem {
  readonly id: string;
  readonly kind: OutgoingMail["kind"];
  readonly to: string;
  readonly subject: string;
  /** The code that stands in it; null in notices. */
  readonly code: string | null;
  readonly text: string;
  readonly html: string;
  /** RFC 3339, UTC. */
  readonly sent_at: string;
}

export interface MailboxDeps {
  readonly kv: Kv;
  readonly secrets: Secrets;
  readonly nowMs: () => number;
  readonly log: Log;
}

const ITEMS_MAX = 100;
const ITEM_LIFE_MS = 24 * 60 * 60_000;

/** A mailer that delivers to the mailbox, and says so in the log. Never for production. */
export function createMailboxMailer(deps: MailboxDeps): Mailer {
  return { send: (mail) => putInMailbox(deps, mail) };
}

/** The newest mails first, at most 100. Those sealed under another SECRET_KEY are left out. */
export async function collectMailbox(kv: Kv, secrets: Secrets): Promise<MailboxItem[]> {
  const page = await kv.collect(keys.mailbox(), { limit: ITEMS_MAX, isNewestFirst: true });
  return page.entries.map((entry) => openItem(secrets, entry)).filter((item) => item !== null);
}

async function putInMailbox({ kv, secrets, nowMs, log }: MailboxDeps, mail: OutgoingMail): Promise<Delivery> {
  const { id, kind, to, subject, code, text, html } = mail;
  const item: MailboxItem = {
    id,
    kind,
    to,
    subject,
    code,
    text,
    html,
    sent_at: new Date(nowMs()).toISOString(),
  };
  const change = kv.change().set(keys.mailboxItem(id), {
    sealed: secrets.seal("mail", id, item),
    expiresAtMs: nowMs() + ITEM_LIFE_MS,
  });
  const page = await kv.collect(keys.mailbox(), { limit: ITEMS_MAX * 2, isNewestFirst: true });
  for (const { key } of page.entries.slice(ITEMS_MAX - 1)) change.remove(key);
  await change.commit();
  // Neither recipient nor subject, which has the code: who looks for them finds the mailbox.
  log.info("mail delivered to mailbox", { mail_id: id, kind });
  return { outcome: "sent" };
}

function openItem(secrets: Secrets, { key, value }: Present<MailboxRecord>): MailboxItem | null {
  const id = String(key.path.at(-1));
  // Sealed by putInMailbox only, which takes a MailboxItem.
  return secrets.unseal("mail", id, value.sealed) as MailboxItem | null;
}
