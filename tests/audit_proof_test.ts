// The proof of the audit trail: whole, whatever a server does, however many do it at once, and whatever has ended; and
// not whole after any other change to any of its records.

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { requestPasswordReset } from "../openapi/passwords.ts";
import { login } from "../openapi/sessions.ts";
import { deleteUser, updateUser } from "../openapi/users.ts";
import { addAuditEvents, type AuditDeps, insertAuditEvent } from "../src/store/audit.ts";
import type { AuditEventRecord } from "../src/store/audit_event.ts";
import { placeOf, placesOf } from "../src/store/audit_places.ts";
import { type AuditAnchor, proveAudit } from "../src/store/audit_proof.ts";
import { anyone, OPERATOR, owner } from "../src/store/client.ts";
import { removeUser } from "../src/store/deletion.ts";
import { keys } from "../src/store/keys.ts";
import { WRONG_PASSWORD } from "./audit_acts.ts";
import { FROM, openScene, type Scene } from "./audit_scene.ts";
import { DAY_MS, HOUR_MS, startServer, type TestServer, UNKNOWN_ID, UNLIMITED } from "./harness.ts";
import { type MailStore, openMailStore } from "./mail_setup.ts";
import { type Person, signUp } from "./person.ts";
import { createSecondInstance } from "./second_instance.ts";

type Store = Pick<MailStore, "kv" | "db" | "secrets" | "clock">;

async function faultsOf({ kv, secrets }: Store, anchor: AuditAnchor = {}): Promise<readonly string[]> {
  return (await proveAudit(kv, secrets, { anchor })).faults;
}

/** Every event, oldest first, also such as have ended and are not swept yet. */
async function eventsIn({ db }: Pick<Store, "db">): Promise<AuditEventRecord[]> {
  const prefix = keys.auditEvents().path;
  return (await Array.fromAsync(db.list<AuditEventRecord>({ prefix }))).map(({ value }) => value);
}

/** A store's own trail: one event of an operator after the other, in one chain. */
function tell({ kv, secrets }: Store, auditRetentionMs = DAY_MS): Promise<true> {
  const deps: AuditDeps = { kv, secrets, config: { auditRetentionMs } };
  return insertAuditEvent(deps, { type: "users_exported", actor: OPERATOR, userId: null });
}

/** What the store does by itself, by a clock that no test can set. */
async function sweep({ db, clock }: Store): Promise<void> {
  for await (const { key, value } of db.list<{ readonly expiresAtMs?: number }>({ prefix: [] })) {
    if ((value.expiresAtMs ?? Infinity) <= clock.nowMs) await db.delete(key);
  }
}

Deno.test("audit: an empty trail is whole", async () => {
  using store = await openMailStore();
  assert.deepEqual(await proveAudit(store.kv, store.secrets), { eventCount: 0, faults: [], anchor: {} });
});

