// Codes on their way: made, hashed for the challenge and mailed in one commit of somebody else's. Whether anybody gets
// the mail must not show: not in what is read, nor in what is written, nor in the answer.

import { createCode, hashCode, spellCode } from "../code.ts";
import type { StoreDeps } from "../deps.ts";
import type { MailContent } from "../mail/content.ts";
import { digest } from "../secrets.ts";
import { admitOne } from "../window.ts";
import { addAuditEvents } from "./audit.ts";
import type { Actor } from "./client.ts";
import { freedAddressKey, isVoid } from "./freed_addresses.ts";
import { addHold, findGuessBudget } from "./guess_budget.ts";
import {
  type ChallengePurpose,
  type ChallengeRecord,
  type FreedAddressRecord,
  keys,
  type UserRecord,
} from "./keys.ts";
import type { Change } from "./kv.ts";
import { addMail } from "./mails.ts";
import { addressSubject } from "./subjects.ts";
import { isEmailTaken } from "./users.ts";

/** A code that is due: the first of a challenge, or the next. */
export type CodeDraft =
  & Pick<ChallengeRecord, "purpose" | "userId" | "codeEpoch" | "codeNumber" | "createdAtMs">
  & Pick<ChallengeRecord, "guessSubject" | "wrongGuesses" | "guessesHeldAtMs">
  & {
    readonly challengeId: string;
    readonly email: string;
    readonly endsAtMs: number;
    readonly actor: Actor;
  };

/** What a challenge holds of its newest code. */
export type CodeFields = Pick<
  ChallengeRecord,
  "codeHash" | "codeNumber" | "codeExpiresAtMs" | "resendAfterMs" | "guessesHeldAtMs"
>;

/**
 * Makes a code and adds its mail, unless the recipient has had too many or there is none: from outside nobody can
 * tell. It ends with the challenge at the latest, at `endsAtMs`.
 */
export async function addCode(
  deps: StoreDeps,
  change: Change,
  draft: CodeDraft,
): Promise<CodeFields> {
  const { kv, config, secrets } = deps;
  const nowMs = kv.nowMs();
  const { purpose, email, userId, challengeId, codeNumber } = draft;
  const [mails, user, freed] = await kv.findMany([
    keys.window("mail", addressSubject(secrets, email)),
    keys.user(userId ?? "nobody"),
    freedAddressKey(deps, email),
  ]);
  const { isLong, ...hold } = addHold(change, await findGuessBudget(kv, draft.guessSubject), {
    challenge: draft,
    codeTtlMs: config.otpTtlMs,
    nowMs,
  });
  const plainCode = createCode({ isLong });
  const codeExpiresAtMs = Math.min(nowMs + config.otpTtlMs, draft.endsAtMs);
  const permit = admitOne(config.policies.mail, mails.value, nowMs);
  if (permit.record) change.check(mails).set(mails.key, permit.record);
  // An account that is deleted meanwhile must get no record that names it.
  change.check(user);
  const content = await codeMail(deps, { purpose, email, code: spellCode(plainCode) });
  const isRecipient = await hasRecipient(deps, draft, { user: user.value, freed: freed.value });
  const mailId = addMail(deps, change, {
    to: email,
    userId: user.value?.id ?? null,
    content,
    sendBeforeMs: codeExpiresAtMs,
    // A mail that belongs to no code of the challenge costs the same, and is dropped instead of sent.
    challenge: { hash: digest(challengeId), codeNumber: permit.isAdmitted && isRecipient ? codeNumber : 0 },
  });
  const about = { actor: draft.actor, userId: user.value?.id ?? null };
  await addAuditEvents(deps, change, [
    permit.isAdmitted && isRecipient
      ? { type: "code_sent", ...about, details: { purpose, mail_id: mailId } }
      : {
        type: "code_withheld",
        ...about,
        cause: isRecipient ? "mail_limit" : "no_recipient",
        details: { purpose },
      },
  ]);
  return {
    codeHash: hashCode(secrets, challengeId, plainCode),
    codeNumber,
    ...hold,
    codeExpiresAtMs,
    resendAfterMs: nowMs + config.otpResendAfterMs,
  };
}

/** Whether the mail is for anybody: a void or unopenable challenge has a code, too, but nobody is to get it. */
async function hasRecipient(
  { kv }: StoreDeps,
  { purpose, codeEpoch, email, createdAtMs }: CodeDraft,
  { user, freed }: { readonly user: UserRecord | null; readonly freed: FreedAddressRecord | null },
): Promise<boolean> {
  if (purpose === "registration") return !isVoid(freed, createdAtMs);
  if (user?.codeEpoch !== codeEpoch) return false;
  return purpose !== "email_change" || !await isEmailTaken(kv, email);
}

/** Somebody who registers an address that has an account gets no code: its owner is told instead. */
async function codeMail(
  { kv, config }: StoreDeps,
  { purpose, email, code }: {
    readonly purpose: ChallengePurpose;
    readonly email: string;
    readonly code: string;
  },
): Promise<MailContent> {
  if (purpose === "registration" && await isEmailTaken(kv, email)) return { kind: "registration_known" };
  return { kind: `${purpose}_code`, code, ttlMs: config.otpTtlMs };
}
