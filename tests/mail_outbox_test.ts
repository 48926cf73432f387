// The worker against every way in which a mail server, the store or the process can fail: nothing lost, nothing
// twice but after a crash, nothing dead sent, and all that waits leaves soon after the server is back.

import assert from "node:assert/strict";
import type { Delivery } from "../src/mail/mailer.ts";
import { createSmtpMailer } from "../src/mail/smtp.ts";
import { type Change, type Kv, StoreUnavailable } from "../src/store/kv.ts";
import {
  DOWN,
  HOUR_MS,
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
  START_MS,
} from "./mail_setup.ts";
import { startReceiver, TEST_CERTIFICATE } from "./smtp_receiver.ts";

const REFUSED: Delivery = { outcome: "refused", reason: "550 No such user" };
const DELAYED: Delivery = { outcome: "delayed", reason: "451 Try later" };

Deno.test("outbox sends what was committed, once, and wipes it", async () => {
  using store = await openMailStore();
  const mailer = scriptMailer();
  await using outbox = openOutbox(store, { mailer });
  const mailId = await queueCodeMail(store);
  outbox.wake();
  await outbox.settle();
  await outbox.settle();

  assert.equal(mailer.attempts.length, 1);
  const [mail] = mailer.sent;
  assert.equal(mail?.id, mailId);
  assert.equal(mail?.to, "mike@example.org");
  assert.equal(mail?.code, "012345");
  const record = await readMail(store, mailId);
  assert.deepEqual([record.state, record.sealed], ["sent", null]);
  assert(!JSON.stringify(store.logged).includes("mike"), "The log names the recipient");
});

Deno.test("outbox buries a mail at the first 5xx", async () => {
  using store = await openMailStore();
  const mailer = scriptMailer(() => REFUSED);
  await using outbox = openOutbox(store, { mailer });
  const mailId = await queueMail(store);
  for (const waitMs of [0, SECOND_MS, HOUR_MS]) await settleAfter(store, outbox, waitMs);

  assert.equal(mailer.attempts.length, 1);
  const record = await readMail(store, mailId);
  assert.deepEqual([record.state, record.reason], ["dead", "550 No such user"]);
});

Deno.test("outbox retries a 4xx within 5 seconds, then ever later, every 5 minutes in the end", async () => {
  using store = await openMailStore();
  const attemptedAtMs: number[] = [];
  const mailer = scriptMailer(() => {
    attemptedAtMs.push(store.nowMs());
    return attemptedAtMs.length < 11 ? DELAYED : SENT;
  });
  await using outbox = openOutbox(store, { mailer });
  const mailId = await queueMail(store);
  for (let second = 0; second < 40 * 60 && mailer.sent.length === 0; second++) {
    await settleAfter(store, outbox, SECOND_MS);
  }
  const waitsSeconds = attemptedAtMs.slice(1).map((atMs, index) =>
    (atMs - (attemptedAtMs[index] ?? 0)) / SECOND_MS
  );
  assert.deepEqual(waitsSeconds, [3, 6, 12, 24, 48, 96, 192, 300, 300, 300]);
  assert.equal((await readMail(store, mailId)).state, "sent");
});

Deno.test("outbox stops trying when the code is dead, and never sends it", async () => {
  using store = await openMailStore();
  let isUp = false;
  const mailer = scriptMailer(() => isUp ? SENT : DELAYED);
  await using outbox = openOutbox(store, { mailer });
  const mailId = await queueCodeMail(store);
  await outbox.settle();
  isUp = true;
  await settleAfter(store, outbox, 10 * MINUTE_MS);
  assert.deepEqual(mailer.sent, []);
  assert.equal((await readMail(store, mailId)).reason, "code no longer good");
});

Deno.test("500 mails of an outage of 20 minutes leave within 60 seconds of its end, each once", async () => {
  using store = await openMailStore();
  let isUp = false;
  let underWay = 0;
  let mostUnderWay = 0;
  const mailer = scriptMailer(async () => {
    mostUnderWay = Math.max(mostUnderWay, ++underWay);
    await Promise.resolve();
    underWay--;
    return isUp ? SENT : DOWN;
  });
  await using outbox = openOutbox(store, { mailer });
  await outbox.settle();
  const mailIds = new Set<string>();
  for (let second = 0; second < 20 * 60; second += 5) {
    if (mailIds.size < 500) { for (let i = 0; i < 5; i++) mailIds.add(await queueMail(store)); }
    await settleAfter(store, outbox, 5 * SECOND_MS);
  }
  assert.equal(mailIds.size, 500);
  // One probe in 15 seconds, a few more at the beginning.
  assert(mailer.attempts.length <= 20 * 60 / 15 + 10, `${mailer.attempts.length} attempts`);

  isUp = true;
  mostUnderWay = 0;
  const backAtMs = store.nowMs();
  while (mailer.sent.length < 500 && store.nowMs() < backAtMs + MINUTE_MS) {
    await settleAfter(store, outbox, SECOND_MS);
  }
  assert.equal(mailer.sent.length, 500);
  assert.deepEqual(new Set(mailer.sent.map(({ id }) => id)), mailIds);
  assert(mostUnderWay <= 4, `${mostUnderWay} at once`);
});

