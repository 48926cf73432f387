// How mails leave: through a lease. One worker claims a due mail in a checked commit, sends it, and writes down what
// came of it; when that worker dies, the lease ends and the mail is due again.

import { keys, type MailDueRecord, type MailRecord } from "./keys.ts";
import { isPresent, type Kv, LOST, untilCommitted } from "./kv.ts";
import { reasonNotToSend } from "./mail_expiry.ts";
import { discardMail, isForNobody, isWaiting, putAway, replaceMail } from "./mails.ts";

const RELEASES_MAX = 1_000;

/** What is due now: codes that were not tried yet, then the longest due first; at most `limit`, 1 to 1000. */
export async function collectDueMails(kv: Kv, limit: number): Promise<MailDueRecord[]> {
  const upTo = kv.nowMs();
  const codes = await kv.collect(keys.codesDue(), { limit, upTo });
  const rest = limit - codes.entries.length;
  const others = rest === 0 ? [] : (await kv.collect(keys.mailsDue(), { limit: rest, upTo })).entries;
  return [...codes.entries, ...others].map((entry) => entry.value);
}

/** When the next mail is due, or null when none is queued. May lie in the past. */
export async function findNextDueMs(kv: Kv): Promise<number | null> {
  const pages = await Promise.all(
    [keys.codesDue(), keys.mailsDue()].map((prefix) => kv.collect(prefix, { limit: 1 })),
  );
  const times = pages.flatMap(({ entries }) => entries.map(({ value }) => value.dueAtMs));
  return times.length === 0 ? null : Math.min(...times);
}

/**
 * Takes a due mail for `leaseMs`: one winner, in one process or several. Null when it is not to be had, or not worth
 * sending any more; then it has been put away.
 */
export async function claimMail(
  kv: Kv,
  due: MailDueRecord,
  { leaseMs }: { readonly leaseMs: number },
): Promise<MailRecord | null> {
  const entry = await kv.find(keys.mail(due.mailId));
  if (!isPresent(entry) || !isWaiting(entry.value) || entry.value.dueAtMs !== due.dueAtMs) {
    await kv.change().check(entry).remove(keys.codeDue(due), keys.mailDue(due)).commit();
    return null;
  }
  const mail = entry.value;
  if (mail.dueAtMs > kv.nowMs()) return null;
  if (isForNobody(mail)) {
    await discardMail(kv, entry);
    return null;
  }
  const refusal = await reasonNotToSend(kv, mail);
  if (refusal !== null) {
    await replaceMail(kv, entry, putAway(mail, refusal));
    return null;
  }
  const claimed: MailRecord = {
    ...mail,
    state: "sending",
    attempts: mail.attempts + 1,
    dueAtMs: kv.nowMs() + leaseMs,
  };
  return await replaceMail(kv, entry, claimed) ? claimed : null;
}

/** The server took it: recipient and content are wiped. False when the claim had passed to another worker. */
export function completeMail(kv: Kv, claimed: MailRecord): Promise<boolean> {
  return concludeMail(kv, claimed, (mail) => ({
    ...mail,
    state: "sent",
    sealed: null,
    reason: null,
    sentAtMs: kv.nowMs(),
  }));
}

/** It stays queued, for `delayMs`. False when the claim had passed to another worker. */
export function requeueMail(
  kv: Kv,
  claimed: MailRecord,
  { reason, delayMs, retryDelayMs }: {
    readonly reason: string;
    readonly delayMs: number;
    readonly retryDelayMs: number;
  },
): Promise<boolean> {
  return concludeMail(kv, claimed, (mail) => ({
    ...mail,
    state: "queued",
    reason,
    dueAtMs: kv.nowMs() + delayMs,
    retryDelayMs,
  }));
}

/** It will not be sent. False when the claim had passed to another worker. */
export function buryMail(kv: Kv, claimed: MailRecord, reason: string): Promise<boolean> {
  return concludeMail(kv, claimed, (mail) => putAway(mail, reason));
}

/**
 * Makes every claimed mail due now: for a worker that knows to be the only one, because whoever claimed them is dead.
 * Where several servers share the store the leases have to end by themselves.
 */
export async function releaseClaims(kv: Kv): Promise<void> {
  const { entries } = await kv.collect(keys.mailsIn("sending"), { limit: RELEASES_MAX });
  for (const { value: { mailId } } of entries) {
    const mail = await kv.find(keys.mail(mailId));
    if (!isPresent(mail) || mail.value.state !== "sending") continue;
    await replaceMail(kv, mail, { ...mail.value, state: "queued", dueAtMs: kv.nowMs() });
  }
}

/** Writes down what came of a claim, unless its lease ended and somebody else took the mail. */
function concludeMail(
  kv: Kv,
  claimed: MailRecord,
  conclude: (mail: MailRecord) => MailRecord,
): Promise<boolean> {
  return untilCommitted(async () => {
    const entry = await kv.find(keys.mail(claimed.id));
    if (!isPresent(entry)) return false;
    const { state, attempts } = entry.value;
    if (state !== "sending" || attempts !== claimed.attempts) return false;
    return await replaceMail(kv, entry, conclude(entry.value)) ? true : LOST;
  });
}
