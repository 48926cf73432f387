// The mail server: does it answer, does its certificate hold, does the login work, and on request does a mail leave.

import type { Config } from "../config.ts";
import { newId } from "../id.ts";
import { createSmtpMailer } from "../mail/smtp.ts";
import { type Finding, toFix, well } from "./finding.ts";

/** `testAddress`: where a test mail is to go, or null for none. */
export async function examineMail(
  { smtp, mailFrom, appName, publicUrl }: Config,
  { testAddress }: { readonly testAddress: string | null },
): Promise<Finding[]> {
  if (!smtp) {
    const mailbox = well("mail", `no SMTP_URL: mails go to ${publicUrl}/dev/mailbox`);
    return testAddress === null ? [mailbox] : [mailbox, toFix("test mail", "not sent: set SMTP_URL")];
  }
  const mailer = createSmtpMailer(smtp, { from: mailFrom });
  const name = `${smtp.host}, port ${smtp.port}`;
  const fault = await mailer.findFault();
  if (fault !== null) return [toFix("mail", `${name}: ${fault}. See SMTP_URL; mails wait until it works`)];

  const privacy = smtp.isImplicitTls ? "TLS" : smtp.hasTls ? "STARTTLS" : "no TLS";
  const login = smtp.user === null ? "no login" : "login accepted";
  const server = well("mail", `${name}: answers, ${privacy}, ${login}; sender ${mailFrom.address}`);
  if (testAddress === null) return [server];

  const delivery = await mailer.send({
    id: newId(Date.now()),
    to: testAddress,
    subject: `Test mail from ${appName}`,
    text: `This is a test mail from ${appName} at ${publicUrl}. Its mail settings work.\n`,
    html: `<p>This is a test mail from ${appName} at ${publicUrl}. Its mail settings work.</p>`,
    code: null,
  });
  await mailer.hangUp();
  return [
    server,
    delivery.outcome === "sent"
      ? well("test mail", `taken by the server for ${testAddress}; see whether it arrives, and not as spam`)
      : toFix("test mail", `the server did not take it for ${testAddress}: ${delivery.reason}`),
  ];
}
