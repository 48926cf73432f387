// `deno task audit:verify` beside a running server: whatever an intruder does to the store's trail, it ends with status 1
// and says where. Only who put back everything to what it was is told by an ANCHOR alone.

import assert from "node:assert/strict";
import { login } from "../openapi/sessions.ts";
import type { AuditEventRecord } from "../src/store/audit_event.ts";
import { placesOf } from "../src/store/audit_places.ts";
import { keys } from "../src/store/keys.ts";
import { openDatabase } from "../src/store/open.ts";
import { STRANGER, WRONG_PASSWORD } from "./audit_acts.ts";
import { PASSWORD, UNKNOWN_ID, UNLIMITED } from "./harness.ts";
import { createSite, type Site } from "./process.ts";
import { requireTask, runTask } from "./tool_run.ts";

const ROOT = "root@example.org";
const ADMIN = ["--email", ROOT, "--password-stdin"];
const OTHER_KEY = { SECRET_KEY: "7Vb2xk0Qm9ZtRrY4sWcL1pHdJ8gNfEuA" };

type Trail = readonly Deno.KvEntry<unknown>[];

/** Somebody who can write to the store, and does not have SECRET_KEY. */
interface Intruder extends Disposable {
  readonly db: Deno.Kv;
  /** The events of the longest chain, oldest first. */
  chain(): Promise<[AuditEventRecord, AuditEventRecord, ...AuditEventRecord[]]>;
  /** Takes an event out, with everything that leads to it. */
  takeOut(event: AuditEventRecord): Promise<void>;
  copy(): Promise<Trail>;
  putBack(trail: Trail): Promise<void>;
}

async function breakIn({ storePath }: Site): Promise<Intruder> {
  const db = await openDatabase(storePath);
  const copy = async (): Promise<Trail> =>
    (await Array.fromAsync(db.list({ prefix: [] }))).filter(({ key }) => String(key[0]).startsWith("audit_"));
  return {
    db,
    copy,
    async chain() {
      const prefix = keys.auditEvents().path;
      const events = await Array.fromAsync(db.list<AuditEventRecord>({ prefix }));
      const chains = Map.groupBy(events.map(({ value }) => value), ({ chain }) => chain);
      const [first, second, ...rest] = [...chains.values()].sort((a, b) => b.length - a.length)[0] ?? [];
      assert(first && second && rest.length > 1);
      return [first, second, ...rest];
    },
    async takeOut(event) {
      await db.delete(keys.auditEvent(event.id).path);
      for (const { path } of placesOf(event)) await db.delete(path);
    },
    async putBack(trail) {
      for (const { key } of await copy()) await db.delete(key);
      for (const { key, value } of trail) await db.set(key, value);
    },
    [Symbol.dispose]: () => db.close(),
  };
}

/** Signs in, and fails to. */
async function live(site: Site): Promise<void> {
  for (const json of [{ email: ROOT, password: PASSWORD }, { email: STRANGER, password: PASSWORD }]) {
    await site.call(login, { json });
    await site.call(login, { json: { ...json, password: WRONG_PASSWORD } });
  }
}

