// Every sort of record in a store that has something of everything: removed, copied to where it does not belong, and
// altered in each of its members. A check finds it, or it stands here why nothing could.

import assert from "node:assert/strict";
import { newId } from "../src/id.ts";
import { keys } from "../src/store/keys.ts";
import type { Present } from "../src/store/kv.ts";
import { rulesByKind } from "../src/store_check/kinds.ts";
import { START_MS } from "./harness.ts";
import { collectAll, findFaults, openScene, withDamage } from "./store_check_scene.ts";

/** What nobody could miss, or tell from what is right. */
const unnoticed: readonly { readonly why: string; readonly of: string; readonly damages: string }[] = [
  { why: "Said by the person", of: "users", damages: "name locale" },
  { why: "Said by the person", of: "notes", damages: "title body" },
  {
    why: "Told nowhere else",
    of: "users",
    damages: "isEmailVerified createdAtMs updatedAtMs lastLoginAtMs codeEpoch",
  },
  { why: "Told nowhere else", of: "notes", damages: "createdAtMs updatedAtMs" },
  { why: "Told nowhere else", of: "note_counts", damages: "newestIdMs" },
  { why: "Only who knows the password can tell", of: "credentials", damages: "passwordHash changedAtMs" },
  {
    why: "The username stands sealed in the challenge",
    of: "usernames registration",
    damages: "removed copied emailHash",
  },

  { why: "It can end at any time, before its used tokens", of: "sessions", damages: "removed" },
  {
    why: "Told nowhere else, or hashed",
    of: "sessions",
    damages: "createdAtMs lastUsedAtMs refreshHash refreshExpiresAtMs expiresAtMs endsAtMs ip userAgent",
  },
  { why: "It outlives its session", of: "used_refresh_tokens", damages: "removed copied sessionId" },
  {
    why: "Told nowhere else",
    of: "used_refresh_tokens",
    damages: "rotatedAtMs successorNonce successorExpiresAtMs expiresAtMs",
  },
  {
    why: "An account knows any number of them",
    of: "known_networks",
    damages: "removed copied scrawled lastSignInAtMs expiresAtMs",
  },

  { why: "Its code can be used at any time", of: "challenges email_change", damages: "removed" },
  { why: "Its code can be used at any time", of: "challenges account_deletion", damages: "removed" },
  {
    why: "An address can have any number of them",
    of: "challenges password_reset",
    damages: "removed copied userId",
  },
  { why: "An address can have any number of them", of: "challenges registration", damages: "copied" },
  { why: "It outlives its code by far", of: "challenges registration", damages: "codeExpiresAtMs" },
  ...["registration", "password_reset", "email_change", "account_deletion"].map((purpose) => ({
    why: "Told nowhere else, or sealed under what only its owner has",
    of: `challenges ${purpose}`,
    damages: "codeEpoch codeHash codeNumber createdAtMs guessSubject guessesHeldAtMs resendAfterMs sealed " +
      `wrongGuesses${purpose === "registration" ? "" : " expiresAtMs"}`,
  })),
  { why: "It outlives its challenge", of: "current_challenges", damages: "expiresAtMs" },
  {
    why: "Hashed, and good only while the account's epoch is the same",
    of: "reset_tokens",
    damages: "removed copied scrawled userId codeEpoch expiresAtMs",
  },

  ...["queued", "sent"].map((state) => ({
    why: "Told nowhere else",
    of: `mails ${state}`,
    damages: "kind attempts reason createdAtMs retryDelayMs sendBeforeMs challenge sentAtMs",
  })),
  { why: "It is due no more", of: "mails sent", damages: "dueAtMs" },
  { why: "For development only", of: "mailbox", damages: "removed copied scrawled sealed expiresAtMs" },

  {
    why: "audit:verify tells, which has SECRET_KEY",
    of: "audit_events",
    damages: "actorKind cause details requestId atMs origin originHash previousExpiresAtMs",
  },
  {
    why: "audit:verify tells, which has SECRET_KEY",
    of: "audit_heads",
    damages: "newestIdMs newestExpiresAtMs proof",
  },
  { why: "doctor tells, which has SECRET_KEY", of: "signing_keys", damages: "publicJwk sealed createdAtMs" },
  { why: "A missing count is none", of: "windows", damages: "removed copied expiresAtMs" },
  { why: "A deletion that is finished has none", of: "tombstones", damages: "removed addressHash" },
  { why: "Whoever opens the store looks at it first", of: "store", damages: "scrawled schema createdAtMs" },
  { why: "Nobody asks what it says", of: "probe", damages: "removed scrawled atMs" },
  {
    why: "Only the process that wrote it asks",
    of: "receipts",
    damages: "removed copied scrawled number filling",
  },
];

