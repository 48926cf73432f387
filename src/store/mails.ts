// The outbox's records. A mail is written in the commit that decides on it, sealed, so that the store holds neither
// address nor code in the clear. It leaves through a lease: one worker claims it in a checked commit, sends it, and
// writes down what came of it; when that worker dies, the lease ends and the mail is due again.

import type { Deps } from "../deps.ts";
import { newId } from "../id.ts";
import type { MailContent } from "../mail/content.ts";
import type { Secrets } from "../secrets.ts";
import { keys, type MailDueRecord, type MailPlaceRecord, type MailRecord } from "./keys.ts";
import { reasonNotToSend } from "./mail_expiry.ts";
import { type Change, isPresent, type Kv, LOST, type Page, type Present, untilCommitted } from "./kv.ts";
import {
  collectNewest,
  fillPage,
  type ItemPage,
  type PageQuery,
  sourceOfIds,
  sourceOfRecords,
} from "./page.ts";

/** A mail that somebody decides to send. */
export interface MailDraft {
  /** The stored, canonical address: never one out of a request. */
  readonly to: string;
  readonly content: MailContent;
  /** The account it is about; null when there is none. */
  readonly userId: string | null;
  /** Of a code mail: it is dropped once that code is dead. */
  readonly challenge?: MailRecord["challenge"];
  /** It is not sent after this moment (default: in 24 hours). */
  readonly sendBeforeMs?: number;
}

/** What stands sealed in a mail's record. */
export interface MailLetter {
  readonly to: string;
  readonly content: MailContent;
}

const NOTICE_LIFE_MS = 24 * 60 * 60 * 1000;
const REPORT_LIFE_MS = 30 * 24 * 60 * 60 * 1000;
/** How many mails one page of a list may look at. */
const LOOKS_MAX = 5_000;
/** The last mail about an account: once it is given up, nothing is to hold the address any more. */
const LAST_KINDS: ReadonlySet<string> = new Set<MailContent["kind"]>([
  "account_deleted",
  "account_deleted_by_admin",
]);

/** Adds a mail to somebody's commit: it will be sent if and only if that commit happens. Returns its id. */
export function addMail(
  { secrets, nowMs, wakeOutbox }: Pick<Deps, "secrets" | "nowMs" | "wakeOutbox">,
  change: Change,
  draft: MailDraft,
): string {
  const createdAtMs = nowMs();
  const id = newId(createdAtMs);
  const { to, content, userId, challenge = null, sendBeforeMs = createdAtMs + NOTICE_LIFE_MS } = draft;
  const owner = userId ?? secrets.mac("address", to);
  const letter: MailLetter = { to, content };
  const mail: MailRecord = {
    id,
    kind: content.kind,
    userId,
    owner,
    sealed: secrets.seal("mail", id, letter),
    state: "queued",
    attempts: 0,
    reason: null,
    createdAtMs,
    dueAtMs: createdAtMs,
    retryDelayMs: 0,
    sendBeforeMs,
    challenge,
    sentAtMs: null,
    expiresAtMs: sendBeforeMs + REPORT_LIFE_MS,
  };
  change.set(keys.mail(id), mail).afterCommit(wakeOutbox);
  addPlaces(change, mail);
  return id;
}

/** The recipient and content, or null when they are wiped or were sealed under another SECRET_KEY. */
export function openMail(secrets: Secrets, { id, sealed }: MailRecord): MailLetter | null {
  // Sealed by addMail only, which takes a MailLetter.
  return sealed && secrets.unseal("mail", id, sealed) as MailLetter | null;
}

/** What is due now, the longest due first; at most `limit`, 1 to 1000. */
export async function collectDueMails(kv: Kv, limit: number): Promise<MailDueRecord[]> {
  const page = await kv.collect(keys.mailsDue(), { limit, upTo: kv.nowMs() });
  return page.entries.map((entry) => entry.value);
}

