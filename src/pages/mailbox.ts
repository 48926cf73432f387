// The page of the development mailbox: every mail with its code large enough to copy, and as its reader will see it.

import type { MailService } from "../mail/letter.ts";
import type { MailboxItem } from "../mail/mailbox.ts";
import { type Html, html, renderPage } from "./page.ts";

/** The whole page. Answer it with pagePolicy(): the previews run nothing and fetch nothing. */
export function renderMailboxPage({ appName, publicUrl }: MailService, mails: readonly MailboxItem[]): Html {
  return renderPage({
    appName,
    title: "Mailbox",
    lead: "No mail server is set, so mails end here instead of leaving: the newest hundred, for a day.",
    body: mails.length === 0 ? emptyMailbox(publicUrl) : html`${mails.map(mailCard)}`,
  });
}

function mailCard({ to, subject, code, text, html: preview, sent_at }: MailboxItem): Html {
  return html`
    <article class="card">
      <div class="row quiet">
        <span>To ${to}</span>
        <time datetime="${sent_at}">${sent_at.slice(0, 10)} ${sent_at.slice(11, 19)} UTC</time>
      </div>
      <h2>${subject}</h2>
      ${code ? html`<div class="code">${code}</div>` : ""}
      <pre class="letter">${text}</pre>
      <details>
        <summary>HTML</summary>
        <iframe sandbox title="${subject}" srcdoc="${preview}"></iframe>
      </details>
    </article>
  `;
}

function emptyMailbox(publicUrl: string): Html {
  const command = `curl ${publicUrl}/api/v1/auth/register \\
  --json '{
    "email": "you@example.org",
    "password": "a long phrase of yours"
  }'`;
  return html`
    <div class="card">
      <h2>No mail yet</h2>
      <p>Register an account, for example. Its code will be here when you reload this page.</p>
      <pre>${command}</pre>
    </div>
  `;
}