Deno.test("a server that goes down and comes back gets every mail once", async () => {
  using store = await openMailStore();
  const first = await startReceiver();
  const { port } = first;
  const server = { host: "localhost", port, user: null, password: null, isImplicitTls: false, hasTls: true };
  const from = { name: "Latchkey", address: "no-reply@auth.example.com" };
  const mailer = createSmtpMailer(server, { from, ca: TEST_CERTIFICATE });
  await using outbox = openOutbox(store, { mailer });
  const mailIds = [await queueMail(store)];
  await outbox.settle();
  assert.equal(first.received.length, 1);
  await first.stop();

  for (let i = 0; i < 12; i++) mailIds.push(await queueMail(store, { to: `user${i}@example.org` }));
  for (let minute = 0; minute < 10; minute++) await settleAfter(store, outbox, MINUTE_MS);

  await using second = await startReceiver({ port });
  await settleAfter(store, outbox, MINUTE_MS);
  const received = [...first.received, ...second.received].map(({ headers }) => headers.get("message-id"));
  assert.deepEqual(received.toSorted(), mailIds.map((id) => `<${id}@auth.example.com>`).toSorted());
  const events = store.logged.map(([event]) => event);
  assert.equal(events.filter((event) => event === "mail server unreachable").length, 1);
  assert.equal(events.filter((event) => event === "mail server back").length, 1);
});

Deno.test("one mail that breaks every connection does not hold up the others", async () => {
  using store = await openMailStore();
  const mailer = scriptMailer(({ to }) => to === "poison@example.org" ? DOWN : SENT);
  await using outbox = openOutbox(store, { mailer });
  await queueMail(store, { to: "poison@example.org" });
  for (let i = 0; i < 50; i++) await queueMail(store);
  for (let second = 0; second < 60; second++) await settleAfter(store, outbox, SECOND_MS);
  assert.equal(mailer.sent.length, 50);
});

Deno.test("a crash between the server's yes and our commit sends once more, under the same id", async () => {
  using store = await openMailStore();
  const mailer = scriptMailer();
  const mailId = await queueMail(store);
  const crashing = openOutbox(store, { mailer, kv: failCommits(store.kv, (commit) => commit > 1) });
  await crashing.settle();
  await crashing.stop();
  assert.equal((await readMail(store, mailId)).state, "sending");

  await using outbox = openOutbox(store, { mailer });
  await outbox.settle();
  assert.equal(mailer.sent.length, 1, "The lease still holds");
  await settleAfter(store, outbox, MINUTE_MS);
  await settleAfter(store, outbox, HOUR_MS);
  assert.deepEqual(mailer.sent.map(({ id }) => id), [mailId, mailId]);
  assert.equal((await readMail(store, mailId)).state, "sent");
});

Deno.test("a store that fails after the server's yes makes no duplicate in the same process", async () => {
  using store = await openMailStore();
  const mailer = scriptMailer();
  await using outbox = openOutbox(store, { mailer, kv: failCommits(store.kv, (commit) => commit === 2) });
  const mailId = await queueMail(store);
  await outbox.settle();
  assert.equal((await readMail(store, mailId)).state, "sending");
  await settleAfter(store, outbox, MINUTE_MS);
  assert.equal(mailer.sent.length, 1);
  assert.equal((await readMail(store, mailId)).state, "sent");
});

Deno.test("a store that is away for a while loses nothing and ends nothing", async () => {
  using store = await openMailStore();
  const mailer = scriptMailer();
  let isAway = true;
  const away = (): never => {
    throw new StoreUnavailable("The store did not answer");
  };
  const kv: Kv = {
    ...store.kv,
    collect: (prefix, options) =>
      isAway ? Promise.reject(new StoreUnavailable("away")) : store.kv.collect(prefix, options),
    find: (key) => isAway ? away() : store.kv.find(key),
  };
  await using outbox = openOutbox(store, { mailer, kv });
  await queueMail(store);
  await outbox.settle();
  assert.equal(mailer.attempts.length, 0);
  isAway = false;
  await outbox.settle();
  assert.equal(mailer.sent.length, 1);
});

