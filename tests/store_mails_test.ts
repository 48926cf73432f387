// The outbox's records: written in somebody's commit, claimed by one, and never lost or readable in between.

import assert from "node:assert/strict";
import { keys, type MailRecord } from "../src/store/keys.ts";
import type { Kv } from "../src/store/kv.ts";
import { OPERATOR } from "../src/store/client.ts";
import { addMail, openMail, reviveMail } from "../src/store/mails.ts";
import {
  buryMail,
  claimMail,
  collectDueMails,
  completeMail,
  findNextDueMs,
  releaseClaims,
  requeueMail,
} from "../src/store/mail_claims.ts";
import { removeMailsOf } from "../src/store/mail_lists.ts";
import {
  CODE,
  HOUR_MS,
  MINUTE_MS,
  NOTICE,
  openMailStore,
  queueCodeMail,
  queueMail,
  readMail,
  START_MS,
} from "./mail_setup.ts";

const LEASE = { leaseMs: MINUTE_MS };

async function claimFirst(kv: Kv): Promise<MailRecord | null> {
  const [due] = await collectDueMails(kv, 10);
  return due ? await claimMail(kv, due, LEASE) : null;
}

async function claimed(kv: Kv): Promise<MailRecord> {
  const mail = await claimFirst(kv);
  assert(mail, "Nothing could be claimed");
  return mail;
}

Deno.test("addMail queues a mail only with the commit it was added to", async () => {
  using store = await openMailStore();
  const { kv } = store;
  const stale = await kv.find(keys.probe());
  await kv.change().set(keys.probe(), { atMs: 1 }).commit();
  const change = kv.change().check(stale);
  addMail(store, change, { to: "mike@example.org", userId: null, content: NOTICE });
  assert.equal(await change.commit(), false);
  assert.deepEqual(await collectDueMails(kv, 10), []);
  assert.equal(await findNextDueMs(kv), null);

  const mailId = await queueMail(store);
  assert.deepEqual(await collectDueMails(kv, 10), [{ mailId, dueAtMs: START_MS }]);
});

Deno.test("a mail shows neither recipient nor code in the store, whatever its state", async () => {
  using store = await openMailStore();
  const { kv, db, secrets } = store;
  await queueCodeMail(store);
  const assertSealed = async (): Promise<void> => {
    let seen = "";
    for await (const { key, value } of db.list({ prefix: [] })) {
      seen += JSON.stringify(
        [key, value],
        (_, part) => part instanceof Uint8Array ? bytesAsText(part) : part,
      );
    }
    for (const secret of ["mike", "example.org", "012345"]) {
      assert(!seen.includes(secret), `${secret} is readable`);
    }
  };
  await assertSealed();
  const mail = await claimed(kv);
  assert.deepEqual(openMail(secrets, mail), { to: "mike@example.org", content: CODE });
  await assertSealed();
  await completeMail(kv, mail);
  await assertSealed();
});

Deno.test("claimMail has one winner of fifty", async () => {
  using store = await openMailStore();
  await queueMail(store);
  const claims = await Promise.all(Array.from({ length: 50 }, () => claimFirst(store.kv)));
  assert.equal(claims.filter((claim) => claim !== null).length, 1);
});

Deno.test("a claim ends with its lease, and its holder has no say any more", async () => {
  using store = await openMailStore();
  const { kv, clock } = store;
  await queueMail(store);
  const first = await claimed(kv);
  assert.equal(first.state, "sending");
  assert.equal(await claimFirst(kv), null);
  assert.equal(await findNextDueMs(kv), START_MS + MINUTE_MS);

  clock.nowMs += MINUTE_MS;
  const second = await claimed(kv);
  assert.equal(second.attempts, 2);
  assert.equal(await completeMail(kv, first), false);
  assert.equal(await buryMail(kv, first, "too late"), false);
  assert.equal((await readMail(store, second.id)).state, "sending");
  assert.equal(await completeMail(kv, second), true);
});

Deno.test("completeMail wipes the content and keeps the record for thirty days", async () => {
  using store = await openMailStore();
  const { kv, clock } = store;
  const mailId = await queueMail(store);
  assert.equal(await completeMail(kv, await claimed(kv)), true);

  const mail = await readMail(store, mailId);
  assert.equal(mail.state, "sent");
  assert.equal(mail.sealed, null);
  assert.equal(mail.sentAtMs, START_MS);
  assert.equal(await findNextDueMs(kv), null);
  clock.nowMs += 30 * 24 * HOUR_MS;
  assert.equal((await kv.find(keys.mail(mailId))).value?.state, "sent");
  clock.nowMs += 24 * HOUR_MS;
  assert.equal((await kv.find(keys.mail(mailId))).value, null);
});

Deno.test("requeueMail puts a mail off until it is due again", async () => {
  using store = await openMailStore();
  const { kv, clock } = store;
  const mailId = await queueMail(store);
  await requeueMail(kv, await claimed(kv), { reason: "451 Try later", delayMs: 3000, retryDelayMs: 3000 });
  assert.deepEqual(await collectDueMails(kv, 10), []);
  assert.equal((await readMail(store, mailId)).reason, "451 Try later");
  clock.nowMs += 3000;
  assert.equal((await claimed(kv)).id, mailId);
});

