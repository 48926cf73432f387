// Delivery against a real SMTP server on loopback: what leaves, under which TLS, and what each refusal comes back as.

import assert from "node:assert/strict";
import type { LookupFunction } from "node:net";
import { openConnection } from "../src/mail/connection.ts";
import type { Delivery, OutgoingMail } from "../src/mail/mailer.ts";
import { createSmtpMailer } from "../src/mail/smtp.ts";
import type { SmtpServer } from "../src/settings.ts";
import { freePort } from "./process.ts";
import {
  OTHER_CERTIFICATE,
  type ReceiverOptions,
  type Refusal,
  startReceiver,
  TEST_CERTIFICATE,
} from "./smtp_receiver.ts";

const FROM = { name: "Latchkey", address: "no-reply@auth.example.com" };
const LOGIN = { user: "relay", password: "correct horse" };
const MAIL: OutgoingMail = {
  id: "01993c2e-0000-7000-8000-000000000001",
  kind: "registration_code",
  to: "mike@example.org",
  subject: "Confirm your address for Latchkey: 012345",
  text: "012345\n\nEnter this code – soon.\n",
  html: "<p>012345</p>\n",
  code: "012345",
};

const serverAt = (port: number, changes: Partial<SmtpServer> = {}): SmtpServer => ({
  host: "localhost",
  port,
  user: null,
  password: null,
  isImplicitTls: false,
  hasTls: true,
  isLoopback: true,
  ...changes,
});

async function send(server: SmtpServer, mail: OutgoingMail = MAIL): Promise<Delivery> {
  const mailer = createSmtpMailer(server, { from: FROM, ca: TEST_CERTIFICATE });
  const delivery = await mailer.send(mail);
  await mailer.hangUp();
  return delivery;
}

Deno.test("smtp: a mail arrives over STARTTLS with login, its Message-ID from its id", async () => {
  await using receiver = await startReceiver({ login: LOGIN });
  assert.deepEqual(await send(serverAt(receiver.port, LOGIN)), { outcome: "sent" });

  const [mail] = receiver.received;
  assert(mail);
  assert.equal(mail.isTls, true);
  assert.equal(mail.user, LOGIN.user);
  assert.equal(mail.from, FROM.address);
  assert.deepEqual(mail.recipients, [MAIL.to]);
  assert.equal(mail.headers.get("to"), MAIL.to);
  assert.equal(mail.headers.get("from"), `${FROM.name} <${FROM.address}>`);
  assert.equal(mail.headers.get("subject"), MAIL.subject);
  assert.equal(mail.headers.get("message-id"), `<${MAIL.id}@auth.example.com>`);
  assert.equal(mail.headers.get("auto-submitted"), "auto-generated");
});

Deno.test("smtp: mails leave over one connection, with one login, although one between them is refused", async () => {
  const refuse: ReceiverOptions["refuse"] = (stage, address) =>
    stage === "recipient" && address === "eve@example.org" ? [550, "No such user"] : null;
  await using receiver = await startReceiver({ login: LOGIN, refuse });
  const mailer = createSmtpMailer(serverAt(receiver.port, LOGIN), { from: FROM, ca: TEST_CERTIFICATE });
  const outcomes: string[] = [];
  for (const to of ["ada@example.org", "eve@example.org", "bob@example.org"]) {
    outcomes.push((await mailer.send({ ...MAIL, to })).outcome);
  }
  await mailer.hangUp();
  assert.deepEqual(outcomes, ["sent", "refused", "sent"]);
  assert.deepEqual(receiver.received.map(({ recipients }) => recipients), [["ada@example.org"], [
    "bob@example.org",
  ]]);
  assert.equal(receiver.connections(), 1);
  assert.equal((await mailer.send(MAIL)).outcome, "sent");
  await mailer.hangUp();
  assert.equal(receiver.connections(), 2);
});