Deno.test("two workers on one store send every mail once", async () => {
  using store = await openMailStore();
  const mailer = scriptMailer(() => new Promise((resolve) => setTimeout(resolve, 1, SENT)));
  for (let i = 0; i < 100; i++) await queueMail(store);
  await using one = openOutbox(store, { mailer });
  await using other = openOutbox(store, { mailer });
  await Promise.all([one.settle(), other.settle()]);
  assert.equal(mailer.attempts.length, 100);
  assert.equal(new Set(mailer.sent.map(({ id }) => id)).size, 100);
});

Deno.test("a mail committed while another one is under way does not wait for it", async () => {
  using store = await openMailStore();
  const slow = Promise.withResolvers<Delivery>();
  const quick = Promise.withResolvers<void>();
  const mailer = scriptMailer(({ to }) => {
    if (to === "slow@example.org") return slow.promise;
    quick.resolve();
    return SENT;
  });
  await using outbox = openOutbox(store, { mailer });
  await queueMail(store, { to: "slow@example.org" });
  outbox.wake();
  await queueMail(store);
  outbox.wake();
  await quick.promise;
  slow.resolve(SENT);
  await outbox.settle();
  assert.equal(mailer.sent.length, 2);
});

Deno.test("outbox finds by itself what nobody woke it for", async () => {
  using store = await openMailStore();
  const arrived = Promise.withResolvers<void>();
  let isUp = false;
  const mailer = scriptMailer(() => {
    if (isUp) arrived.resolve();
    return isUp ? SENT : DELAYED;
  });
  // Committed before the worker started, like what a crash leaves behind.
  await queueMail(store);
  await using outbox = openOutbox(store, { mailer });
  await outbox.settle();
  assert.equal(mailer.attempts.length, 1);
  isUp = true;
  store.clock.nowMs = START_MS + 3 * SECOND_MS - 1;
  await outbox.settle();
  store.clock.nowMs++;
  // The worker's own timer keeps no process alive, so this one has to.
  const limit = setTimeout(() => arrived.reject(new Error("Nobody looked")), 5 * SECOND_MS);
  await arrived.promise;
  clearTimeout(limit);
  await outbox.settle();
});

Deno.test("stop waits for what is under way and takes nothing new", async () => {
  using store = await openMailStore();
  const hold = Promise.withResolvers<Delivery>();
  const taken = Promise.withResolvers<void>();
  const mailer = scriptMailer(() => {
    taken.resolve();
    return hold.promise;
  });
  const outbox = openOutbox(store, { mailer });
  const mailId = await queueMail(store);
  outbox.wake();
  await taken.promise;
  const stopped = outbox.stop();
  const laterId = await queueMail(store);
  outbox.wake();
  hold.resolve(SENT);
  await stopped;
  assert.equal((await readMail(store, mailId)).state, "sent");
  assert.equal((await readMail(store, laterId)).state, "queued");
});

Deno.test("a mailer that throws costs that mail a retry, no more", async () => {
  using store = await openMailStore();
  let isBroken = true;
  const mailer = scriptMailer(() => {
    if (isBroken) throw new Error("mike@example.org");
    return SENT;
  });
  await using outbox = openOutbox(store, { mailer });
  const mailId = await queueMail(store);
  await outbox.settle();
  assert.equal((await readMail(store, mailId)).reason, "mailer failed");
  isBroken = false;
  await settleAfter(store, outbox, 3 * SECOND_MS);
  assert.equal((await readMail(store, mailId)).state, "sent");
});

function settleAfter(store: MailStore, outbox: { settle(): Promise<void> }, waitMs: number): Promise<void> {
  store.clock.nowMs += waitMs;
  return outbox.settle();
}

/** The store, but its `n`th commit from now on does not happen where `isFailing(n)`, and throws. */
function failCommits(kv: Kv, isFailing: (commit: number) => boolean): Kv {
  let commits = 0;
  return {
    ...kv,
    change(): Change {
      const change = kv.change();
      const commit = change.commit;
      change.commit = () =>
        isFailing(++commits) ? Promise.reject(new StoreUnavailable("The store did not answer")) : commit();
      return change;
    },
  };
}
