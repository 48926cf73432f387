// Guards around the audit trail: that every event is told, with what it tells of, and that nobody alters or removes one
// unseen.

import type { Guard } from "./guard.ts";

const AUDIT = "src/store/audit.ts";
const PROOF = "src/store/audit_proof.ts";
const ANY_CHANGE = "audit: any change to any record of the trail is found, but for what a deletion wipes";

export const audit: readonly Guard[] = [
  {
    name: "events of one chain are put in order by a check on its head",
    file: AUDIT,
    find: "change.check(head, ...owners);",
    put: "change.check(...owners);",
    red: [
      "audit_proof_test.ts",
      "audit: 200 parallel events of 20 accounts, on two servers over one store, are all told",
    ],
  },
  {
    name: "an event that comes at the moment of a deletion keeps no address",
    file: AUDIT,
    find: "change.check(head, ...owners);",
    put: "change.check(head);",
    red: [
      "audit_deletion_test.ts",
      "audit: a sign-in with a wrong password at the moment of the deletion leaves no trace of from where",
    ],
  },
  {
    name: "an event of an account that is gone keeps no address",
    file: AUDIT,
    find: "const origin = isTraced ? originOf(draft.actor) : null;",
    put: "const origin = isTraced === null ? null : originOf(draft.actor);",
    red: [
      "audit_deletion_test.ts",
      "audit: a sign-in with a wrong password at the moment of the deletion leaves no trace of from where",
    ],
  },
  {
    name: "an act and its event are one commit",
    file: "src/store/passwords.ts",
    find:
      'await addAuditEvents(deps, change, [{ type: "password_reset", actor: owner(userId, client), userId }]);\n' +
      "    return await change.commit() || LOST;",
    put: "const isDone = await change.commit();\n    const told = kv.change();\n" +
      '    if (isDone) await addAuditEvents(deps, told, [{ type: "password_reset", actor: owner(userId, client), userId }]);\n' +
      "    return isDone && await told.commit() || LOST;",
    red: [
      "audit_test.ts",
      "audit: an act and its events are written both or not at all, though nobody hears of it",
    ],
  },
  {
    name: "a failed sign-in is told",
    file: "src/routes/sessions.ts",
    find: 'await insertAuditEvent(deps, { type: "sign_in_failed", actor, userId, cause });',
    put: 'if (cause === "") await insertAuditEvent(deps, { type: "sign_in_failed", actor, userId, cause });',
    red: ["audit_test.ts", "audit: every type of event comes about as the tables say, and is told as it was"],
  },
  {
    name: "who takes an account's data along is told of first",
    file: "src/routes/account.ts",
    find: 'await insertAuditEvent(deps, { type: "data_exported", actor: owner(userId, client), userId });',
    put: "void [insertAuditEvent, owner, client];",
    red: ["audit_test.ts", "audit: every type of event comes about as the tables say, and is told as it was"],
  },
  {
    name: "two events of one millisecond, or of a clock that is set back, keep their order",
    file: AUDIT,
    find: "return Math.max(atMs, newestIdMs + 1);",
    put: "return newestIdMs < 0 ? 0 : atMs;",
    red: [
      "audit_proof_test.ts",
      "audit: the order of a chain outlives two events in one millisecond and a clock that is set back",
    ],
  },
  {
    name: "without SECRET_KEY nobody alters an event unseen",
    file: PROOF,
    find: "return event.id === nameOf(entry) && hashOfEvent(secrets, event) === hash;",
    put: "return event.id === nameOf(entry) && hash !== null;",
    red: ["audit_proof_test.ts", ANY_CHANGE],
  },
  {
    name: "an event that stands in the place of another one is found",
    file: PROOF,
    find: "return event.id === nameOf(entry) && hashOfEvent",
    put: "return hashOfEvent",
    red: [
      "cli_audit_test.ts",
      "audit:verify beside a server: a whole trail is whole, and every tampering is found and named",
    ],
  },
  {
    name: "an event that was taken out is missed by the next one",
    file: PROOF,
    find: "  if (!isNext(event, before, nowMs)) {",
    put: "  if (!isNext(event, before, nowMs) && nowMs < 0) {",
    red: [
      "cli_audit_test.ts",
      "audit:verify beside a server: a whole trail is whole, and every tampering is found and named",
    ],
  },
  {
    name: "the newest events that were taken out are missed by the head",
    file: PROOF,
    find: "if (last.hash === hash || newestExpiresAtMs <= nowMs) continue;",
    put: "if (last.hash !== '' || hash !== '' || newestExpiresAtMs <= nowMs) continue;",
    red: [
      "cli_audit_test.ts",
      "audit:verify beside a server: a whole trail is whole, and every tampering is found and named",
    ],
  },
  {
    name: "a head that was altered is found",
    file: PROOF,
    find: "return proofOfHead(secrets, chain, head) === proof;",
    put: "return proofOfHead(secrets, chain, head) !== '' || proof === '';",
    red: ["audit_proof_test.ts", ANY_CHANGE],
  },
  {
    name: "a whole trail that was put back to what it was is found by its anchor",
    file: PROOF,
    find: "if (reached >= number || altered.includes(chain)) continue;",
    put: "if (reached >= 0 || number >= 0 || altered.includes(chain)) continue;",
    red: [
      "cli_audit_test.ts",
      "audit:verify beside a server: a whole trail is whole, and every tampering is found and named",
    ],
  },
  {
    name: "an event that is hidden from the lists is found",
    file: PROOF,
    find: "    faults.push(...await findMissingPlaces(kv, events));\n",
    put: "",
    red: ["audit_proof_test.ts", ANY_CHANGE],
  },
  {
    name: "an origin that was altered is found",
    file: PROOF,
    find: "if (origin !== null && !holds(() => hashOfOrigin(origin) === originHash)) {",
    put: "if (origin !== null && originHash === '') {",
    red: ["audit_proof_test.ts", ANY_CHANGE],
  },
  {
    name: "an origin that was wiped although its account is there is found",
    file: PROOF,
    find: "  faults.push(...await findLostOrigins(kv, walk));\n",
    put: "",
    red: [
      "cli_audit_test.ts",
      "audit:verify beside a server: a whole trail is whole, and every tampering is found and named",
    ],
  },
  {
    name: "which requests wait for each other does not tell whether an address has an account",
    file: AUDIT,
    find: "isStranger ? randomText(1) : digest(",
    put: "isStranger === null ? randomText(1) : digest(",
    red: [
      "audit_secrecy_test.ts",
      "audit: who else is served at that moment does not tell whether an address has an account",
    ],
  },
  {
    name: "telling of an address that nobody has costs the same",
    file: AUDIT,
    find:
      "return drafts.map((draft) => ownerOf(draft) ?? NOBODY)\n    .filter((id, index, all) => id === NOBODY || all.indexOf(id) === index);",
    put: "return drafts.map(ownerOf).filter((id) => id !== null && id !== NOBODY)\n" +
      "    .filter((id, index, all) => all.indexOf(id) === index) as string[];",
    red: ["audit_secrecy_test.ts", "audit: login costs the same whether or not the address has an account"],
  },
  {
    name: "reading an account that nobody has costs the same",
    file: "src/store/users.ts",
    find: '  const userId = index.value ?? "nobody";\n',
    put: "  const userId = index.value;\n  if (userId === null) return null;\n",
    red: ["audit_secrecy_test.ts", "audit: login costs the same whether or not the address has an account"],
  },
];
