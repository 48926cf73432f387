// The audit trail, as far as it shows without SECRET_KEY: every event is found where it belongs, and its origin goes
// with the account. Whether one was altered is for src/store/audit_proof.ts.

import { isDeepStrictEqual } from "node:util";
import { type AuditEventRecord, type AuditPlaceRecord, ownerOfOrigin } from "../store/audit_event.ts";
import { placeOf, placesOf } from "../store/audit_places.ts";
import { keys } from "../store/keys.ts";
import type { Present } from "../store/kv.ts";
import { nameOf } from "./examiner.ts";
import {
  expectAt,
  type Expectation,
  expectThat,
  ownedBy,
  part,
  type Rule,
  ruleFor,
  standsAt,
} from "./expectation.ts";

const eventRule = ruleFor(keys.auditEvents(), (record) => {
  const event = record.value;
  const owner = ownerOfOrigin(event);
  return [
    standsAt(record, keys.auditEvent(event.id)),
    ...placesOf(event).map((place) =>
      expectAt(
        place,
        (there) => isDeepStrictEqual(there, placeOf(event)),
        `is not found at ${nameOf(place)}`,
      )
    ),
    ...(event.origin === null || owner === null
      ? []
      : [{ ...ownedBy(owner), fault: "tells from where an account acted that is gone" }]),
  ];
});

const userPlaceRule = ruleFor(keys.auditPlacesByUser(), expectEvent);
const typePlaceRule = ruleFor(keys.auditPlacesByType(), expectEvent);

const headRule = ruleFor(keys.auditHeads(), ({ value: { number, hash, newestExpiresAtMs } }) => [
  expectThat(number > 0 && hash.length > 0 && newestExpiresAtMs > 0, "is the head of no chain"),
]);

function expectEvent(record: Present<AuditPlaceRecord>): readonly Expectation[] {
  const isOfHere = (event: AuditEventRecord): boolean =>
    placesOf(event).some(({ path }) => isDeepStrictEqual(path, record.key.path));
  return [
    expectAt(
      keys.auditEvent(part(record, 2)),
      (event) => event !== null && isOfHere(event),
      "leads to no event of that account or type",
    ),
  ];
}

export const auditRules: readonly Rule[] = [eventRule, userPlaceRule, typePlaceRule, headRule];
