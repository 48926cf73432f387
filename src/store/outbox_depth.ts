// How full the outbox is: for metrics. Read from the index of states when somebody asks, never while a request for
// anything else waits.

import { keys, type MailPlaceRecord, type MailState } from "./keys.ts";
import type { Kv, Page } from "./kv.ts";

/** Mails by state, each counted up to 10,000. */
export interface OutboxDepth {
  readonly queued: number;
  readonly sending: number;
  readonly dead: number;
  /** Age of the oldest mail that has yet to leave, since it was committed; 0 when none has. */
  readonly oldestWaitingMs: number;
}

const COUNT_MAX = 10_000;
const PAGE = 1_000;

/** A few listings; with more than a thousand mails of a state, one more for each further thousand. */
export async function measureOutbox(kv: Kv): Promise<OutboxDepth> {
  const [queued, sending, dead, ...ages] = await Promise.all([
    countMails(kv, "queued"),
    countMails(kv, "sending"),
    countMails(kv, "dead"),
    ageOfOldest(kv, "queued"),
    ageOfOldest(kv, "sending"),
  ]);
  return { queued, sending, dead, oldestWaitingMs: Math.max(...ages) };
}

async function countMails(kv: Kv, state: MailState): Promise<number> {
  let count = 0;
  let cursor: string | null = null;
  do {
    const page: Page<MailPlaceRecord> = await kv.collect(keys.mailsIn(state), { limit: PAGE, cursor });
    count += page.entries.length;
    cursor = page.cursor;
  } while (cursor !== null && count < COUNT_MAX);
  return Math.min(count, COUNT_MAX);
}

/** Ids are sorted by the time they were made, so that the first one is the oldest. */
async function ageOfOldest(kv: Kv, state: MailState): Promise<number> {
  const { entries: [oldest] } = await kv.collect(keys.mailsIn(state), { limit: 1 });
  if (!oldest) return 0;
  const { value: mail } = await kv.find(keys.mail(oldest.value.mailId));
  return mail ? Math.max(0, kv.nowMs() - mail.createdAtMs) : 0;
}