Deno.test("audit: 200 parallel events of 20 accounts, on two servers over one store, are all told", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const second = await createSecondInstance(server);
  const people: Person[] = [];
  for (let index = 0; index < 20; index++) {
    people.push(await signUp(server, { email: `person${index}@example.org` }));
  }
  const attempt = async (index: number): Promise<number> => {
    const json = { email: people[index % 20]?.email };
    const ip = `198.51.100.${index % 50}`;
    if (index % 2 === 0) return (await server.call(requestPasswordReset, { json, ip })).status;
    const request = new Request(`http://localhost:8000${requestPasswordReset.path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(json),
    });
    const info = { remoteAddr: { transport: "tcp", hostname: ip, port: 50_000 } };
    return (await second.fetch(request, info)).status;
  };
  const statuses = await Promise.all(Array.from({ length: 200 }, (_, index) => attempt(index)));
  assert.deepEqual(new Set(statuses), new Set([202]));
  const store = { ...server, secrets: server.deps.secrets };
  const sent = (await eventsIn(store)).filter(({ userId, details }) =>
    userId !== null && details.purpose === "password_reset"
  );
  assert.equal(sent.length, 200);
  assert.deepEqual(
    [...new Set(sent.map(({ userId }) => userId))].sort(),
    people.map(({ id }) => id).sort(),
  );
  assert.deepEqual(await faultsOf(store), []);
});

Deno.test("audit: the order of a chain outlives two events in one millisecond and a clock that is set back", async () => {
  using store = await openMailStore();
  for (const stepMs of [0, 0, 1, -HOUR_MS, 0, 5, HOUR_MS]) {
    store.clock.nowMs += stepMs;
    await tell(store);
  }
  const events = await eventsIn(store);
  assert.deepEqual(events.map(({ number }) => number), [1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(await faultsOf(store), []);
});

Deno.test("audit: a trail is whole while its events end, also when AUDIT_RETENTION was changed in between", async () => {
  using store = await openMailStore();
  const retentions = [24, 24, 24, 2, 2, 24, 48, 2, 2, 2, 24];
  for (const hours of retentions) {
    store.clock.nowMs += HOUR_MS;
    await tell(store, hours * HOUR_MS);
    assert.deepEqual(await faultsOf(store), []);
  }
  for (let hour = 0; hour < 60; hour++) {
    store.clock.nowMs += HOUR_MS;
    if (hour % 2 === 0) await sweep(store);
    assert.deepEqual(await faultsOf(store), [], `after ${hour} hours`);
    await assertEachIsMissed(store);
  }
  assert.equal((await proveAudit(store.kv, store.secrets)).eventCount, 0);
  await tell(store);
  assert.deepEqual(await faultsOf(store), []);
});

Deno.test("audit: what strangers do ends after a week where it concerns no account, and the trail stays whole", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const store = { ...server, secrets: server.deps.secrets };
  const ada = await signUp(server);
  const isNobodys = ({ actorKind, userId }: AuditEventRecord): boolean =>
    actorKind === "anyone" && userId === null;
  for (const email of [ada.email, "nobody@example.org", "nobody.else@example.org"]) {
    for (let time = 0; time < 5; time++) {
      server.clock.nowMs += HOUR_MS;
      await server.call(requestPasswordReset, { json: { email } });
      await server.call(login, { json: { email, password: WRONG_PASSWORD } });
    }
  }
  await tell(store, server.deps.config.auditRetentionMs);
  const told = await eventsIn(store);
  assert.equal(told.filter(isNobodys).length, 21, "ten of each address, and the code of ada's registration");
  const { anchor } = await proveAudit(store.kv, store.secrets);

  server.clock.nowMs += 7 * DAY_MS - HOUR_MS;
  await sweep(store);
  assert.equal((await eventsIn(store)).filter(isNobodys).length, 2, "those of the last hour");
  server.clock.nowMs += HOUR_MS;
  await sweep(store);
  assert.deepEqual(await eventsIn(store), told.filter((event) => !isNobodys(event)));
  assert.deepEqual(await faultsOf(store, anchor), []);
  await assertEachIsMissed(store);
});

Deno.test("audit: requests about accounts and about nobody wait for each other, so that none tells which it is", async () => {
  using store = await openMailStore();
  const deps = { ...store, config: { auditRetentionMs: 365 * DAY_MS } };
  const actor = anyone({ address: "192.0.2.1", networkHash: "n", userAgent: null, requestId: "r" });
  const drafts = [UNKNOWN_ID, null].map((userId) => ({ type: "code_sent", actor, userId }) as const);
  for (const [draft, other] of [drafts, drafts.toReversed()]) {
    assert(draft && other);
    const change = store.kv.change();
    await addAuditEvents(deps, change, [draft]);
    // Chains are drawn: by then every one of the others has been written.
    for (let time = 0; time < 2_000; time++) await insertAuditEvent(deps, other);
    assert.equal(await change.commit(), false);
  }
});

/** Takes out one event after the other, with all its places, and puts it back. */
async function assertEachIsMissed(store: Store): Promise<void> {
  for (const event of await eventsIn(store)) {
    if (event.expiresAtMs <= store.clock.nowMs) continue;
    const places = placesOf(event);
    await store.kv.change().remove(keys.auditEvent(event.id), ...places).commit();
    const [fault, ...others] = await faultsOf(store);
    assert.match(fault ?? "", new RegExp(`^Chain ${event.chain} (does not lead|ends at event)`));
    assert.deepEqual(others, []);
    const change = store.kv.change().set(keys.auditEvent(event.id), event);
    for (const place of places) change.set(place, placeOf(event));
    await change.commit();
  }
}

Deno.test("audit: the proof holds while events are added, and while those of a deleted account are wiped", async () => {
  await using scene = await openScene();
  const { server, ada } = scene;
  const { kv, deps } = server;
  const client = { address: "192.0.2.9", networkHash: "n", userAgent: null, requestId: "r" };
  const draft = { type: "profile_changed", actor: owner(ada.id, client), userId: ada.id } as const;
  for (let commit = 0; commit < 12; commit++) {
    const change = kv.change();
    await addAuditEvents(deps, change, Array.from({ length: 100 }, () => draft));
    assert(await change.commit());
  }
  let isOver = false;
  const writers = Array.from({ length: 8 }, async (_, index) => {
    for (let events = 0; !isOver; events++) {
      server.clock.nowMs++;
      const actor = anyone({ ...client, networkHash: `${index} ${events}` });
      await insertAuditEvent(deps, { type: "sign_in_failed", actor, userId: null });
    }
  });
  const deletion = removeUser(deps, ada.id, OPERATOR);
  for (let proofs = 0; proofs < 12; proofs++) {
    const { faults, eventCount } = await proveAudit(kv, deps.secrets);
    assert.deepEqual(faults, []);
    assert(eventCount > 1_200);
  }
  isOver = true;
  await Promise.all([...writers, deletion]);
});

Deno.test("audit: a head that is put back to what it was is found, before the next event and after it", async () => {
  using store = await openMailStore();
  await tell(store);
  const prefix = keys.auditHeads().path;
  const [before] = await Array.fromAsync(store.db.list({ prefix }));
  assert(before);
  await tell(store);
  await tell(store);
  await store.db.set(before.key, before.value);
  const [, , newest] = await eventsIn(store);
  assert.deepEqual(await faultsOf(store), [
    `Event ${newest?.id} is event 3 of chain ${newest?.chain}, whose head has only come to 1`,
  ]);
  await tell(store);
  assert.match((await faultsOf(store)).join(), /whose head has only come to 2/);
  for (let events = 0; events < 2; events++) await tell(store);
  assert.match((await faultsOf(store)).join(), /does not lead from event \d to event \d/);
});

/** Something of everything: chains, an account that is gone, events that have ended. */
async function furnishTrail({ server, ada, admin }: Scene): Promise<void> {
  const { deps, clock } = server;
  const onAda = { token: admin.accessToken, params: { user_id: ada.id } };
  await server.call(updateUser, { ...onAda, json: { plan: "premium", role: "admin" } });
  for (let network = 0; network < 3; network++) {
    const json = { email: ada.email, password: WRONG_PASSWORD };
    for (let attempts = 0; attempts < 3; attempts++) {
      await server.call(login, { ...FROM, json, ip: `198.51.100.${network}` });
    }
  }
  const client = { address: "192.0.2.9", networkHash: "n", userAgent: null, requestId: "r" };
  const short = { ...deps, config: { auditRetentionMs: HOUR_MS } };
  for (let events = 0; events < 3; events++) {
    await insertAuditEvent(short, { type: "sign_in_failed", actor: anyone(client), userId: null });
    clock.nowMs += HOUR_MS / 2;
  }
  await server.call(deleteUser, onAda);
  await server.mails();
}

/** A record of the trail and what becomes of it; `other` is another record of the same kind. */
interface Tampering {
  readonly target: Deno.KvEntry<unknown>;
  readonly other: Deno.KvEntry<unknown>;
  readonly kind: "remove" | "replace" | "junk" | "add" | "copy" | "swap" | "wipe";
  readonly member: number;
  readonly value: unknown;
}

/** Does it; gives what stood there before. Null when it changes nothing, or is what a deletion does. */
async function tamper(
  { server: { db }, ada }: Scene,
  { target, other, kind, member, value }: Tampering,
): Promise<(() => Promise<void>) | null> {
  const record = target.value as Record<string, unknown>;
  const [name = ""] = Object.keys(record).slice(member % Object.keys(record).length);
  const restore = async (): Promise<void> => {
    await db.set(target.key, target.value);
    await db.set(other.key, other.value);
  };
  switch (kind) {
    case "remove":
      await db.delete(target.key);
      return restore;
    case "replace": {
      if (Object.is(record[name], value)) return null;
      const isWiped = name === "origin" && value === null;
      if (isWiped && (record.actorId ?? record.userId) === ada.id) return null;
      await db.set(target.key, { ...record, [name]: value });
      return restore;
    }
    case "junk":
      await db.set(target.key, value);
      return restore;
    case "add":
      await db.set(target.key, { ...record, another: value ?? 0 });
      return restore;
    case "copy": {
      const key = [...target.key.slice(0, -1), "01981f6e-7a4c-7d1e-9b60-2f5d1c8e4a10"];
      await db.set(key, target.value);
      return () => db.delete(key);
    }
    case "swap":
      // Of one event all places say the same.
      if (isDeepStrictEqual(target.value, other.value)) return null;
      await db.atomic().set(target.key, other.value).set(other.key, target.value).commit();
      return restore;
    case "wipe":
      if (record.origin === null || record.origin === undefined) return null;
      await db.set(target.key, { ...record, origin: { ...record.origin, ip: value } });
      return restore;
  }
}

Deno.test("audit: any change to any record of the trail is found, but for what a deletion wipes", async () => {
  await using scene = await openScene();
  const { server } = scene;
  await furnishTrail(scene);
  const store: Store & Pick<TestServer, "db"> = { ...server, secrets: server.deps.secrets };
  const { faults, anchor } = await proveAudit(store.kv, store.secrets);
  assert.deepEqual(faults, []);
  const entries = await Array.fromAsync(server.db.list<{ readonly expiresAtMs?: number }>({ prefix: [] }));
  const trail = entries.filter(({ key, value }) =>
    String(key[0]).startsWith("audit_") && server.clock.nowMs < (value.expiresAtMs ?? Infinity)
  );
  const byKind = [...Map.groupBy(trail, ({ key }) => key[0]).values()];
  assert.equal(byKind.length, 4);

  const target = fc.constantFrom(...byKind).chain((records) =>
    fc.record({ target: fc.constantFrom(...records), other: fc.constantFrom(...records) })
  );
  const tampering = fc.record({
    kind: fc.constantFrom<Tampering["kind"]>(
      "remove",
      "replace",
      "replace",
      "junk",
      "add",
      "copy",
      "swap",
      "wipe",
    ),
    member: fc.nat(20),
    value: fc.oneof(
      fc.constantFrom(
        null,
        "",
        0,
        -1,
        1n,
        true,
        [],
        "admin",
        server.clock.nowMs,
        server.clock.nowMs + DAY_MS,
      ),
      fc.string(),
      fc.integer(),
      fc.dictionary(fc.string(), fc.string()),
    ),
  });
  let tries = 0;
  await fc.assert(
    fc.asyncProperty(target, tampering, async (records, how) => {
      const restore = await tamper(scene, { ...records, ...how });
      if (!restore) return;
      tries++;
      const found = await faultsOf(store, anchor);
      await restore();
      assert.notDeepEqual(found, []);
    }),
    { numRuns: 400 },
  );
  assert(tries > 200, `${tries} changes`);
  assert.deepEqual(await faultsOf(store, anchor), []);
});
