// Whether a mail is still worth sending: a code that opens nothing any more must never arrive.

import { isCodeAlive } from "./code_life.ts";
import { keys, type MailRecord } from "./keys.ts";
import type { Kv } from "./kv.ts";

/** Why a mail must not leave any more, or null while it may. */
export async function reasonNotToSend(kv: Kv, mail: MailRecord): Promise<string | null> {
  if (mail.challenge !== null && !await isCodeGood(kv, mail.challenge)) return "code no longer good";
  if (kv.nowMs() < mail.sendBeforeMs) return null;
  return mail.challenge ? "code no longer good" : `given up: ${mail.reason ?? "not tried in time"}`;
}

async function isCodeGood(
  kv: Kv,
  { hash, codeNumber }: NonNullable<MailRecord["challenge"]>,
): Promise<boolean> {
  const { value: challenge } = await kv.find(keys.challenge(hash));
  if (challenge === null || challenge.codeNumber !== codeNumber) return false;
  if (!isCodeAlive(challenge, kv.nowMs())) return false;
  if (challenge.userId === null) return true;
  const { value: user } = await kv.find(keys.user(challenge.userId));
  return user !== null && user.codeEpoch === challenge.codeEpoch;
}
