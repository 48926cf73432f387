// What can be wrong with everything that is not an account, and what a check says of it. Each does its damage past every
// rule, and returns the sentences.

import { newId } from "../src/id.ts";
import type { AuditEventRecord } from "../src/store/audit_event.ts";
import { placesOf } from "../src/store/audit_places.ts";
import { keys } from "../src/store/keys.ts";
import { HOUR_MS, START_MS } from "./harness.ts";
import { alter, type Damages, remove } from "./store_check_account_damages.ts";
import { requireRecord } from "./store_check_scene.ts";

/** Has no account, and never had one. */
const NOBODY = newId(START_MS);
const LATER = { expiresAtMs: START_MS + HOUR_MS };
const WINDOW = { stampsMs: [], counts: [], ...LATER };

export const otherDamages: Damages = {
  async "the marker is gone"({ db }) {
    await remove(db, keys.store());
    return ["store is missing: it marks the store as that of a Latchkey server"];
  },
  async "no key signs"({ db }) {
    await remove(db, (await requireRecord(db, keys.signingKeys())).key);
    return ["signing_keys has 0 that sign, instead of one"];
  },
  async "two keys sign"({ db }) {
    const { value } = await requireRecord(db, keys.signingKeys());
    await db.set(keys.signingKey("second").path, { ...value, kid: "second" });
    return ["signing_keys has 2 that sign, instead of one"];
  },
  async "a key has another id"({ db }) {
    const { key, value } = await requireRecord(db, keys.signingKeys());
    await alter(db, key, { kid: `${value.kid}x` });
    return [`signing_keys/${value.kid} says that it is another one`];
  },

  async "the only challenge of its purpose is not the one that counts"({ db, owner: { ada } }) {
    const { key, value } = await requireRecord(db, keys.currentChallenge(ada.id, "email_change"));
    await alter(db, key, { challengeHash: "another" });
    return [`challenges/${value.challengeHash} is not the one of its account`];
  },
  async "an account's challenge is another account's"({ db, owner: { ada }, bob }) {
    const { value } = await requireRecord(db, keys.currentChallenge(ada.id, "email_change"));
    await alter(db, keys.challenge(value.challengeHash), { userId: bob.id });
    return [
      `challenges/${value.challengeHash} is not the one of its account`,
      `current_challenges/${ada.id}/email_change leads to a challenge of another account or purpose`,
    ];
  },
  async "a challenge is nobody's"({ db }) {
    const { key, value } = await requireRecord(db, keys.challenge(""), isDeletion);
    await db.set(keys.challenge("orphan").path, { ...value, userId: NOBODY });
    await remove(db, key);
    return ["challenges/orphan belongs to nobody", "challenges/orphan is not the one of its account"];
  },
  async "a challenge was guessed at more often than it allows"({ db }) {
    const { key } = await requireRecord(db, keys.challenge(""), isDeletion);
    await alter(db, key, { wrongGuesses: 6 });
    return [`challenges/${String(key.path[1])} allows more than a challenge may`];
  },
  async "a code outlives its challenge"({ db }) {
    const { key } = await requireRecord(db, keys.challenge(""), isDeletion);
    await alter(db, key, { codeExpiresAtMs: Infinity });
    return [`challenges/${String(key.path[1])} allows more than a challenge may`];
  },

  async "a note is lost"({ db, owner: { ada } }) {
    await remove(db, (await requireRecord(db, keys.notesOf(ada.id))).key);
    return [`note_counts/${ada.id} says 3, and there are 2`];
  },
  async "notes are miscounted"({ db, owner: { ada } }) {
    await alter(db, keys.noteCount(ada.id), { count: 4 });
    return [`note_counts/${ada.id} says 4, and there are 3`];
  },
  async "nobody counts the notes"({ db, owner: { ada } }) {
    await remove(db, keys.noteCount(ada.id));
    return [`note_counts/${ada.id} is missing, though there are notes`];
  },
  async "a note is another one"({ db, owner: { ada } }) {
    const { key, value } = await requireRecord(db, keys.notesOf(ada.id));
    await alter(db, key, { id: NOBODY });
    return [`notes/${ada.id}/${value.id} says that it is another one`];
  },
  async "notes, tokens, networks, windows and sessions are left of somebody"({ db, root }) {
    const session = await requireRecord(db, keys.sessionsOf(root.id));
    await db.set(keys.session(NOBODY, session.value.id).path, { ...session.value, userId: NOBODY });
    await db.set(keys.usedRefreshToken(NOBODY, "hash").path, { userId: NOBODY, ...LATER });
    await db.set(keys.knownNetwork(NOBODY, "hash").path, LATER);
    await db.set(keys.currentChallenge(NOBODY, "email_change").path, { challengeHash: "hash", ...LATER });
    await db.set(keys.note(NOBODY, "note").path, { id: "note" });
    await db.set(keys.noteCount(NOBODY).path, { count: 1 });
    await db.set(keys.credential(NOBODY).path, { passwordHash: "$" });
    for (const policy of ["user", "password"]) await db.set(keys.window(policy, NOBODY).path, WINDOW);
    return [
      `credentials/${NOBODY}`,
      `current_challenges/${NOBODY}/email_change`,
      `known_networks/${NOBODY}/hash`,
      `note_counts/${NOBODY}`,
      `notes/${NOBODY}/note`,
      `sessions/${NOBODY}/${session.value.id}`,
      `used_refresh_tokens/${NOBODY}/hash`,
      `windows/password/${NOBODY}`,
      `windows/user/${NOBODY}`,
    ].map((name) => `${name} belongs to nobody`);
  },

  async "an account is being cleared away, and half of it is left"({ db, goneId }) {
    await db.set(keys.usedRefreshToken(goneId, "hash").path, { userId: goneId, ...LATER });
    await db.set(keys.knownNetwork(goneId, "hash").path, LATER);
    await db.set(keys.note(goneId, "note").path, { id: "note" });
    await db.set(keys.noteCount(goneId).path, { count: 2 });
    await db.set(keys.window("user", goneId).path, WINDOW);
    return [];
  },

  async "a window has lost a count"({ db }) {
    const { key } = await requireRecord(db, keys.window("user", ""));
    await alter(db, key, { counts: [] });
    return [`windows/user/${String(key.path[2])} does not count what it has stamped`];
  },

  async "a mail is lost"({ db, waiting: { id, owner, dueAtMs } }) {
    await remove(db, keys.mail(id));
    return [
      `mails_by_owner/${owner}/${id} leads to no mail of that owner`,
      `mails_by_state/queued/${id} leads to no mail of that state`,
      `mails_due/${dueAtMs}/${id} leads to no mail that waits for it`,
    ];
  },
  async "a mail would never leave"({ db, waiting: { id, dueAtMs } }) {
    await remove(db, keys.mailDue({ mailId: id, dueAtMs }));
    return [`mails/${id} waits, and will never be due`];
  },
  async "a mail has lost its content"({ db, waiting: { id } }) {
    await alter(db, keys.mail(id), { sealed: null });
    return [`mails/${id} waits without its content`];
  },
  async "a mail that is sent is due again"({ db }) {
    const { value: { id, dueAtMs } } = await requireRecord(db, keys.mails(), ({ state }) => state === "sent");
    await db.set(keys.mailDue({ mailId: id, dueAtMs }).path, { mailId: id, dueAtMs });
    return [`mails_due/${dueAtMs}/${id} leads to no mail that waits for it`];
  },
  async "a mail that is sent can still be read"({ db }) {
    const { key, value } = await requireRecord(db, keys.mails(), ({ state }) => state === "sent");
    await alter(db, key, { sealed: new Uint8Array(1) });
    return [`mails/${value.id} is sent, and its content is not wiped`];
  },
  async "a mail is not in its lists"({ db, waiting: { id, owner } }) {
    await remove(db, keys.mailOf(owner, id));
    await remove(db, keys.mailIn("queued", id));
    return [
      `mails/${id} is not found with its state`,
      `mails/${id} is not found with its owner`,
    ];
  },
  async "a mail is in the lists of others"({ db, bob, waiting: { id, expiresAtMs } }) {
    await db.set(keys.mailOf(bob.id, id).path, { mailId: id, expiresAtMs });
    await db.set(keys.mailIn("dead", id).path, { mailId: id, expiresAtMs });
    return [
      `mails_by_owner/${bob.id}/${id} leads to no mail of that owner`,
      `mails_by_state/dead/${id} leads to no mail of that state`,
    ];
  },
  async "a mail is about somebody who is gone"({ db, waiting: { id } }) {
    await alter(db, keys.mail(id), { userId: NOBODY });
    return [`mails/${id} belongs to nobody`, `mails/${id} is with another owner than its account`];
  },
  async "a mail carries a code that there has not been"({ db, waiting: { id, challenge } }) {
    await alter(db, keys.mail(id), { challenge: challenge && { ...challenge, codeNumber: 2 } });
    return [`mails/${id} carries a code that its challenge has not had`];
  },

  async "an event was taken out"({ db }) {
    const { key, value } = await requireRecord(db, keys.auditEvents(), ({ number }) => number === 2);
    const next = await requireRecord(
      db,
      keys.auditEvents(),
      ({ chain, number }) => chain === value.chain && number === 3,
    );
    await remove(db, key);
    return [
      `audit_events/${next.value.id} does not follow event 1 of its chain`,
      ...placesOf(value).map(({ path }) => `${path.join("/")} leads to no event of that account or type`),
    ];
  },
  async "an event is hidden"({ db }) {
    const { value } = await requireRecord(db, keys.auditEvents(), ({ type }) => type === "signed_in");
    for (const place of placesOf(value)) await remove(db, place);
    return placesOf(value).map(({ path }) => `audit_events/${value.id} is not found at ${path.join("/")}`);
  },
  async "an origin is left of an account that is gone"({ db, goneId }) {
    const { value } = await requireRecord(db, keys.auditEvents(), ({ actorId }) => actorId !== null);
    const event = { ...value, actorId: goneId, userId: goneId };
    await db.set(keys.auditEvent(value.id).path, event);
    for (const place of placesOf(event)) {
      await db.set(place.path, { eventId: value.id, expiresAtMs: value.expiresAtMs });
    }
    await remove(db, keys.tombstone(goneId));
    return [
      `audit_by_user/${value.userId}/${value.id} leads to no event of that account or type`,
      `audit_events/${value.id} tells from where an account acted that is gone`,
    ];
  },
  async "a chain has lost its head"({ db }) {
    const { value } = await requireRecord(db, keys.auditHeads());
    const { value: event } = await requireRecord(db, keys.auditEvents(), ({ hash }) => hash === value.hash);
    await remove(db, keys.auditHead(event.chain));
    return [`audit_events/${event.id} is beyond the head of its chain`];
  },
  async "a chain has an empty head"({ db }) {
    const { key } = await requireRecord(db, keys.auditHeads());
    await db.set(key.path, { number: 0, hash: "", newestIdMs: 0, newestExpiresAtMs: 0, proof: "" });
    const chain = String(key.path[1]);
    const events = await Array.fromAsync(db.list<AuditEventRecord>({ prefix: keys.auditEvents().path }));
    const last = events.findLast(({ value }) => value.chain === chain)?.value;
    return [
      `audit_events/${last?.id} is beyond the head of its chain`,
      `audit_heads/${chain} is the head of no chain`,
    ];
  },
  async "a head was put back"({ db }) {
    const isLong = ({ number }: { readonly number: number }): boolean => number > 1;
    const { key, value } = await requireRecord(db, keys.auditHeads(), isLong);
    const { value: event } = await requireRecord(db, keys.auditEvents(), ({ hash }) => hash === value.hash);
    await alter(db, key, { number: value.number - 1, hash: event.previousHash });
    return [`audit_events/${event.id} is beyond the head of its chain`];
  },
  async "a head is of another chain"({ db }) {
    const { key } = await requireRecord(db, keys.auditHeads());
    await alter(db, key, { hash: "another" });
    return [`audit_heads/${String(key.path[1])} is not that of the last event of its chain`];
  },

  async "a record is of an unknown kind, and its key could tell anything"({ db, bob }) {
    await db.set(["bookmarks", bob.email], { urls: [] });
    await db.set([bob.email, 7], "");
    return [
      "bookmarks/… is of a kind that this version does not know",
      "…/… is of a kind that this version does not know",
    ];
  },
  async "a record that ended over an hour ago is there"({ db, root }) {
    await db.set(keys.knownNetwork(root.id, "hash").path, { expiresAtMs: START_MS - HOUR_MS });
    await db.set(keys.knownNetwork(root.id, "other").path, { expiresAtMs: START_MS });
    return [`known_networks/${root.id}/hash ended long ago, and is still there`];
  },
};

function isDeletion({ purpose }: { readonly purpose: string }): boolean {
  return purpose === "account_deletion";
}
