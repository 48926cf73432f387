// The worker's everyday: what it sends, when it tries again, what it gives up, and how it starts and stops.

import assert from "node:assert/strict";
import type { Delivery } from "../src/mail/mailer.ts";
import {
  HOUR_MS,
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
  START_MS,
} from "./mail_setup.ts";

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