/** Enough of one sort: they are all written alike. */
const SAMPLES = 3;

Deno.test("store check: knows every kind of record", () => {
  const { below: _below, ...kinds } = keys;
  for (const [name, make] of Object.entries(kinds)) {
    // Each takes ids, or records whose members are: which ones does not matter to the first part of the key.
    const { path } = (make as (...parts: unknown[]) => { readonly path: Deno.KvKey })({}, {});
    assert(rulesByKind.has(String(path[0])), `keys.${name} has no rules in src/store_check`);
  }
});

Deno.test("store check: finds whatever is done to any record, but for what nobody could", async () => {
  await using scene = await openScene();
  const { db } = scene;
  assert.deepEqual(await findFaults(scene), []);
  const unfound = new Set<string>();
  const sorts = Map.groupBy(await collectAll(db), sortOf);
  for (const record of [...sorts.values()].flatMap((records) => records.slice(0, SAMPLES))) {
    for (const { name, act } of damagesOf(db, record)) {
      await withDamage(scene, act, (faults) => {
        if (faults.length === 0) unfound.add(`${sortOf(record)} ${name}`);
      });
    }
  }
  const expected = unnoticed.flatMap(({ of, damages }) =>
    damages.split(" ").map((damage) => `${of} ${damage}`)
  );
  assert.deepEqual([...unfound].sort(), expected.sort());
});

interface Damage {
  readonly name: string;
  readonly act: () => Promise<unknown>;
}

function damagesOf(db: Deno.Kv, { key: { path }, value }: Present<unknown>): Damage[] {
  const elsewhere = [...path.slice(0, -1), otherThan(path.at(-1)) as Deno.KvKeyPart];
  const whole = [
    { name: "removed", act: () => db.delete(path) },
    // To a server it is not there then.
    { name: "removed", act: () => db.set(path, null) },
    { name: "scrawled", act: () => db.set(path, 7) },
    ...(path.length === 1 ? [] : [{ name: "copied", act: () => db.set(elsewhere, value) }]),
  ];
  if (typeof value !== "object" || value === null) {
    return [...whole, { name: "altered", act: () => db.set(path, otherThan(value)) }];
  }
  const members = Object.entries(value).map(([member, old]) => ({
    name: member,
    act: () => db.set(path, { ...value, [member]: otherThan(old) }),
  }));
  return [...whole, ...members];
}

/** Something else of the same form. */
function otherThan(old: unknown): unknown {
  if (typeof old === "number") return old + 1;
  if (typeof old === "boolean") return !old;
  if (typeof old !== "string") return old === null ? "something" : null;
  return /^[\da-f-]{36}$/.test(old) ? newId(START_MS) : `${old}x`;
}

/** Its kind, and what else decides what is expected of it. */
function sortOf({ key, value }: Present<unknown>): string {
  const kind = String(key.path[0]);
  const deciding = { mails: "state", challenges: "purpose", usernames: "owner" }[kind];
  // Records of these kinds are objects that have it.
  return deciding === undefined ? kind : `${kind} ${(value as Record<string, unknown>)[deciding]}`;
}
