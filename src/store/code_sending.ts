// Codes on their way: made, hashed for the challenge and mailed in one commit of somebody else's. Whether anybody gets
// the mail must not show: not in what is read, nor in what is written, nor in the answer.

import { createCode, hashCode, spellCode } from "../code.ts";
import type { Deps } from "../deps.ts";
import type { MailContent } from "../mail/content.ts";
import { digest } from "../secrets.ts";
import { admitOne, countIn } from "../window.ts";
import { ESCALATION } from "./code_life.ts";
import { type ChallengePurpose, type ChallengeRecord, keys } from "./keys.ts";
import type { Change } from "./kv.ts";
import { addMail } from "./mails.ts";
import { isEmailTaken } from "./users.ts";

type StoreDeps = Pick<Deps, "kv" | "config" | "secrets" | "nowMs" | "wakeOutbox">;

/** What a challenge holds of its newest code. */
export type CodeFields = Pick<
  ChallengeRecord,
  "codeHash" | "codeNumber" | "codeExpiresAtMs" | "resendAfterMs"
>;

/**
 * Makes a code and adds its mail, unless the recipient has had too many or there is none: from outside nobody can
 * tell. It ends with the challenge at the latest, at `endsAtMs`.
 */
export async function addCode(
  deps: StoreDeps,
  change: Change,
  draft: Pick<ChallengeRecord, "purpose" | "userId" | "guessSubject" | "codeNumber"> & {
    readonly challengeId: string;
    readonly email: string;
    readonly endsAtMs: number;
  },
): Promise<CodeFields> {
  const { kv, config, secrets, nowMs } = deps;
  const now = nowMs();
  const { purpose, email, userId, challengeId, codeNumber } = draft;
  const [mails, guesses] = await kv.findMany([
    keys.window("mail", secrets.mac("address", email)),
    keys.window("guesses", draft.guessSubject),
  ]);
  const plainCode = createCode({ isLong: countIn(ESCALATION, guesses.value, now) >= ESCALATION.limit });
  const codeExpiresAtMs = Math.min(now + config.otpTtlMs, draft.endsAtMs);
  const permit = admitOne(config.policies.mail, mails.value, now);
  if (permit.record) change.check(mails).set(mails.key, permit.record);
  const content = await codeMail(deps, { purpose, email, code: spellCode(plainCode) });
  const isRecipient = purpose === "registration" || userId !== null &&
      (purpose !== "email_change" || !await isEmailTaken(kv, email));
  addMail(deps, change, {
    to: email,
    userId,
    content,
    sendBeforeMs: codeExpiresAtMs,
    // A mail that belongs to no code of the challenge costs the same, and is dropped instead of sent.
    challenge: { hash: digest(challengeId), codeNumber: permit.isAdmitted && isRecipient ? codeNumber : 0 },
  });
  return {
    codeHash: hashCode(secrets, challengeId, plainCode),
    codeNumber,
    codeExpiresAtMs,
    resendAfterMs: now + config.otpResendAfterMs,
  };
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
