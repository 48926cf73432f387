// A store with something of every kind in it, and nothing wrong; what a check says of it; and how a damage is undone.

import assert from "node:assert/strict";
import { requestAccountDeletion } from "../openapi/account.ts";
import { register } from "../openapi/registration.ts";
import { newId } from "../src/id.ts";
import { keys, type MailRecord, type UserRecord } from "../src/store/keys.ts";
import type { Key, Present } from "../src/store/kv.ts";
import { claimMail, collectDueMails, requeueMail } from "../src/store/mail_claims.ts";
import { proveWrite } from "../src/store/readiness.ts";
import { addUser } from "../src/store/users.ts";
import { walkStore } from "../src/store_check/walk.ts";
import { furnish, type Owner } from "./belongings.ts";
import { DAY_MS, HOUR_MS, PASSWORD, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { type Person, signUpAdmin, startReset } from "./person.ts";

export interface Scene extends AsyncDisposable {
  readonly server: TestServer;
  readonly db: Deno.Kv;
  /** Has something of everything. */
  readonly owner: Owner;
  /** The only admin. */
  readonly root: Person;
  /** Has an account, and nothing else. */
  readonly bob: UserRecord;
  /** An account that is being cleared away. */
  readonly goneId: string;
  /** Waits for an hour; its clock stands still. */
  readonly waiting: MailRecord;
}

export async function openScene(): Promise<Scene> {
  const server = await startServer({ env: { ...UNLIMITED, THROTTLE_USER: "1000/1d" } });
  const { kv, db, clock } = server;
  const owner = await furnish(server);
  const deletion = await server.call(requestAccountDeletion, { token: owner.ada.accessToken, json: {} });
  assert.equal(deletion.status, 202, deletion.text);
  const root = await signUpAdmin(server, "root@example.org");
  const json = { email: "newcomer@example.org", username: "newcomer", password: PASSWORD };
  assert.equal((await server.call(register, { json })).status, 202);
  await server.mails();

  const goneId = newId(clock.nowMs);
  const change = kv.change()
    .set(keys.tombstone(goneId), { userId: goneId, addressHash: "hash" })
    .set(keys.mailboxItem(goneId), { sealed: new Uint8Array(1), expiresAtMs: clock.nowMs + DAY_MS })
    .set(keys.receipt(goneId, 0), { number: 7, filling: new Uint8Array(1) });
  const newUser = { email: "bob@example.org", username: "Bob", name: null, locale: null, passwordHash: "$" };
  const bob = await addUser(kv, change, { newUser });
  assert(bob && await change.commit());
  await proveWrite(kv);
  const waiting = await postpone(server, root);
  return {
    server,
    db,
    owner,
    root,
    bob,
    goneId,
    waiting,
    [Symbol.asyncDispose]: server[Symbol.asyncDispose],
  };
}

/** What a check suspects, each once; fails unless it is the same when looked at again. */
export async function findFaults({ server: { clock }, db }: Pick<Scene, "server" | "db">): Promise<string[]> {
  const suspects = await Array.fromAsync(
    walkStore(db, { nowMs: () => clock.nowMs, sweepMs: HOUR_MS }),
  );
  const again = await Promise.all(suspects.map((suspect) => suspect.lookAgain()));
  const faults = new Set(suspects.flatMap((suspect) => suspect.faults));
  assert.deepEqual(new Set(again.flat()), faults);
  return [...faults].sort();
}

/** Does what `damage` does, hands over what a check then says, and undoes it. */
export async function withDamage(
  scene: Pick<Scene, "server" | "db">,
  damage: () => Promise<unknown>,
  look: (faults: readonly string[]) => void,
): Promise<void> {
  const { db } = scene;
  const before = await collectAll(db);
  await damage();
  look(await findFaults(scene));
  const after = new Map((await collectAll(db)).map((record) => [nameOf(record), record.versionstamp]));
  for (const { key, value } of before.filter((record) => after.get(nameOf(record)) !== record.versionstamp)) {
    await db.set(key.path, value);
  }
  const known = new Set(before.map(nameOf));
  for (const name of after.keys()) if (!known.has(name)) await db.delete(JSON.parse(name));
}

function nameOf({ key: { path } }: Present<unknown>): string {
  return JSON.stringify(path);
}

/** Every record, in the order of their keys. */
export async function collectAll(db: Deno.Kv): Promise<Present<unknown>[]> {
  const entries = await Array.fromAsync(db.list({ prefix: [] }));
  return entries.map(({ key: path, value, versionstamp }) => ({ key: { path }, value, versionstamp }));
}

/** The record at `wanted`, or the first below it that is wanted; an empty id stands for any. */
export async function requireRecord<Value>(
  db: Deno.Kv,
  { path: wanted }: Key<Value>,
  isWanted: (value: Value) => boolean = () => true,
): Promise<Present<Value>> {
  const prefix = wanted.filter((part) => part !== "");
  const there = await db.get<Value>(prefix);
  for (
    const { key: path, value, versionstamp } of [there, ...await Array.fromAsync(db.list<Value>({ prefix }))]
  ) {
    if (value !== null && isWanted(value)) return { key: { path }, value, versionstamp };
  }
  assert.fail(`There is no such record of ${prefix.join("/")}`);
}

/** A mail that no worker takes, because its time does not come. */
async function postpone(server: TestServer, { email }: Person): Promise<MailRecord> {
  const { kv } = server;
  await startReset(server, email);
  const [due] = await collectDueMails(kv, 1);
  const mail = due && await claimMail(kv, due, { leaseMs: HOUR_MS });
  assert(mail);
  const options = { reason: "greylisted", delayMs: HOUR_MS, retryDelayMs: HOUR_MS };
  assert(await requeueMail(kv, mail, options));
  return (await requireRecord(server.db, keys.mails(), ({ id }) => id === mail.id)).value;
}
