// Events of the audit trail as they are looked up, newest first: all, of one account, or of one type.

import type { AuditEventRecord, AuditPlaceRecord, AuditType } from "./audit_event.ts";
import type { Key, Kv } from "./kv.ts";
import { keys } from "./keys.ts";
import {
  collectNewest,
  fillPage,
  type ItemPage,
  type PageQuery,
  type Source,
  sourceOfIds,
  sourceOfRecords,
} from "./page.ts";

/** Which events: those that an account did or that happened to it, and of these or all those of a type. */
export interface AuditFilter {
  readonly userId?: string | undefined;
  readonly types?: readonly AuditType[] | undefined;
}

/** How many events one page of a list may look at. */
const LOOKS_MAX = 5_000;

/** A page of the trail. It can be short, as `fillPage` says, when few of an account's events are of the types. */
export function collectAuditEvents(
  kv: Kv,
  { userId, types }: AuditFilter,
  query: PageQuery,
): Promise<ItemPage<AuditEventRecord>> {
  const isWanted = ({ type }: AuditEventRecord): boolean => types?.includes(type) ?? true;
  return fillPage(sourceOf(kv, { userId, types }), query, { isWanted, looksMax: LOOKS_MAX });
}

function sourceOf(kv: Kv, { userId, types }: AuditFilter): Source<AuditEventRecord> {
  if (userId !== undefined) return sourceOfPlaces(kv, keys.auditEventsOf(userId));
  const [only, other] = types ?? [];
  if (only !== undefined && other === undefined) return sourceOfPlaces(kv, keys.auditEventsOn(only));
  return sourceOfRecords(kv, keys.auditEvents());
}

function sourceOfPlaces(kv: Kv, prefix: Key<AuditPlaceRecord>): Source<AuditEventRecord> {
  return sourceOfIds(
    kv,
    keys.auditEvent,
    async (query) => (await collectNewest(kv, prefix, query)).map(({ eventId }) => eventId),
  );
}