/** When the next mail is due, or null when none is queued. May lie in the past. */
export async function findNextDueMs(kv: Kv): Promise<number | null> {
  const page = await kv.collect(keys.mailsDue(), { limit: 1 });
  return page.entries[0]?.value.dueAtMs ?? null;
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
    await kv.change().check(entry).remove(keys.mailDue(due)).commit();
    return null;
  }
  const mail = entry.value;
  if (mail.dueAtMs > kv.nowMs()) return null;
  if (isForNobody(mail)) {
    await discard(kv, entry);
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
 * Queues a dead mail once more, for another 24 hours. Null when there is no such mail, false when it is not dead or
 * its content is wiped: a code mail cannot come back.
 */
export function reviveMail(kv: Kv, mailId: string): Promise<boolean | null> {
  return untilCommitted(async () => {
    const entry = await kv.find(keys.mail(mailId));
    if (!isPresent(entry)) return null;
    const mail = entry.value;
    if (mail.state !== "dead" || mail.sealed === null) return false;
    const nowMs = kv.nowMs();
    const sendBeforeMs = nowMs + NOTICE_LIFE_MS;
    const revived: MailRecord = {
      ...mail,
      state: "queued",
      dueAtMs: nowMs,
      retryDelayMs: 0,
      sendBeforeMs,
      expiresAtMs: sendBeforeMs + REPORT_LIFE_MS,
    };
    return await replaceMail(kv, entry, revived) ? true : LOST;
  });
}

/** A mail that is kept, whatever became of it, or null. */
export async function findMail(kv: Kv, mailId: string): Promise<MailRecord | null> {
  return (await kv.find(keys.mail(mailId))).value;
}

/** A page of the mails of a state, or of all, newest first. It can be short, as `fillPage` says. */
export function collectMails(
  kv: Kv,
  { state }: { readonly state?: MailRecord["state"] | undefined },
  query: PageQuery,
): Promise<ItemPage<MailRecord>> {
  const source = state === undefined ? sourceOfRecords(kv, keys.mails()) : sourceOfIds(
    kv,
    keys.mail,
    async (query) => (await collectNewest(kv, keys.mailsIn(state), query)).map(({ mailId }) => mailId),
  );
  const isWanted = (mail: MailRecord): boolean => mail.state === (state ?? mail.state) && !isForNobody(mail);
  return fillPage(source, query, { isWanted, looksMax: LOOKS_MAX });
}

/** The mails of an account, or of an address without one, in the last month or so, oldest first; at most 1,000. */
export async function collectMailsOf(kv: Kv, owner: string): Promise<MailRecord[]> {
  const { entries } = await kv.collect(keys.mailsOf(owner), { limit: 1_000 });
  const mails = await Promise.all(entries.map(({ value }) => kv.find(keys.mail(value.mailId))));
  return mails.map(({ value }) => value).filter((mail) => mail !== null);
}

/** Removes an owner's mails that are done, for an account that ends. What is still on its way stays. */
export async function removeMailsOf(kv: Kv, owner: string): Promise<void> {
  let cursor: string | null = null;
  do {
    const page: Page<MailPlaceRecord> = await kv.collect(keys.mailsOf(owner), {
      limit: 100,
      cursor,
    });
    for (const { value } of page.entries) await untilCommitted(() => removeDone(kv, value.mailId));
    cursor = page.cursor;
  } while (cursor !== null);
}

async function removeDone(kv: Kv, mailId: string): Promise<true | typeof LOST> {
  const entry = await kv.find(keys.mail(mailId));
  if (!isPresent(entry) || isWaiting(entry.value)) return true;
  return await discard(kv, entry) || LOST;
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

/** The record and its places, in one checked commit. */
function replaceMail(kv: Kv, entry: Present<MailRecord>, next: MailRecord): Promise<boolean> {
  const change = kv.change().check(entry).set(entry.key, next);
  removePlaces(change, entry.value);
  addPlaces(change, next);
  return change.commit();
}

/** Removes every trace: the request that made it was to look like any other, and nothing else. */
function discard(kv: Kv, entry: Present<MailRecord>): Promise<boolean> {
  const change = kv.change().check(entry).remove(entry.key);
  removePlaces(change, entry.value);
  return change.commit();
}

/** Where a mail is found: with its owner, with its state, and while it waits by when it is due. */
function addPlaces(change: Change, mail: MailRecord): void {
  const { id: mailId, owner, state, dueAtMs, expiresAtMs } = mail;
  change
    .set(keys.mailOf(owner, mailId), { mailId, expiresAtMs })
    .set(keys.mailIn(state, mailId), { mailId, expiresAtMs });
  if (isWaiting(mail)) change.set(keys.mailDue({ mailId, dueAtMs }), { mailId, dueAtMs });
}

function removePlaces(change: Change, { id: mailId, owner, state, dueAtMs }: MailRecord): void {
  change.remove(
    keys.mailOf(owner, mailId),
    keys.mailIn(state, mailId),
    keys.mailDue({ mailId, dueAtMs }),
  );
}

/** A dead notice keeps its sealed content, so that an admin may have it sent after all; the last one of an account not. */
function putAway(mail: MailRecord, reason: string): MailRecord {
  const isForGood = mail.challenge !== null || LAST_KINDS.has(mail.kind);
  return { ...mail, state: "dead", reason, sealed: isForGood ? null : mail.sealed };
}

/** It is there because a request for nobody must cost the same, and is removed instead of sent. */
function isForNobody({ challenge }: MailRecord): boolean {
  return challenge?.codeNumber === 0;
}

function isWaiting({ state }: MailRecord): boolean {
  return state === "queued" || state === "sending";
}
