// What must be true of a store at rest, whatever happened to the server: every index leads to its record and every
// record has its indexes, nothing belongs to an account that is gone, and what is counted is counted right.

import {
  type ActiveAdminsRecord,
  keys,
  type MailDueRecord,
  type MailRecord,
  type NoteCountRecord,
  type SessionRecord,
  type UsernameRecord,
  type UserRecord,
  type WindowRecord,
} from "../src/store/keys.ts";
import type { AuditEventRecord, AuditHeadRecord, AuditPlaceRecord } from "../src/store/audit_event.ts";
import type { Key } from "../src/store/kv.ts";
import { hashEmail } from "../src/store/users.ts";

/** Every record of one kind: the rest of its path, joined, and its value. */
type Records<Value> = ReadonlyMap<string, Value>;

/**
 * A sentence for each invariant that does not hold. The server must be stopped, or have nothing to do. What has expired
 * by `nowMs` is as good as gone: the store sweeps it by a clock that no test can set.
 */
export async function collectBrokenInvariants(
  db: Deno.Kv,
  { nowMs = 0 }: { readonly nowMs?: number } = {},
): Promise<string[]> {
  const entries = await Array.fromAsync(db.list<{ readonly expiresAtMs?: number } | null>({ prefix: [] }));
  const live = entries.filter(({ value }) => nowMs < (value?.expiresAtMs ?? Infinity));
  const byKind = Map.groupBy(live, ({ key }) => key[0]);
  const records = <Value>(kind: Key<Value>): Records<Value> =>
    new Map(
      (byKind.get(kind.path[0]) ?? []).map(({ key, value }) => [key.slice(1).join("/"), value as Value]),
    );

  const users = records(keys.users());
  return [
    ...accountFaults(users, {
      userIdByEmail: records(keys.userIdByEmail("")),
      usernames: records(keys.username("")),
      credentials: records(keys.credential("")),
    }),
    ...searchFaults(users, [...records(keys.usersByText()), ...records(keys.usersByFacets(ANY))]),
    ...adminFaults(users, records(keys.activeAdmins())),
    ...ownedKinds.flatMap((kind) => orphans(users, kind, records(kind))),
    ...sessionFaults(records(keys.sessionsOf(""))),
    ...noteFaults(records(keys.noteCount("")), records(keys.notesOf(""))),
    ...windowFaults(users, records(keys.window("", ""))),
    ...mailFaults(users, {
      mails: records(keys.mails()),
      due: records(keys.mailsDue()),
      byOwner: records(keys.mailsOf("")),
    }),
    ...auditFaults(users, {
      events: records(keys.auditEvents()),
      heads: records(keys.auditHeads()),
      byUser: records(keys.auditEventsOf("")),
      byType: records(keys.auditEventsOn("signed_in")),
    }),
    ...(records(keys.signingKeys()).size === 1 ? [] : ["There is not exactly one signing key"]),
    ...(records(keys.tombstones()).size === 0 ? [] : ["A deletion is not finished"]),
  ];
}

/** Kinds whose path goes on with the id of their account. */
const ownedKinds: readonly Key<unknown>[] = [
  keys.credential(""),
  keys.sessionsOf(""),
  keys.usedRefreshTokensOf(""),
  keys.knownNetworksOf(""),
  keys.currentChallengesOf(""),
  keys.notesOf(""),
  keys.noteCount(""),
];

function accountFaults(
  users: Records<UserRecord>,
  { userIdByEmail, usernames, credentials }: {
    readonly userIdByEmail: Records<string>;
    readonly usernames: Records<UsernameRecord>;
    readonly credentials: Records<unknown>;
  },
): string[] {
  const faults: string[] = [];
  for (const [id, user] of users) {
    if (userIdByEmail.get(hashEmail(user.email)) !== id) faults.push(`User ${id} is not found by address`);
    if (!credentials.has(id)) faults.push(`User ${id} has no password`);
    if (user.username === null) continue;
    const name = usernames.get(user.username.toLowerCase());
    if (name?.owner !== "user" || name.userId !== id) faults.push(`User ${id} does not own the username`);
  }
  for (const id of userIdByEmail.values()) {
    if (!users.has(id)) faults.push(`An address leads to user ${id}, who is not there`);
  }
  if (userIdByEmail.size !== users.size) faults.push(`${users.size} users, ${userIdByEmail.size} addresses`);
  for (const [username, owner] of usernames) {
    if (owner.owner === "user" && users.get(owner.userId)?.username?.toLowerCase() !== username) {
      faults.push(`Username ${username} leads to user ${owner.userId}, who has another`);
    }
  }
  return faults;
}

/** Which facets does not matter to the first part of the key. */
const ANY = { role: "user", status: "active", plan: "free" } as const;

/** Both indexes that admins search by hold what is true of each user, and nothing else. */
function searchFaults(users: Records<UserRecord>, entries: readonly [string, string][]): string[] {
  const wanted = new Map<string, string>();
  for (const { id, email, username, role, status, plan } of users.values()) {
    for (const text of username === null ? [email] : [email, username.toLowerCase()]) {
      wanted.set(`${text}/${id}`, id);
    }
    wanted.set([role, status, plan, id].join("/"), id);
  }
  const there = new Map(entries);
  return [...new Set([...wanted.keys(), ...there.keys()])]
    .filter((path) => wanted.get(path) !== there.get(path))
    .map((path) => `Searching, ${path} leads to ${there.get(path)} instead of ${wanted.get(path)}`);
}

