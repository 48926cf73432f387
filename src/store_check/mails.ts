// The outbox: every mail is found with its owner and with its state, and what waits will be due.

import { isDeepStrictEqual } from "node:util";
import { keys, type MailDueRecord } from "../store/keys.ts";
import type { Present } from "../store/kv.ts";
import { dueKeyOf, isWaiting } from "../store/mails.ts";
import {
  expectAt,
  type Expectation,
  expectThat,
  ownedBy,
  part,
  type Rule,
  ruleFor,
  standsAt,
} from "./expectation.ts";

const mailRule = ruleFor(keys.mails(), (record) => {
  const mail = record.value;
  const { id, state, owner, userId, dueAtMs, challenge } = mail;
  const place = { mailId: id, expiresAtMs: mail.expiresAtMs };
  const isPlace = (there: unknown): boolean => isDeepStrictEqual(there, place);
  return [
    standsAt(record, keys.mail(id)),
    expectAt(keys.mailOf(owner, id), isPlace, "is not found with its owner"),
    expectAt(keys.mailIn(state, id), isPlace, "is not found with its state"),
    ...(isWaiting(mail)
      ? [
        expectAt(
          dueKeyOf(mail),
          (due) => isDeepStrictEqual(due, { mailId: id, dueAtMs }),
          "waits, and will never be due",
        ),
        expectThat(mail.sealed !== null, "waits without its content"),
      ]
      : []),
    expectThat(state !== "sent" || mail.sealed === null, "is sent, and its content is not wiped"),
    ...(userId === null ? [] : [
      ownedBy(userId),
      expectThat(owner === userId, "is with another owner than its account"),
    ]),
    ...(challenge === null ? [] : [
      expectAt(
        keys.challenge(challenge.hash),
        (there) => there === null || challenge.codeNumber <= there.codeNumber,
        "carries a code that its challenge has not had",
      ),
    ]),
  ];
});

const dueRule = ruleFor(keys.mailsDue(), (record) => [
  standsAt(record, keys.mailDue(record.value)),
  expectWaiting(record),
]);

const codeDueRule = ruleFor(keys.codesDue(), (record) => [
  standsAt(record, keys.codeDue(record.value)),
  expectWaiting(record),
]);

function expectWaiting({ value: { mailId, dueAtMs } }: Present<MailDueRecord>): Expectation {
  return expectAt(
    keys.mail(mailId),
    (mail) => mail !== null && isWaiting(mail) && mail.dueAtMs === dueAtMs,
    "leads to no mail that waits for it",
  );
}

const ownerRule = ruleFor(keys.mailsOf(""), (record) => [
  expectAt(
    keys.mail(part(record, 2)),
    (mail) => mail?.owner === part(record, 1),
    "leads to no mail of that owner",
  ),
]);

const stateRule = ruleFor(keys.mailsIn("queued"), (record) => [
  expectAt(
    keys.mail(part(record, 2)),
    (mail) => mail?.state === part(record, 1),
    "leads to no mail of that state",
  ),
]);

export const mailRules: readonly Rule[] = [mailRule, dueRule, codeDueRule, ownerRule, stateRule];
