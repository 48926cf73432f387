// The worker against every way in which a mail server, the store or the process can fail: nothing lost, nothing
// twice but after a crash, and all that waits leaves soon after the server is back.

import assert from "node:assert/strict";
import { createSmtpMailer } from "../src/mail/smtp.ts";
import { type Change, type Kv, StoreUnavailable } from "../src/store/kv.ts";
import {
  DOWN,
  HOUR_MS,
  MINUTE_MS,
  openMailStore,
  openOutbox,
  queueMail,
  readMail,
  scriptMailer,
  SECOND_MS,
  SENT,
  settleAfter,
} from "./mail_setup.ts";
import { startReceiver, TEST_CERTIFICATE } from "./smtp_receiver.ts";

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
  assert(mostUnderWay <= 12, `${mostUnderWay} at once`);
});

Deno.test("a server that goes down and comes back gets every mail once", async () => {
  using store = await openMailStore();
  const first = await startReceiver();
  const { port } = first;
  const server = {
    host: "localhost",
    port,
    user: null,
    password: null,
    isImplicitTls: false,
    hasTls: true,
    isLoopback: true,
  };
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
  await outbox.settle();
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