function adminFaults(users: Records<UserRecord>, counts: Records<ActiveAdminsRecord>): string[] {
  const there =
    [...users.values()].filter(({ role, status }) => role === "admin" && status === "active").length;
  const counted = counts.get("")?.count ?? 0;
  return counted === there ? [] : [`There are ${there} active admins, and ${counted} are counted`];
}

function orphans(users: Records<UserRecord>, kind: Key<unknown>, records: Records<unknown>): string[] {
  return [...records.keys()]
    .filter((path) => !users.has(path.split("/")[0] ?? ""))
    .map((path) => `${String(kind.path[0])}/${path} belongs to nobody`);
}

function sessionFaults(sessions: Records<SessionRecord>): string[] {
  return [...sessions]
    .filter(([path, { id, userId }]) => path !== `${userId}/${id}`)
    .map(([path, { userId }]) => `sessions/${path} is a session of user ${userId}`);
}

/** The windows that are kept by the id of an account go with it; the others are kept by hashes. */
function windowFaults(users: Records<UserRecord>, windows: Records<WindowRecord>): string[] {
  return [...windows.keys()].map((path) => path.split("/")).filter(([policy = "", subject = ""]) =>
    ["user", "password"].includes(policy) && !users.has(subject)
  ).map((path) => `windows/${path.join("/")} belongs to nobody`);
}

function noteFaults(counts: Records<NoteCountRecord>, notes: Records<unknown>): string[] {
  const held = Map.groupBy(notes.keys(), (path) => path.split("/")[0] ?? "");
  const userIds = new Set([...counts.keys(), ...held.keys()]);
  return [...userIds].flatMap((userId) => {
    const [counted, there] = [counts.get(userId)?.count ?? 0, held.get(userId)?.length ?? 0];
    return counted === there ? [] : [`User ${userId} has ${there} notes, and ${counted} are counted`];
  });
}

function mailFaults(
  users: Records<UserRecord>,
  { mails, due, byOwner }: {
    readonly mails: Records<MailRecord>;
    readonly due: Records<MailDueRecord>;
    readonly byOwner: Records<{ readonly mailId: string }>;
  },
): string[] {
  const faults: string[] = [];
  for (const [path, { mailId, dueAtMs }] of due) {
    if (mails.get(mailId)?.dueAtMs !== dueAtMs) faults.push(`mails_due/${path} leads to no such mail`);
  }
  for (const [path, { mailId }] of byOwner) {
    if (path !== `${mails.get(mailId)?.owner}/${mailId}`) faults.push(`mails_by_owner/${path} leads astray`);
  }
  for (const mail of mails.values()) {
    const isWaiting = mail.state === "queued" || mail.state === "sending";
    const isDue = due.has(`${mail.dueAtMs}/${mail.id}`);
    if (isWaiting !== isDue) faults.push(`Mail ${mail.id} is ${mail.state}, due: ${isDue}`);
    if (isWaiting && mail.sealed === null) faults.push(`Mail ${mail.id} waits without its content`);
    if (!byOwner.has(`${mail.owner}/${mail.id}`)) faults.push(`Mail ${mail.id} is not found by its owner`);
    if (mail.userId !== null && !users.has(mail.userId)) faults.push(`Mail ${mail.id} is about nobody`);
  }
  return faults;
}

/** Each chain is whole, each event is found by its accounts and its type, and origins go with their accounts. */
function auditFaults(
  users: Records<UserRecord>,
  { events, heads, byUser, byType }: {
    readonly events: Records<AuditEventRecord>;
    readonly heads: Records<AuditHeadRecord>;
    readonly byUser: Records<AuditPlaceRecord>;
    readonly byType: Records<AuditPlaceRecord>;
  },
): string[] {
  const faults: string[] = [];
  const places = new Set<string>();
  for (const [chain, links] of Map.groupBy(events.values(), (event) => event.chain)) {
    for (const [index, { id, number, previousHash }] of links.entries()) {
      const before = links[index - 1];
      if (before && (number !== before.number + 1 || previousHash !== before.hash)) {
        faults.push(`Event ${id} does not follow the one before it in chain ${chain}`);
      }
    }
    if (heads.get(chain)?.hash !== links.at(-1)?.hash) faults.push(`Chain ${chain} does not end at its head`);
  }
  for (const { id, type, userId, actorId, origin } of events.values()) {
    for (const place of new Set([userId ?? actorId ?? "nobody", actorId ?? userId ?? "nobody"])) {
      places.add(`${place}/${id}`);
    }
    places.add(`${type}/${id}`);
    const owner = actorId ?? userId;
    if (origin && owner !== null && !users.has(owner)) faults.push(`Event ${id} has the origin of nobody`);
  }
  for (const place of places) {
    if (!byUser.has(place) && !byType.has(place)) faults.push(`Event ${place} is not found`);
  }
  if (byUser.size + byType.size !== places.size) faults.push("A place of the audit trail leads to no event");
  return faults;
}

/**
 * Which of `secrets` stands in the store, and in which kind of record: in a key or in a value, in the clear. What has
 * expired and is not swept yet counts.
 */
export async function collectTraces(db: Deno.Kv, secrets: readonly string[]): Promise<string[]> {
  const traces = new Set<string>();
  for await (const { key, value } of db.list({ prefix: [] })) {
    const text = legible([key, value]);
    for (const secret of secrets) if (text.includes(secret)) traces.add(`${String(key[0])}: ${secret}`);
  }
  return [...traces].sort();
}

/** Bytes show as the text that they would be if they were not sealed. */
function legible(value: unknown): string {
  const decoder = new TextDecoder("latin1");
  return JSON.stringify(value, (_, part) => part instanceof Uint8Array ? decoder.decode(part) : part);
}