Deno.test("claimMail drops a mail whose code is dead, and wipes it", async (t) => {
  const cases: { name: string; kill: (kv: Kv, clock: { nowMs: number }) => Promise<unknown> | void }[] = [
    { name: "the challenge is gone", kill: (kv) => kv.change().remove(keys.challenge("challenge")).commit() },
    { name: "a resend replaced it", kill: (kv) => changeChallenge(kv, { codeNumber: 2 }) },
    { name: "it was guessed at too often", kill: (kv) => changeChallenge(kv, { wrongGuesses: 5 }) },
    {
      name: "the account's codes were voided",
      kill: (kv) => changeChallenge(kv, { userId: "mike", codeEpoch: 7 }),
    },
    { name: "it expired", kill: (_, clock) => void (clock.nowMs += 10 * MINUTE_MS) },
  ];
  for (const { name, kill } of cases) {
    await t.step(name, async () => {
      using store = await openMailStore();
      const mailId = await queueCodeMail(store);
      await kill(store.kv, store.clock);
      assert.equal(await claimFirst(store.kv), null);
      const mail = await readMail(store, mailId);
      assert.deepEqual([mail.state, mail.reason, mail.sealed], ["dead", "code no longer good", null]);
      assert.equal(await findNextDueMs(store.kv), null);
    });
  }
});

Deno.test("claimMail removes every trace of a mail that was never to be sent", async () => {
  using store = await openMailStore();
  const { kv, db } = store;
  await queueMail(store, { challenge: { hash: "challenge", codeNumber: 0 } });
  assert.equal(await claimFirst(kv), null);
  assert.deepEqual(await Array.fromAsync(db.list({ prefix: [] })), []);
});

Deno.test("a notice is given up after 24 hours, with the last reason", async () => {
  using store = await openMailStore();
  const { kv, clock } = store;
  const mailId = await queueMail(store);
  await requeueMail(kv, await claimed(kv), { reason: "451 Try later", delayMs: 3000, retryDelayMs: 3000 });
  clock.nowMs += 24 * HOUR_MS;
  assert.equal(await claimFirst(kv), null);
  const mail = await readMail(store, mailId);
  assert.deepEqual([mail.state, mail.reason], ["dead", "given up: 451 Try later"]);
});

Deno.test("reviveMail queues a dead notice again, and nothing else", async () => {
  using store = await openMailStore();
  const { kv, clock, secrets } = store;
  assert.equal(await reviveMail(store, "nothing", OPERATOR), null);
  const mailId = await queueMail(store);
  assert.equal(await reviveMail(store, mailId, OPERATOR), false);
  await buryMail(kv, await claimed(kv), "550 No");
  clock.nowMs += 48 * HOUR_MS;

  assert.equal(await reviveMail(store, mailId, OPERATOR), true);
  const mail = await claimed(kv);
  assert.equal(openMail(secrets, mail)?.to, "mike@example.org");
  await completeMail(kv, mail);
  assert.equal(await reviveMail(store, mailId, OPERATOR), false);

  const codeMailId = await queueCodeMail(store);
  await buryMail(kv, await claimed(kv), "550 No");
  assert.equal(await reviveMail(store, codeMailId, OPERATOR), false);
});

Deno.test("removeMailsOf leaves nothing but what is still on its way", async () => {
  using store = await openMailStore();
  const { kv, secrets } = store;
  const addressHash = secrets.mac("address", "mike@example.org");
  await queueMail(store);
  await completeMail(kv, await claimed(kv));
  await queueMail(store);
  await buryMail(kv, await claimed(kv), "550 No");
  const otherId = await queueMail(store, { to: "other@example.org" });
  await buryMail(kv, await claimed(kv), "550 No");
  const queuedId = await queueMail(store);

  await removeMailsOf(kv, addressHash);
  const left = await kv.collect(keys.mails(), { limit: 10 });
  assert.deepEqual(left.entries.map(({ value }) => value.id).toSorted(), [otherId, queuedId].toSorted());
  const index = await kv.collect(keys.mailsOf(addressHash), { limit: 10 });
  assert.deepEqual(index.entries.map(({ value }) => value.mailId), [queuedId]);
});

Deno.test("an index entry without its mail is removed, and stops nothing", async () => {
  using store = await openMailStore();
  const { kv } = store;
  const orphan = { mailId: "nothing", dueAtMs: START_MS - 1 };
  await kv.change().set(keys.mailDue(orphan), orphan).commit();
  const mailId = await queueMail(store);
  assert.equal(await claimFirst(kv), null);
  assert.equal((await claimed(kv)).id, mailId);
});

Deno.test("a mail that another SECRET_KEY sealed does not open", async () => {
  using store = await openMailStore();
  const mailId = await queueMail(store);
  const mail = await readMail(store, mailId);
  assert.equal(openMail(store.secrets, { ...mail, id: "another" }), null);
});

async function changeChallenge(
  kv: Kv,
  changes: Partial<{ codeNumber: number; wrongGuesses: number; userId: string; codeEpoch: number }>,
): Promise<void> {
  const { value } = await kv.find(keys.challenge("challenge"));
  assert(value);
  await kv.change().set(keys.challenge("challenge"), { ...value, ...changes }).commit();
}

/** One character a byte, so that text within would show. */
function bytesAsText(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

Deno.test("releaseClaims makes what a dead worker had claimed due at once, and takes nothing from anybody else", async () => {
  using store = await openMailStore();
  const { kv } = store;
  await queueMail(store);
  const mail = await claimed(kv);
  assert.deepEqual(await collectDueMails(kv, 10), []);
  await releaseClaims(kv);
  const again = await claimed(kv);
  assert.deepEqual([again.id, again.attempts], [mail.id, 2]);
  assert.equal(await completeMail(kv, mail), false);
  assert.equal(await completeMail(kv, again), true);
  await releaseClaims(kv);
  assert.equal((await readMail(store, mail.id)).state, "sent");
});
