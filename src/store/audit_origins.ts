// What is wiped from the audit trail when an account is deleted: from where it acted, and from where others tried to be
// it. The events stay, with ids only, and so does the hash of what was wiped: the chain still proves itself.

import { ownerOfOrigin } from "./audit_event.ts";
import { keys } from "./keys.ts";
import { isPresent, type Kv } from "./kv.ts";
import { findAll, pagesOf } from "./page.ts";

/** Events rewritten in one commit; well below what a commit can hold. */
const STEP = 100;

/** Wipes the origins of an account's events. Can be repeated; the account is gone by then, so that none is added. */
export async function wipeOrigins(kv: Kv, userId: string): Promise<void> {
  for await (const places of pagesOf(kv, keys.auditEventsOf(userId), STEP)) {
    const events = await findAll(kv, places.map(({ value }) => keys.auditEvent(value.eventId)));
    const change = kv.change();
    for (const event of events) {
      if (!isPresent(event) || event.value.origin === null || ownerOfOrigin(event.value) !== userId) continue;
      change.set(event.key, { ...event.value, origin: null });
    }
    await change.commit();
  }
}