const tamperings: readonly {
  readonly name: string;
  readonly act: (intruder: Intruder) => Promise<unknown>;
  readonly says: (chain: readonly AuditEventRecord[]) => string;
  readonly isAnchorNeeded?: boolean;
}[] = [
  {
    name: "alters what an event says",
    act: async ({ db, chain }) => {
      const [, event] = await chain();
      await db.set(keys.auditEvent(event.id).path, { ...event, cause: "account_unknown ", details: {} });
    },
    says: ([, event]) => `Event ${event?.id} was altered`,
  },
  {
    name: "alters from where somebody came",
    act: async ({ db, chain }) => {
      const [, event] = await chain();
      assert(event.origin);
      await db.set(keys.auditEvent(event.id).path, {
        ...event,
        origin: { ...event.origin, ip: "192.0.2.7" },
      });
    },
    says: ([, event]) => `The origin of event ${event?.id} was altered`,
  },
  {
    name: "wipes from where somebody came",
    act: async ({ db, chain }) => {
      const [, event] = await chain();
      await db.set(keys.auditEvent(event.id).path, { ...event, origin: null });
    },
    says: ([, event]) => `Event ${event?.id} has lost its origin`,
  },
  {
    name: "takes out an event in the middle",
    act: async ({ chain, takeOut }) => takeOut((await chain())[1]),
    says: ([first]) => `Chain ${first?.chain} does not lead from event 1 to event 3`,
  },
  {
    name: "takes out the oldest",
    act: async ({ chain, takeOut }) => takeOut((await chain())[0]),
    says: ([first]) => `Chain ${first?.chain} does not lead from event 0 to event 2`,
  },
  {
    name: "takes out the newest",
    act: async ({ chain, takeOut }) => takeOut((await chain()).at(-1) ?? assert.fail()),
    says: (chain) =>
      `Chain ${chain[0]?.chain} ends at event ${chain.length - 1}, and had come to ${chain.length}`,
  },
  {
    name: "hides an event from the lists",
    act: async ({ db, chain }) => {
      for (const { path } of placesOf((await chain())[1])) await db.delete(path);
    },
    says: ([, event]) => `Event ${event?.id} is hidden`,
  },
  {
    name: "lists an event as somebody else's",
    act: async ({ db, chain }) => {
      const [{ id: eventId, expiresAtMs }] = await chain();
      await db.set(keys.auditEventOf(UNKNOWN_ID, eventId).path, { eventId, expiresAtMs });
    },
    says: ([event]) => `What stands at audit_by_user/${UNKNOWN_ID}/${event?.id} leads to no event`,
  },
  {
    name: "swaps two",
    act: async ({ db, chain }) => {
      const [first, second] = await chain();
      await db.set(keys.auditEvent(first.id).path, second);
      await db.set(keys.auditEvent(second.id).path, first);
    },
    says: ([first]) => `Event ${first?.id} was altered`,
  },
  {
    name: "puts in a copy under another id",
    act: async ({ db, chain }) => {
      const [event] = await chain();
      await db.set(keys.auditEvent(UNKNOWN_ID).path, { ...event, id: UNKNOWN_ID });
    },
    says: () => `Event ${UNKNOWN_ID} was altered, or not written by this server`,
  },
  {
    name: "puts one in behind the newest",
    act: async ({ db, chain }) => {
      const events = await chain();
      const id = `${UNKNOWN_ID.slice(0, 2)}f${UNKNOWN_ID.slice(3)}`;
      await db.set(keys.auditEvent(id).path, { ...events.at(-1), id, number: events.length + 1 });
    },
    says: () => "was altered, or not written by this server",
  },
  {
    name: "alters the head",
    act: async ({ db, chain }) => {
      const [event] = await chain();
      const { key, value } = await db.get<object>(keys.auditHead(event.chain).path);
      await db.set(key, { ...value, number: 1 });
    },
    says: ([event]) => `The head of chain ${event?.chain} was altered`,
  },
  {
    name: "takes out the head",
    act: async ({ db, chain }) => db.delete(keys.auditHead((await chain())[0].chain).path),
    says: ([event]) => `of chain ${event?.chain}, whose head has only come to 0`,
  },
  {
    name: "takes out a whole chain with its head",
    act: async ({ db, chain, takeOut }) => {
      const events = await chain();
      for (const event of events) await takeOut(event);
      await db.delete(keys.auditHead(events[0].chain).path);
    },
    says: (chain) =>
      `Chain ${chain[0]?.chain} has come to event 0, and the anchor knows event ${chain.length}`,
    isAnchorNeeded: true,
  },
];

Deno.test("audit:verify beside a server: a whole trail is whole, and every tampering is found and named", async (t) => {
  await using site = await createSite();
  await site.startServer(UNLIMITED);
  await requireTask(site, "admin:create", ADMIN, { stdin: `${PASSWORD}\n` });
  for (let times = 0; times < 3; times++) await live(site);
  assert.match(await requireTask(site, "audit:verify"), /^13 events, and none was altered or taken out\.$/m);

  const anchor = `${site.folder}/anchor.json`;
  assert.match(await requireTask(site, "audit:verify", [anchor]), /anchor\.json knows how far they go/);
  assert.equal(((await Deno.stat(anchor)).mode ?? 0) & 0o777, 0o600);
  assert.doesNotMatch(await Deno.readTextFile(anchor), /example\.org|127\.0\.0\.1/);
  using intruder = await breakIn(site);
  const [chain, whole] = [await intruder.chain(), await intruder.copy()];
  for (const { name, act, says, isAnchorNeeded = false } of tamperings) {
    await t.step(`an intruder ${name}`, async () => {
      await act(intruder);
      const plain = await runTask(site, "audit:verify");
      assert.deepEqual(
        [plain.status, plain.stdout === ""],
        isAnchorNeeded ? [0, false] : [1, true],
        plain.stderr,
      );
      const { status, stderr } = isAnchorNeeded ? await runTask(site, "audit:verify", [anchor]) : plain;
      assert.equal(status, 1);
      assert(stderr.includes(says(chain)), stderr);
      assert.match(stderr, /The audit trail is not whole: keep a copy of the store/);
      await intruder.putBack(whole);
    });
  }

  await t.step("an intruder puts everything back to what it was, which only the anchor tells", async () => {
    await live(site);
    assert.match(
      await requireTask(site, "audit:verify", [anchor]),
      /^17 events.*\nThey go on from what .* knew/m,
    );
    const known = await Deno.readTextFile(anchor);
    await intruder.putBack(whole);
    await requireTask(site, "audit:verify");
    const { status, stderr } = await runTask(site, "audit:verify", [anchor]);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^Chain \S+ has come to event \d+, and the anchor knows event \d+: it was put back$/m,
    );
    assert.equal(await Deno.readTextFile(anchor), known, "of a trail that is not whole nothing is noted");
    // Nor does it help to go on from there.
    await live(site);
    await live(site);
    await requireTask(site, "audit:verify");
    const later = await runTask(site, "audit:verify", [anchor]);
    assert.equal(later.status, 1);
    assert.match(later.stderr, /^Event \S+ is not the one that the anchor knows as event \d+ of chain \S+$/m);
  });
});