Deno.test("smtp: a mail arrives over implicit TLS", async () => {
  await using receiver = await startReceiver({ tls: "implicit", login: LOGIN });
  assert.deepEqual(await send(serverAt(receiver.port, { ...LOGIN, isImplicitTls: true })), {
    outcome: "sent",
  });
  assert.equal(receiver.received[0]?.isTls, true);
});

Deno.test("smtp: tls=off sends in the clear, even where STARTTLS is offered", async () => {
  await using receiver = await startReceiver();
  assert.deepEqual(await send(serverAt(receiver.port, { hasTls: false })), { outcome: "sent" });
  assert.equal(receiver.received[0]?.isTls, false);
});

Deno.test("smtp: a server that cannot be used is unreachable, and gets no mail", async (t) => {
  const cases: { name: string; options: ReceiverOptions; server: Partial<SmtpServer>; reason: RegExp }[] = [
    { name: "no STARTTLS", options: { tls: "none" }, server: {}, reason: /^ETLS / },
    {
      name: "wrong password",
      options: { login: LOGIN },
      server: { ...LOGIN, password: "no" },
      reason: /^EAUTH .* 535 /,
    },
    { name: "login wanted, none given", options: { login: LOGIN }, server: {}, reason: / 530 / },
    { name: "TLS wanted, none spoken", options: {}, server: { isImplicitTls: true }, reason: /ETLS|ESOCKET/ },
    { name: "greeting 554", options: { refuse: () => [554, "Go away"] }, server: {}, reason: / 554 / },
    { name: "421 at the sender", options: refusing("sender", [421, "Closing"]), server: {}, reason: / 421 / },
    { name: "421 after the data", options: refusing("data", [421, "Closing"]), server: {}, reason: / 421 / },
  ];
  for (const { name, options, server, reason } of cases) {
    await t.step(name, async () => {
      await using receiver = await startReceiver(options);
      const delivery = await send(serverAt(receiver.port, server));
      assert.equal(delivery.outcome, "unreachable");
      assert.match(delivery.reason, reason);
      assert.deepEqual(receiver.received, []);
    });
  }
});

Deno.test("smtp: a certificate that nobody vouches for is refused", async () => {
  await using receiver = await startReceiver();
  const delivery = await createSmtpMailer(serverAt(receiver.port), { from: FROM }).send(MAIL);
  assert.equal(delivery.outcome, "unreachable");
  assert.deepEqual(receiver.received, []);
});

Deno.test("smtp: a certificate of another name is refused, whoever vouches for it", async (t) => {
  for (const tls of ["starttls", "implicit"] as const) {
    await t.step(tls, async () => {
      await using receiver = await startReceiver({ tls, certificate: OTHER_CERTIFICATE });
      const server = serverAt(receiver.port, { isImplicitTls: tls === "implicit" });
      const delivery = await createSmtpMailer(server, { from: FROM, ca: OTHER_CERTIFICATE }).send(MAIL);
      assert.equal(delivery.outcome, "unreachable");
      assert.match(delivery.reason, /certificate.*localhost/i);
      assert.deepEqual(receiver.received, []);
    });
  }
});

Deno.test("smtp: where there is no server the reason says why", async (t) => {
  const port = freePort();
  const cases = [
    { name: "closed port", host: "127.0.0.1", reason: `connect ECONNREFUSED 127.0.0.1:${port}` },
    // No resolver needs to be asked about an empty label.
    { name: "unknown name", host: "mail..invalid", reason: "getaddrinfo ENOTFOUND mail..invalid" },
  ];
  for (const { name, host, reason } of cases) {
    await t.step(name, async () => {
      const delivery = await send(serverAt(port, { host }));
      assert.deepEqual(delivery, { outcome: "unreachable", reason: `ECONNECTION ${reason}` });
    });
  }
});

