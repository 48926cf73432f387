// Where an event of the audit trail is found besides under its id: among those of an account, and of a type. Whoever
// takes an event out of there hides it from who looks for it, so that the proof of the trail is also one of these.

import { isDeepStrictEqual } from "node:util";
import type { AuditEventRecord, AuditPlaceRecord } from "./audit_event.ts";
import { keys } from "./keys.ts";
import { isPresent, type Key, type Kv, type Present } from "./kv.ts";
import { findAll } from "./page.ts";

/** Stands where an id would, for who has no account. */
export const NOBODY = "nobody";

/** Every place of an event: with who it happened to, with who did it, and with its type. */
export function placesOf(
  { id, type, userId, actorId }: Pick<AuditEventRecord, "id" | "type" | "userId" | "actorId">,
): Key<AuditPlaceRecord>[] {
  // With nobody too: an address without an account must cost the same.
  const concerned = new Set([userId ?? actorId ?? NOBODY, actorId ?? userId ?? NOBODY]);
  return [keys.auditEventOn(type, id), ...[...concerned].map((account) => keys.auditEventOf(account, id))];
}

/** What stands at each of them. */
export function placeOf(
  { id: eventId, expiresAtMs }: Pick<AuditEventRecord, "id" | "expiresAtMs">,
): AuditPlaceRecord {
  return { eventId, expiresAtMs };
}

/** A sentence for each of these events that has not ended and is not found in all of its places. */
export async function findMissingPlaces(kv: Kv, events: readonly AuditEventRecord[]): Promise<string[]> {
  const wanted = events.flatMap((event) => placesOf(event).map((place) => ({ event, place })));
  const entries = await findAll(kv, wanted.map(({ place }) => place));
  const nowMs = kv.nowMs();
  return wanted
    .filter(({ event }, index) =>
      event.expiresAtMs > nowMs && !isDeepStrictEqual(entries[index]?.value, placeOf(event))
    )
    .map(({ event, place }) => `Event ${event.id} is hidden: it should be found at ${place.path.join("/")}`);
}

/** A sentence for each of these places that leads to no event, or to one that does not belong there. */
export async function findStrayPlaces(
  kv: Kv,
  places: readonly Present<AuditPlaceRecord>[],
): Promise<string[]> {
  const events = await findAll(kv, places.map(({ key }) => keys.auditEvent(String(key.path.at(-1)))));
  const nowMs = kv.nowMs();
  const isRight = ({ key, value }: Present<AuditPlaceRecord>, index: number): boolean => {
    const event = events[index];
    // An event ends together with its places. Somebody else may have written here, whatever it is.
    if (!event || !isPresent(event)) return value?.expiresAtMs <= nowMs;
    return placesOf(event.value).some(({ path }) => isDeepStrictEqual(path, key.path));
  };
  return places.filter((place, index) => !isRight(place, index))
    .map(({ key }) => `What stands at ${key.path.join("/")} leads to no event of that account or type`);
}
