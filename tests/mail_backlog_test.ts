// Many mails at once: they leave soon over few connections, whatever the mail server's patience, codes first.

import assert from "node:assert/strict";
import { createSmtpMailer } from "../src/mail/smtp.ts";
import {
  DOWN,
  type MailStore,
  MINUTE_MS,
  openMailStore,
  openOutbox,
  queueCodeMail,
  queueMail,
  readMail,
  scriptMailer,
  SECOND_MS,
  SENT,
  settleAfter,
} from "./mail_setup.ts";
import { eventually } from "./process.ts";
import { type SlowSmtpOptions, startSlowSmtp } from "./slow_smtp.ts";

/** So many leave at once. */
const LANES_MAX = 12;

Deno.test("a backlog leaves fast enough for 1,800 mails a minute, though each reply of the server takes 30 ms", async () => {
  const { seconds, connections } = await sendBacklog({ replyDelayMs: 30 }, { count: 120 });
  assert(120 / seconds >= 1_800 / 60, `${120 / seconds} a second`);
  assert(connections.count <= LANES_MAX, `${connections.count} connections`);
});

Deno.test("a backlog leaves although the server ends each connection after a few mails, and costs no mail a retry", async (t) => {
  for (const end of ["421", "452", "close"] as const) {
    await t.step(end, async () => {
      const { connections } = await sendBacklog({ mailsMax: { count: 3, end } }, { count: 100 });
      assert(connections.count >= 100 / 3, `${connections.count} connections`);
    });
  }
});

Deno.test("a mail whose text was on its way when the connection ended is not sent again at once: the outbox decides", async () => {
  await using server = startSlowSmtp({ mailsMax: { count: 1, end: "silence" } });
  const mailer = mailerFor(server.port);
  const outcomes: string[] = [];
  for (const to of ["ada@example.org", "bob@example.org"]) {
    const mail = { id: crypto.randomUUID(), to, subject: "One", text: "Two", html: "<p>Two", code: null };
    outcomes.push((await mailer.send(mail)).outcome);
  }
  await mailer.hangUp();
  assert.deepEqual(outcomes, ["sent", "unreachable"]);
  assert.deepEqual(server.taken, ["ada@example.org", "bob@example.org"]);
});

Deno.test("a backlog leaves over as few connections as the server takes at once, and that is no outage", async () => {
  const { connections } = await sendBacklog({ connectionsMax: 2, replyDelayMs: 1 }, {
    count: 100,
    attemptsMax: LANES_MAX,
  });
  assert.deepEqual(connections, { count: 2, mostAtOnce: 2 });
});

Deno.test("stop ends the connections within a second or two, though the server does not say goodbye", async () => {
  await using server = startSlowSmtp({ isRude: true });
  using store = await openMailStore();
  await queueMail(store);
  const outbox = openOutbox(store, { mailer: mailerFor(server.port) });
  await eventually("the mail arrives", () => server.taken.length === 1);
  const startedAt = performance.now();
  await outbox.stop();
  assert(performance.now() - startedAt < 2_500);
});

Deno.test("codes leave before notices, however many wait", async () => {
  using store = await openMailStore();
  for (let i = 0; i < 200; i++) await queueMail(store);
  store.clock.nowMs += SECOND_MS;
  const codeId = await queueCodeMail(store);
  const mailer = scriptMailer();
  await using outbox = openOutbox(store, { mailer });
  await outbox.settle();
  assert.equal(mailer.attempts.length, 201);
  const place = mailer.attempts.findIndex(({ id }) => id === codeId);
  assert(place < LANES_MAX, `${place} mails left before`);
});

Deno.test("a code that breaks every connection does not hold up the notices behind it", async () => {
  using store = await openMailStore();
  const poisonId = await queueCodeMail(store);
  for (let i = 0; i < 20; i++) await queueMail(store);
  let isUp = false;
  const mailer = scriptMailer(({ id }) => isUp && id !== poisonId ? SENT : DOWN);
  await using outbox = openOutbox(store, { mailer });
  await outbox.settle();
  isUp = true;
  for (let second = 0; second < 30; second++) await settleAfter(store, outbox, SECOND_MS);
  assert.equal(mailer.sent.length, 20);
  await settleAfter(store, outbox, 10 * MINUTE_MS);
  assert.equal((await readMail(store, poisonId)).state, "dead");
});

/** Everything leaves once, at the first attempt but for `attemptsMax` of them, and the server never counts as away. */
async function sendBacklog(
  options: SlowSmtpOptions,
  { count, attemptsMax = 0 }: { readonly count: number; readonly attemptsMax?: number },
) {
  await using server = startSlowSmtp(options);
  using store = await openMailStore();
  const recipients = Array.from({ length: count }, (_, index) => `user${index}@example.org`);
  for (const to of recipients) await queueMail(store, { to });
  const startedAt = performance.now();
  await using outbox = openOutbox(store, { mailer: mailerFor(server.port) });
  await outbox.settle();
  const seconds = (performance.now() - startedAt) / 1000;

  assert.deepEqual(server.taken.toSorted(), recipients.toSorted());
  assert(!eventsOf(store).includes("mail server unreachable"));
  const repeated = eventsOf(store).filter((event) => event === "mail put off").length;
  assert(repeated <= attemptsMax, `${repeated} put off`);
  return { seconds, connections: server.connections() };
}

function mailerFor(port: number): ReturnType<typeof createSmtpMailer> {
  const server = {
    host: "127.0.0.1",
    port,
    user: null,
    password: null,
    isImplicitTls: false,
    hasTls: false,
    isLoopback: true,
  };
  return createSmtpMailer(server, { from: { name: "Latchkey", address: "no-reply@auth.example.com" } });
}

function eventsOf(store: MailStore): string[] {
  return store.logged.map(([event]) => event);
}