Deno.test("smtp: of a name with several addresses the first that answers is taken", async (t) => {
  await using receiver = await startReceiver();
  const host = "mail.example.org";
  const lookup: LookupFunction = (_name, _options, done) =>
    done(null, [{ address: "::1", family: 6 }, { address: "127.0.0.1", family: 4 }]);
  await t.step("one of them", async () => {
    const connection = await openConnection({ host, port: receiver.port, lookup });
    assert.equal(connection.remoteAddress, "127.0.0.1");
    connection.destroy();
  });
  await t.step("none of them: each is named", async () => {
    const port = freePort();
    await assert.rejects(
      openConnection({ host, port, lookup }),
      new RegExp(`connect E[A-Z]+ ::1:${port}, connect ECONNREFUSED 127\\.0\\.0\\.1:${port}$`),
    );
  });
});

Deno.test("smtp: what the server says of one mail decides on that mail", async (t) => {
  const cases: { stage: "sender" | "recipient" | "data"; refusal: Refusal; outcome: Delivery["outcome"] }[] =
    [
      { stage: "sender", refusal: [550, "Sender refused"], outcome: "refused" },
      { stage: "recipient", refusal: [550, "No such user"], outcome: "refused" },
      { stage: "recipient", refusal: [552, "Mailbox full"], outcome: "refused" },
      { stage: "recipient", refusal: [450, "Greylisted"], outcome: "delayed" },
      { stage: "data", refusal: [554, "Spam"], outcome: "refused" },
      { stage: "data", refusal: [451, "Try later"], outcome: "delayed" },
    ];
  for (const { stage, refusal, outcome } of cases) {
    await t.step(`${refusal[0]} to the ${stage}`, async () => {
      await using receiver = await startReceiver(refusing(stage, refusal));
      const delivery = await send(serverAt(receiver.port));
      assert.deepEqual(delivery, { outcome, reason: `${refusal[0]} ${refusal[1]}` });
    });
  }
});

Deno.test("smtp: reasons name neither recipient nor code", async () => {
  const refusal: Refusal = [
    550,
    "<Mike@Example.org>: user MIKE unknown; text ‘012345’ rejected; see help@relay.example",
  ];
  await using receiver = await startReceiver(refusing("data", refusal));
  const delivery = await send(serverAt(receiver.port));
  assert.deepEqual(delivery, {
    outcome: "refused",
    reason: "550 … user … unknown; text ‘…’ rejected; see …",
  });
});

Deno.test("smtp: no text becomes a header or a recipient", async (t) => {
  const cases: { name: string; mail: Partial<OutgoingMail> }[] = [
    { name: "line break in the subject", mail: { subject: "Hello\r\nBcc: evil@evil.test\r\n\r\nBody" } },
    {
      name: "dots and SMTP commands in the text",
      mail: { text: "one\r\n.\r\nRCPT TO:<evil@evil.test>\r\n" },
    },
    { name: "two addresses in one", mail: { to: "mike@example.org, evil@evil.test" } },
    { name: "line break behind the address", mail: { to: "mike@example.org\r\nBcc: evil@evil.test" } },
    { name: "line break in the address", mail: { to: "mike@example.org>\r\nRCPT TO:<evil@evil.test" } },
    { name: "address in angle brackets", mail: { to: "mike@example.org <evil@evil.test>" } },
  ];
  for (const { name, mail } of cases) {
    await t.step(name, async () => {
      await using receiver = await startReceiver();
      const delivery = await send(serverAt(receiver.port), { ...MAIL, ...mail });
      for (const { recipients, headers } of receiver.received) {
        assert.deepEqual(recipients, [MAIL.to], delivery.outcome);
        assert.equal(headers.get("bcc"), undefined);
        assert.equal(headers.get("to"), MAIL.to);
      }
      assert.equal(delivery.outcome, mail.to ? "refused" : "sent");
      assert.equal(receiver.received.length, mail.to ? 0 : 1);
    });
  }
});

function refusing(stage: string, refusal: Refusal): ReceiverOptions {
  return { refuse: (at) => at === stage ? refusal : null };
}