Deno.test("audit:verify says what is wrong in a sentence, and leaves the anchor as it is", async (t) => {
  await using site = await createSite();
  assert.match(await requireTask(site, "audit:verify"), /^0 events, and none was altered or taken out\.$/m);
  await requireTask(site, "admin:create", ADMIN, { stdin: `${PASSWORD}\n` });
  const write = async (name: string, text: string): Promise<string> => {
    await Deno.writeTextFile(`${site.folder}/${name}`, text);
    return `${site.folder}/${name}`;
  };
  const cases = [
    {
      name: "another SECRET_KEY",
      args: [],
      settings: OTHER_KEY,
      says: /^SECRET_KEY is not the one that this store was made with/m,
    },
    {
      name: "an anchor that is no JSON",
      args: [await write("a", "K: 3")],
      says: /a is not what audit:verify/,
    },
    {
      name: "an anchor of something else",
      args: [await write("b", '{ "K": 3 }')],
      says: /b is not what audit:verify has written/,
    },
    { name: "an anchor that is a folder", args: [site.folder], says: /cannot be read/ },
    {
      name: "an anchor in a folder that is not there",
      args: [`${site.folder}/x/y`],
      says: /cannot be written/,
    },
    { name: "an anchor with a comma", args: [`${site.folder}/x,y`], says: /must not have a comma/ },
    { name: "two operands", args: ["a", "b"], says: /^Unexpected argument 'b'/ },
    { name: "an unknown option", args: ["--all"], says: /^Unknown option '--all'\n\n/ },
  ];
  for (const { name, args, settings = {}, says } of cases) {
    await t.step(name, async () => {
      const { status, stdout, stderr } = await runTask(site, "audit:verify", args, { settings });
      assert.deepEqual([status, stdout], [1, ""]);
      assert.match(stderr, says);
    });
  }
  assert.equal(await Deno.readTextFile(`${site.folder}/b`), '{ "K": 3 }');
  assert.match(await requireTask(site, "audit:verify", ["--help"]), /ANCHOR {2}a file\.(.*\n)+.*SECRET_KEY/);
});

Deno.test("audit: no tool under another SECRET_KEY writes to the trail; a copy is taken all the same, and that is said", async (t) => {
  await using site = await createSite();
  await requireTask(site, "admin:create", ADMIN, { stdin: `${PASSWORD}\n` });
  const users = `${site.folder}/users.jsonl`;
  await Deno.writeTextFile(users, '{"email":"bob@example.org"}\n');
  for (
    const { task, args } of [
      { task: "admin:create", args: ["--email", "eve@example.org", "--password-stdin"] },
      { task: "keys:rotate", args: ["--revoke-old", "--end-sessions"] },
      { task: "users:import", args: [users] },
    ]
  ) {
    await t.step(task, async () => {
      const { status, stdout, stderr } = await runTask(site, task, args, {
        settings: OTHER_KEY,
        stdin: `${PASSWORD}\n`,
      });
      assert.deepEqual([status, stdout], [1, ""]);
      assert.match(stderr, /^SECRET_KEY is not the one that this store was made with/);
    });
  }
  for (const task of ["backup", "users:export"]) {
    await t.step(task, async () => {
      const copy = `${site.folder}/${task}`;
      const { status, stderr } = await runTask(site, task, [copy], { settings: OTHER_KEY });
      assert.equal(status, 0, stderr);
      assert((await Deno.stat(copy)).size > 0);
      assert.match(stderr, /^The audit trail does not tell of this: SECRET_KEY is not the one/m);
    });
  }
  assert.match(await requireTask(site, "audit:verify"), /^1 event, and none was altered or taken out\.$/m);
});
