// What tests of mail share: an own store in memory, a settable clock, and a mailer that answers as it is told.

import assert from "node:assert/strict";
import type { Log } from "../src/log.ts";
import type { MailContent } from "../src/mail/content.ts";
import type { Delivery, Mailer, OutgoingMail } from "../src/mail/mailer.ts";
import { type Outbox, type OutboxDeps, startOutbox } from "../src/mail/outbox.ts";
import { createSecrets, type Secrets } from "../src/secrets.ts";
import { type ChallengeRecord, keys, type MailRecord } from "../src/store/keys.ts";
import { createKv, type Kv } from "../src/store/kv.ts";
import { addMail, type MailDraft } from "../src/store/mails.ts";

export const START_MS = Date.UTC(2026, 10, 21, 9);
export const SECOND_MS = 1_000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;

export const SERVICE = { appName: "Latchkey", publicUrl: "https://auth.example.com" };
export const NOTICE: MailContent = {
  kind: "password_changed",
  atMs: START_MS,
  ip: "192.0.2.1",
  device: "curl/8.5.0",
};
export const CODE: MailContent = { kind: "registration_code", code: "012345", ttlMs: 10 * MINUTE_MS };

export interface MailStore extends Disposable {
  readonly clock: { nowMs: number };
  readonly db: Deno.Kv;
  readonly kv: Kv;
  readonly secrets: Secrets;
  readonly config: { readonly auditRetentionMs: number };
  readonly nowMs: () => number;
  /** Tests look for themselves. */
  readonly wakeOutbox: () => void;
  readonly log: Log;
  /** Every event that was logged, with its fields. */
  readonly logged: (readonly [event: string, fields: Record<string, unknown>])[];
}

export async function openMailStore(): Promise<MailStore> {
  const clock = { nowMs: START_MS };
  const nowMs = (): number => clock.nowMs;
  const db = await Deno.openKv(":memory:");
  const logged: [string, Record<string, unknown>][] = [];
  const write = (event: string, fields: Record<string, unknown> = {}): void => {
    logged.push([event, fields]);
  };
  return {
    clock,
    db,
    kv: createKv(db, nowMs),
    secrets: createSecrets("test-key-of-32-bytes-0123456789abcdef"),
    config: { auditRetentionMs: 24 * HOUR_MS },
    nowMs,
    wakeOutbox: () => {},
    log: { info: write, warn: write, error: write },
    logged,
    [Symbol.dispose]: () => db.close(),
  };
}

/** Commits one mail; returns its id. */
export async function queueMail(store: MailStore, draft: Partial<MailDraft> = {}): Promise<string> {
  const change = store.kv.change();
  const mailId = addMail(store, change, { to: "mike@example.org", userId: null, content: NOTICE, ...draft });
  assert(await change.commit());
  return mailId;
}

/** Commits a challenge whose first code is good for ten minutes, and the mail that carries it. */
export async function queueCodeMail(
  store: MailStore,
  changes: Partial<ChallengeRecord> = {},
): Promise<string> {
  const challenge: ChallengeRecord = {
    purpose: "registration",
    userId: null,
    codeEpoch: 0,
    guessSubject: "somebody",
    codeHash: "hash",
    guessesHeldAtMs: null,
    codeNumber: 1,
    codeExpiresAtMs: store.nowMs() + 10 * MINUTE_MS,
    wrongGuesses: 0,
    resendAfterMs: store.nowMs() + MINUTE_MS,
    sealed: new Uint8Array(),
    createdAtMs: store.nowMs(),
    expiresAtMs: store.nowMs() + 24 * HOUR_MS,
    ...changes,
  };
  const change = store.kv.change().set(keys.challenge("challenge"), challenge);
  const mailId = addMail(store, change, {
    to: "mike@example.org",
    userId: challenge.userId,
    content: CODE,
    sendBeforeMs: challenge.codeExpiresAtMs,
    challenge: { hash: "challenge", codeNumber: 1 },
  });
  assert(await change.commit());
  return mailId;
}

export async function readMail(store: MailStore, mailId: string): Promise<MailRecord> {
  const { value } = await store.kv.find(keys.mail(mailId));
  assert(value, "The mail has no record");
  return value;
}

export interface ScriptedMailer extends Mailer {
  /** Every attempt, oldest first. */
  readonly attempts: OutgoingMail[];
  /** What it took. */
  readonly sent: OutgoingMail[];
}

/** A mailer that answers what `answer` says (default: takes everything). */
export function scriptMailer(
  answer: (mail: OutgoingMail) => Delivery | Promise<Delivery> = () => SENT,
): ScriptedMailer {
  const attempts: OutgoingMail[] = [];
  const sent: OutgoingMail[] = [];
  return {
    attempts,
    sent,
    async send(mail): Promise<Delivery> {
      attempts.push(mail);
      const delivery = await answer(mail);
      if (delivery.outcome === "sent") sent.push(mail);
      return delivery;
    },
  };
}

export const SENT: Delivery = { outcome: "sent" };
export const DOWN: Delivery = { outcome: "unreachable", reason: "ECONNECTION refused" };

/** A worker over the store that stops by itself: `await using`. */
export function openOutbox(
  store: MailStore,
  options: Pick<OutboxDeps, "mailer"> & Partial<OutboxDeps>,
): Outbox & AsyncDisposable {
  const { kv, secrets, nowMs, log } = store;
  const outbox = startOutbox({ kv, secrets, nowMs, log, config: SERVICE, ...options });
  return { ...outbox, [Symbol.asyncDispose]: outbox.stop };
}

/** Lets `waitMs` pass at once, and then everything leave that can. */
export function settleAfter(store: MailStore, outbox: Outbox, waitMs: number): Promise<void> {
  store.clock.nowMs += waitMs;
  return outbox.settle();
}
