// Everything kept about a person, as one document (GDPR articles 15 and 20). Hashes of secrets are left out: in a
// file they could only do harm.

import type { z } from "@hono/zod-openapi";
import type { AccountExport } from "../openapi/account.ts";
import { viewAuditEventFor } from "./audit_view.ts";
import type { Deps } from "./deps.ts";
import { viewNote } from "./note_view.ts";
import { viewSession } from "./session_view.ts";
import type { AuditEventRecord } from "./store/audit_event.ts";
import { collectAuditEvents } from "./store/audit_lists.ts";
import { keys, type NoteRecord, type SessionRecord, type UserRecord } from "./store/keys.ts";
import type { Present } from "./store/kv.ts";
import { collectMailsOf } from "./store/mail_lists.ts";
import { collectNotes } from "./store/notes.ts";
import { collectSessions } from "./store/sessions.ts";
import { rfc3339, viewUser } from "./user_view.ts";

const PAGE = 100;
const EVENTS_MAX = 10_000;
const NETWORKS_MAX = 1_000;

/** The contract's `AccountExport` of who is signed in. */
export async function exportAccount(
  { kv, secrets, nowMs }: Deps,
  { user: { value: user }, session: { value: current } }: {
    readonly user: Present<UserRecord>;
    readonly session: Present<SessionRecord>;
  },
): Promise<z.output<typeof AccountExport>> {
  const sessions = await collectSessions(kv, user.id);
  const networks = await kv.collect(keys.knownNetworksOf(user.id), { limit: NETWORKS_MAX });
  // Before there was an account its mails were the address's.
  const mails = [
    ...await collectMailsOf(kv, secrets.mac("address", user.email)),
    ...await collectMailsOf(kv, user.id),
  ];
  const events = await collectNewestEvents(kv, user.id);
  const notes = await collectAllNotes({ kv }, user.id);
  return {
    exported_at: rfc3339(nowMs()),
    user: viewUser(user),
    sessions: sessions.map(({ value }) => viewSession(value, current)),
    known_networks: networks.entries.map(({ value }) => ({
      last_sign_in_at: rfc3339(value.lastSignInAtMs),
      ends_at: rfc3339(value.expiresAtMs),
    })),
    mails: mails.map(({ id, kind, state, createdAtMs, sentAtMs }) => ({
      id,
      kind,
      state,
      created_at: rfc3339(createdAtMs),
      sent_at: sentAtMs === null ? null : rfc3339(sentAtMs),
    })),
    events: events.map((event) => viewAuditEventFor(user.id, event)),
    notes: notes.map(viewNote),
  };
}

async function collectNewestEvents(kv: Deps["kv"], userId: string): Promise<AuditEventRecord[]> {
  const newest: AuditEventRecord[] = [];
  let startId: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof collectAuditEvents>> = await collectAuditEvents(kv, { userId }, {
      limit: PAGE,
      startId,
    });
    newest.push(...page.items);
    startId = page.nextId;
  } while (startId !== null && newest.length < EVENTS_MAX);
  return newest;
}

async function collectAllNotes({ kv }: Pick<Deps, "kv">, userId: string): Promise<NoteRecord[]> {
  const all: NoteRecord[] = [];
  let startId: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof collectNotes>> = await collectNotes(kv, userId, {
      limit: PAGE,
      startId,
    });
    all.push(...page.notes);
    startId = page.nextId;
  } while (startId !== null);
  return all;
}
