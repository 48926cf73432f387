// Mails as they are looked up afterwards: by an admin, for an export, and to be cleared away with their account.

import { keys, type MailPlaceRecord, type MailRecord } from "./keys.ts";
import { isPresent, type Kv, LOST, type Page, untilCommitted } from "./kv.ts";
import { discardMail, isForNobody, isWaiting } from "./mails.ts";
import {
  collectAll,
  collectNewest,
  fillPage,
  findAll,
  type ItemPage,
  type PageQuery,
  sourceOfIds,
  sourceOfRecords,
} from "./page.ts";

/** How many mails one page of a list may look at. */
const LOOKS_MAX = 5_000;
const MAILS_MAX = 1_000;

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

/** The mails of an account, or of an address without one, in the last month or so, oldest first; the newest 1,000. */
export async function collectMailsOf(kv: Kv, owner: string): Promise<MailRecord[]> {
  const places = (await collectAll(kv, keys.mailsOf(owner))).slice(-MAILS_MAX);
  const mails = await findAll(kv, places.map(({ value }) => keys.mail(value.mailId)));
  return mails.map(({ value }) => value).filter((mail) => mail !== null).filter((mail) => !isForNobody(mail));
}

/** The newest mails of an account, or of an address without one; at most `limit`, 1 to 100. */
export async function collectNewestMailsOf(kv: Kv, owner: string, limit: number): Promise<MailRecord[]> {
  const places = await collectNewest(kv, keys.mailsOf(owner), { limit, startId: null });
  const mails = await findAll(kv, places.map(({ mailId }) => keys.mail(mailId)));
  return mails.map(({ value }) => value).filter((mail) => mail !== null).filter((mail) => !isForNobody(mail));
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
  return await discardMail(kv, entry) || LOST;
}
