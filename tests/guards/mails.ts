// Guards around mails: that each leaves, once, while it is worth it, to whom it was meant, and tells nobody else.

import type { Guard } from "./guard.ts";

const CLAIMS = "src/store/mail_claims.ts";
const OUTBOX = "src/mail/outbox.ts";
const EXPIRY = "src/store/mail_expiry.ts";
const SMTP = "src/mail/smtp.ts";

export const mails: readonly Guard[] = [
  {
    name: "of many workers one claims a mail",
    file: "src/store/mails.ts",
    find: "kv.change().check(entry).set(entry.key, next);",
    put: "kv.change().set(entry.key, next);",
    red: ["store_mails_test.ts", "claimMail has one winner of fifty"],
  },
  {
    name: "a mail that is claimed is nobody else's until the lease is over",
    file: CLAIMS,
    find: "dueAtMs: kv.nowMs() + leaseMs,",
    put: "dueAtMs: kv.nowMs(),",
    red: ["store_mails_test.ts", "a claim ends with its lease, and its holder has no say any more"],
  },
  {
    name: "a worker whose lease is over has no say any more",
    file: CLAIMS,
    find: 'if (state !== "sending" || attempts !== claimed.attempts) return false;',
    put: "if (state !== claimed.state && attempts < 0) return false;",
    red: ["store_mails_test.ts", "a claim ends with its lease, and its holder has no say any more"],
  },
  {
    name: "a mail that the server took is not sent again when the store cannot be told",
    file: OUTBOX,
    find: "accepted.has(mail.id) ? SENT : await attempt(",
    put: "await attempt(",
    red: [
      "mail_outage_test.ts",
      "a store that fails after the server's yes makes no duplicate in the same process",
    ],
  },
  {
    name: "a duplicate can be recognised: every attempt has one Message-ID",
    file: SMTP,
    find: "    messageId: `<${mail.id}@${hostOf(from.address)}>`,\n",
    put: "",
    red: ["mail_smtp_test.ts", "smtp: a mail arrives over STARTTLS with login, its Message-ID from its id"],
  },
  {
    name: "a mail that cannot leave now is tried again",
    file: OUTBOX,
    find: 'case "delayed": {',
    put: 'case "delayed":\n      return buryMail(kv, mail, delivery.reason);\n    case null as never: {',
    red: [
      "mail_outbox_test.ts",
      "outbox retries a 4xx within 5 seconds, then ever later, every 5 minutes in the end",
    ],
  },
  {
    name: "a mail that is refused for good is not tried again",
    file: SMTP,
    find: 'responseCode >= 500 ? "refused" : "delayed"',
    put: '"delayed"',
    red: ["mail_smtp_test.ts", "smtp: what the server says of one mail decides on that mail"],
  },
  {
    name: "a mail server that is back is noticed within fifteen seconds",
    file: "src/mail/breaker.ts",
    find: "const PROBE_INTERVAL_MAX_MS = 15_000;",
    put: "const PROBE_INTERVAL_MAX_MS = 600_000;",
    red: [
      "mail_outage_test.ts",
      "500 mails of an outage of 20 minutes leave within 60 seconds of its end, each once",
    ],
  },
  {
    name: "a clock that is set back keeps no mail from a server that is back",
    file: "src/mail/breaker.ts",
    find: "waitMs > 0 && waitMs <= outage.intervalMs",
    put: "waitMs > 0",
    red: ["clock_test.ts", "clock: a step of an hour keeps no mail from a server that is back"],
  },
  {
    name: "a code that is dead is never mailed",
    file: EXPIRY,
    find:
      'if (mail.challenge !== null && !await isCodeGood(kv, mail.challenge)) return "code no longer good";',
    put: "",
    red: ["store_mails_test.ts", "claimMail drops a mail whose code is dead, and wipes it"],
  },
  {
    name: "a code that was replaced by another one is never mailed",
    file: EXPIRY,
    find: "challenge === null || challenge.codeNumber !== codeNumber",
    put: "challenge === null",
    red: ["store_mails_test.ts", "claimMail drops a mail whose code is dead, and wipes it"],
  },
  {
    name: "a code that was voided by its owner is never mailed",
    file: EXPIRY,
    find: "return user !== null && user.codeEpoch === challenge.codeEpoch;",
    put: "return true;",
    red: ["store_mails_test.ts", "claimMail drops a mail whose code is dead, and wipes it"],
  },
  {
    name: "a notice is not sent when nobody expects it any more",
    file: EXPIRY,
    find: "if (kv.nowMs() < mail.sendBeforeMs) return null;",
    put: "if (kv.nowMs() > 0) return null;",
    red: ["store_mails_test.ts", "a notice is given up after 24 hours, with the last reason"],
  },
  {
    name: "a mail that was never to be sent leaves no trace",
    file: CLAIMS,
    find: "  if (isForNobody(mail)) {\n    await discardMail(kv, entry);\n    return null;\n  }\n",
    put: "",
    red: ["store_mails_test.ts", "claimMail removes every trace of a mail that was never to be sent"],
  },
  {
    name: "recipient and code of a mail that was sent are wiped",
    file: CLAIMS,
    find: "    sealed: null,\n",
    put: "",
    red: ["store_mails_test.ts", "completeMail wipes the content and keeps the record for thirty days"],
  },
  {
    name: "the code of a mail that was given up is wiped",
    file: "src/store/mails.ts",
    find: "sealed: isForGood ? null : mail.sealed",
    put: "sealed: mail.sealed",
    red: ["store_mails_test.ts", "claimMail drops a mail whose code is dead, and wipes it"],
  },
  {
    name: "a mail is sealed while it waits",
    file: "src/store/mails.ts",
    find: 'sealed: secrets.seal("mail", id, letter),',
    put: 'sealed: secrets.seal("mail", id, letter),\n    ...{ letter },',
    red: ["store_mails_test.ts", "a mail shows neither recipient nor code in the store, whatever its state"],
  },
  {
    name: "what an admin sees of a mail is neither recipient nor content",
    file: "src/mail_view.ts",
    find: "  return {\n    id: mail.id,",
    put: "  return {\n    ...mail,\n    id: mail.id,",
    red: ["mails_test.ts", "listMails: shows each state as it is, and neither recipient nor content"],
  },
  {
    name: "a server that is alone takes over what a dead one was sending",
    file: CLAIMS,
    find: 'await replaceMail(kv, mail, { ...mail.value, state: "queued", dueAtMs: kv.nowMs() });',
    put: "",
    red: [
      "store_mails_test.ts",
      "releaseClaims makes what a dead worker had claimed due at once, and takes nothing from anybody else",
    ],
  },
  {
    name: "a recipient is one plain address",
    file: SMTP,
    find: "if (!PLAIN_ADDRESS.test(mail.to)) {",
    put: 'if (mail.to === "") {',
    // Behind it, the recipient is handed over as a value, which nobody parses.
    also: [{
      file: SMTP,
      find: 'to: { name: "", address: mail.to },',
      put: "to: mail.to,",
    }, {
      file: SMTP,
      find: 'envelope: { from: from.address, to: [{ name: "", address: mail.to }] },',
      put: "",
    }],
    red: ["mail_smtp_test.ts", "smtp: no text becomes a header or a recipient"],
  },
  {
    name: "no mail leaves without TLS, unless the settings say so",
    file: SMTP,
    find: "requireTLS: hasTls && !isImplicitTls,",
    put: "requireTLS: false,",
    red: ["mail_smtp_test.ts", "smtp: a server that cannot be used is unreachable, and gets no mail"],
  },
  {
    name: "a mail server whose certificate nobody vouches for gets no mail",
    file: SMTP,
    find: 'minVersion: "TLSv1.2",',
    put: 'minVersion: "TLSv1.2", rejectUnauthorized: false,',
    red: ["mail_smtp_test.ts", "smtp: a certificate that nobody vouches for is refused"],
  },
  {
    name: "why a mail did not leave tells neither recipient nor code",
    file: SMTP,
    find: '    .replaceAll(/\\S*@\\S*/g, "…")\n',
    put: "",
    red: ["mail_smtp_test.ts", "smtp: reasons name neither recipient nor code"],
  },
  {
    name: "no words of a stranger stand in a mail: a device is named in ours",
    file: "src/mail/letter.ts",
    find: '["With", deviceName(device)],',
    put: '["With", device ?? ""],',
    red: [
      "mail_content_test.ts",
      "HTML of the settings and of a request is escaped, and a stranger's words never appear",
    ],
  },
  {
    name: "a mail says of a new address no more than its owner needs to know it",
    file: "src/mail/content.ts",
    find: 'return `${email.slice(0, 1)}•••${email.slice(email.lastIndexOf("@"))}`;',
    put: "return email;",
    red: ["mail_content_test.ts", "a new address is shown masked"],
  },
  {
    name: "what stands in a mail is escaped",
    file: "src/mail/letter.ts",
    find: 'import { html } from "hono/html";',
    put: 'import { html as escaping, raw } from "hono/html";\n' +
      "const html = (parts: TemplateStringsArray, ...values: unknown[]) =>\n" +
      '  escaping(parts, ...values.map((value) => typeof value === "string" ? raw(value) : value));',
    red: [
      "mail_content_test.ts",
      "HTML of the settings and of a request is escaped, and a stranger's words never appear",
    ],
  },
  {
    name: "a connection that the server ends between two mails costs neither a retry",
    file: SMTP,
    find: "isUsed && !hasBegun && isAboutLine(fault)",
    put: "false",
    red: [
      "mail_backlog_test.ts",
      "a backlog leaves although the server ends each connection after a few mails, and costs no mail a retry",
    ],
  },
  {
    name: "a mail that the server may have is not handed over again at once",
    file: SMTP,
    find: "isUsed && !hasBegun &&",
    put: "isUsed &&",
    red: [
      "mail_backlog_test.ts",
      "a mail whose text was on its way when the connection ended is not sent again at once: the outbox decides",
    ],
  },
  {
    name: "codes leave before notices",
    file: "src/store/mails.ts",
    find: "challenge !== null && attempts === 0 ?",
    put: "attempts < 0 ?",
    red: ["mail_backlog_test.ts", "codes leave before notices, however many wait"],
  },
  {
    name: "a code that breaks every connection keeps no notice back",
    file: "src/store/mails.ts",
    find: "challenge !== null && attempts === 0 ?",
    put: "challenge !== null ?",
    red: [
      "mail_backlog_test.ts",
      "a code that breaks every connection does not hold up the notices behind it",
    ],
  },
];
