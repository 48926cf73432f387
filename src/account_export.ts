// Everything kept about a person, as one document (GDPR articles 15 and 20). Hashes of secrets are left out: in a
// file they could only do harm. It can be far larger than memory should hold, and is made page by page.

import type { z } from "@hono/zod-openapi";
import type { AccountExport } from "../openapi/account.ts";
import { viewAuditEventFor } from "./audit_view.ts";
import type { Deps } from "./deps.ts";
import type { MailContent } from "./mail/content.ts";
import { viewNote } from "./note_view.ts";
import { viewSession } from "./session_view.ts";
import { collectAuditEvents } from "./store/audit_lists.ts";
import { keys, type SessionRecord, type UserRecord } from "./store/keys.ts";
import type { Kv, Present } from "./store/kv.ts";
import { collectMailsOf } from "./store/mail_lists.ts";
import { collectNotes } from "./store/notes.ts";
import { pagesOf } from "./store/page.ts";
import { collectSessions } from "./store/sessions.ts";
import { rfc3339, viewUser } from "./user_view.ts";

type Document = z.output<typeof AccountExport>;

/** The lists of the document, a page at a time. */
type Lists = {
  readonly [Name in Exclude<keyof Document, "exported_at" | "user">]: AsyncIterable<Document[Name]>;
};

/** Who asks, and from which session. */
interface Caller {
  readonly user: Present<UserRecord>;
  readonly session: Present<SessionRecord>;
}

const PAGE = 100;
/** A note can have ten thousand characters. */
const NOTES_PAGE = 20;
/** What the contract says of the lists that grow without anybody keeping them. */
const LIST_MAX = 10_000;
/** Left out: whether it was mailed would tell whether somebody has the address that it was for. */
const CODE_ELSEWHERE: MailContent["kind"] = "email_change_code";

/** The contract's `AccountExport` of who is signed in, as JSON: pieces that make one document. */
export async function* exportAccount(deps: Deps, caller: Caller): AsyncGenerator<string, void> {
  const start: Omit<Document, keyof Lists> = {
    exported_at: rfc3339(deps.nowMs()),
    user: viewUser(caller.user.value),
  };
  yield JSON.stringify(start).slice(0, -1);
  for (const [name, pages] of Object.entries(listsOf(deps, caller))) {
    yield `,${JSON.stringify(name)}:[`;
    let separator = "";
    for await (const page of pages) {
      if (page.length === 0) continue;
      yield separator + page.map((item) => JSON.stringify(item)).join(",");
      separator = ",";
    }
    yield "]";
  }
  yield "}";
}

function listsOf(deps: Deps, { user: { value: user }, session }: Caller): Lists {
  const { kv } = deps;
  return {
    sessions: inOnePage(() => listSessions(kv, session.value)),
    known_networks: atMost(LIST_MAX, listNetworks(kv, user.id)),
    mails: atMost(LIST_MAX, listMails(deps, user)),
    events: atMost(LIST_MAX, listEvents(kv, user.id)),
    notes: listNotes(kv, user.id),
  };
}

async function listSessions(kv: Kv, current: SessionRecord): Promise<Document["sessions"]> {
  return (await collectSessions(kv, current.userId)).map(({ value }) => viewSession(value, current));
}

async function* listNetworks(kv: Kv, userId: string): AsyncGenerator<Document["known_networks"]> {
  for await (const page of pagesOf(kv, keys.knownNetworksOf(userId), PAGE)) {
    yield page.map(({ value }) => ({
      last_sign_in_at: rfc3339(value.lastSignInAtMs),
      ends_at: rfc3339(value.expiresAtMs),
    }));
  }
}

async function* listMails({ kv, secrets }: Deps, user: UserRecord): AsyncGenerator<Document["mails"]> {
  // Before there was an account its mails were the address's.
  for (const owner of [secrets.mac("address", user.email), user.id]) {
    const mails = await collectMailsOf(kv, owner);
    yield mails.filter(({ kind }) => kind !== CODE_ELSEWHERE)
      .map(({ id, kind, state, createdAtMs, sentAtMs }) => ({
        id,
        kind,
        state,
        created_at: rfc3339(createdAtMs),
        sent_at: sentAtMs === null ? null : rfc3339(sentAtMs),
      }));
  }
}

async function* listEvents(kv: Kv, userId: string): AsyncGenerator<Document["events"]> {
  let startId: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof collectAuditEvents>> = await collectAuditEvents(kv, { userId }, {
      limit: PAGE,
      startId,
    });
    yield page.items.map((event) => viewAuditEventFor(userId, event));
    startId = page.nextId;
  } while (startId !== null);
}

async function* listNotes(kv: Kv, userId: string): AsyncGenerator<Document["notes"]> {
  let startId: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof collectNotes>> = await collectNotes(kv, userId, {
      limit: NOTES_PAGE,
      startId,
    });
    yield page.notes.map(viewNote);
    startId = page.nextId;
  } while (startId !== null);
}

/** For what fits one record, or a few. */
async function* inOnePage<Item>(find: () => Promise<Item[]>): AsyncGenerator<Item[]> {
  yield await find();
}

async function* atMost<Item>(
  max: number,
  pages: AsyncIterable<readonly Item[]>,
): AsyncGenerator<Item[]> {
  let left = max;
  for await (const page of pages) {
    yield page.slice(0, left);
    left -= page.length;
    if (left <= 0) return;
  }
}
