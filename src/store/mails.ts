// The outbox's records. A mail is written in the commit that decides on it, sealed, so that the store holds neither
// address nor code in the clear. How it leaves is in mail_claims.ts, how it is found in mail_lists.ts.

import type { Deps } from "../deps.ts";
import { newId } from "../id.ts";
import type { MailContent } from "../mail/content.ts";
import type { Secrets } from "../secrets.ts";
import { addAuditEvents, type AuditDeps } from "./audit.ts";
import type { Actor } from "./client.ts";
import { keys, type MailDueRecord, type MailRecord } from "./keys.ts";
import { type Change, isPresent, type Key, type Kv, LOST, type Present, untilCommitted } from "./kv.ts";

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
/** The last mail about an account: once it is given up, nothing is to hold the address any more. */
const LAST_KINDS: ReadonlySet<string> = new Set<MailContent["kind"]>([
  "account_deleted",
  "account_deleted_by_admin",
]);

/** Adds a mail to somebody's commit: it will be sent if and only if that commit happens. Returns its id. */
export function addMail(
  { kv, secrets, wakeOutbox }: Pick<Deps, "kv" | "secrets" | "wakeOutbox">,
  change: Change,
  draft: MailDraft,
): string {
  const createdAtMs = kv.nowMs();
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

/**
 * Queues a dead mail once more, for another 24 hours. Null when there is no such mail, false when it is not dead or
 * its content is wiped: a code mail cannot come back.
 */
export function reviveMail(deps: AuditDeps, mailId: string, actor: Actor): Promise<boolean | null> {
  const { kv } = deps;
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
    const change = changeOfMail(kv, entry, revived);
    await addAuditEvents(deps, change, [{
      type: "mail_retried",
      actor,
      userId: mail.userId,
      details: { mail_id: mailId },
    }]);
    return await change.commit() || LOST;
  });
}

/** The record and its places, in one checked commit. */
export function replaceMail(kv: Kv, entry: Present<MailRecord>, next: MailRecord): Promise<boolean> {
  return changeOfMail(kv, entry, next).commit();
}

function changeOfMail(kv: Kv, entry: Present<MailRecord>, next: MailRecord): Change {
  const change = kv.change().check(entry).set(entry.key, next);
  removePlaces(change, entry.value);
  addPlaces(change, next);
  return change;
}

/** Removes every trace: the request that made it was to look like any other, and nothing else. */
export function discardMail(kv: Kv, entry: Present<MailRecord>): Promise<boolean> {
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
  if (isWaiting(mail)) change.set(dueKeyOf(mail), { mailId, dueAtMs });
}

function removePlaces(change: Change, mail: MailRecord): void {
  const { id: mailId, owner, state } = mail;
  change.remove(keys.mailOf(owner, mailId), keys.mailIn(state, mailId), dueKeyOf(mail));
}

/**
 * Where a mail that waits is found by when it is due. Codes go before notices, because they live for minutes; but only
 * until one has been tried: else a code that breaks every connection would keep all notices back.
 */
export function dueKeyOf({ id: mailId, dueAtMs, challenge, attempts }: MailRecord): Key<MailDueRecord> {
  const due: MailDueRecord = { mailId, dueAtMs };
  return challenge !== null && attempts === 0 ? keys.codeDue(due) : keys.mailDue(due);
}

/** A dead notice keeps its sealed content, so that an admin may have it sent after all; the last one of an account not. */
export function putAway(mail: MailRecord, reason: string): MailRecord {
  const isForGood = mail.challenge !== null || LAST_KINDS.has(mail.kind);
  return { ...mail, state: "dead", reason, sealed: isForGood ? null : mail.sealed };
}

/** It is there because a request for nobody must cost the same, and is removed instead of sent. */
export function isForNobody({ challenge }: MailRecord): boolean {
  return challenge?.codeNumber === 0;
}

/** Whether it has yet to leave. */
export function isWaiting({ state }: MailRecord): boolean {
  return state === "queued" || state === "sending";
}
