// Notes: one record each, under its owner's id, so that nobody else's request can reach it. How many a person has is
// counted in the commit that adds or removes one: the plan's limit is exact, and no crash parts the two.

import type { Deps } from "../deps.ts";
import { newId } from "../id.ts";
import { keys, type NoteRecord, type UserRecord } from "./keys.ts";
import { isPresent, type Kv, LOST, type Present, untilCommitted } from "./kv.ts";

/** Which note, and whose. */
export interface NoteIds {
  readonly userId: string;
  readonly noteId: string;
}

/** What became of a new note. */
export type NoteInsertion =
  | { readonly outcome: "inserted"; readonly note: NoteRecord }
  /** The plan holds no more. */
  | { readonly outcome: "full" }
  /** There is no such account any more. */
  | { readonly outcome: "gone" };

/** One page of a list of notes, newest first. */
export interface NotePage {
  readonly notes: readonly NoteRecord[];
  /** Where the next page starts, even if that note is deleted meanwhile; null after the last page. */
  readonly nextId: string | null;
}

/** What the premium plan holds. */
const PREMIUM_NOTES_MAX = 100_000;

/** Adds a note, if the account is there and its plan has room at the moment of the commit. */
export function insertNote(
  { kv, config }: Pick<Deps, "kv" | "config">,
  userId: string,
  { title, body }: Pick<NoteRecord, "title" | "body">,
): Promise<NoteInsertion> {
  return untilCommitted(async () => {
    const [user, held] = await kv.findMany([keys.user(userId), keys.noteCount(userId)]);
    if (!isPresent(user)) return { outcome: "gone" };
    const { count, newestIdMs } = held.value ?? { count: 0, newestIdMs: 0 };
    if (count >= notesMaxOf(user.value, config.freeNotes)) return { outcome: "full" };
    const nowMs = kv.nowMs();
    // Later than any other, within one millisecond too and after a step back of the clock: ids sort as notes came.
    const idMs = Math.max(nowMs, newestIdMs + 1);
    const note: NoteRecord = { id: newId(idMs), title, body, createdAtMs: nowMs, updatedAtMs: nowMs };
    const isCommitted = await kv.change()
      // The user too: the plan may change meanwhile, and a deleted account must not get anything new.
      .check(user, held)
      .set(held.key, { count: count + 1, newestIdMs: idMs })
      .set(keys.note(userId, note.id), note)
      .commit();
    return isCommitted ? { outcome: "inserted", note } : LOST;
  });
}

/** A note with its version, or null. */
export async function findNote(kv: Kv, { userId, noteId }: NoteIds): Promise<Present<NoteRecord> | null> {
  const note = await kv.find(keys.note(userId, noteId));
  return isPresent(note) ? note : null;
}

/** A page of at most `limit` (1 to 100) of a person's notes: from the note `startId` on, or from the newest. */
export async function collectNotes(
  kv: Kv,
  userId: string,
  { limit, startId }: { readonly limit: number; readonly startId: string | null },
): Promise<NotePage> {
  const { entries } = await kv.collect(keys.notesOf(userId), {
    // One more tells whether there is a next page.
    limit: limit + 1,
    isNewestFirst: true,
    upTo: startId,
  });
  const found = entries.map(({ value }) => value);
  return { notes: found.slice(0, limit), nextId: found[limit]?.id ?? null };
}

/** Writes the members that `patch` names, and says what stands now; null when there is no such note. */
export function replaceNote(
  kv: Kv,
  { userId, noteId }: NoteIds,
  patch: { readonly title?: string | undefined; readonly body?: string | null | undefined },
): Promise<NoteRecord | null> {
  return untilCommitted(async () => {
    const entry = await kv.find(keys.note(userId, noteId));
    if (!isPresent(entry)) return null;
    const note: NoteRecord = {
      ...entry.value,
      title: patch.title ?? entry.value.title,
      body: patch.body === undefined ? entry.value.body : patch.body,
      updatedAtMs: kv.nowMs(),
    };
    return await kv.change().check(entry).set(entry.key, note).commit() ? note : LOST;
  });
}

/** Removes a note. False when it was not there. */
export function removeNote(kv: Kv, { userId, noteId }: NoteIds): Promise<boolean> {
  return untilCommitted(async () => {
    const [note, held] = await kv.findMany([keys.note(userId, noteId), keys.noteCount(userId)]);
    if (!isPresent(note)) return false;
    const change = kv.change().check(note, held).remove(note.key);
    // The last note takes the count along, and a count that an account's deletion took first never comes back.
    if (isPresent(held) && held.value.count > 1) {
      change.set(held.key, { ...held.value, count: held.value.count - 1 });
    } else {
      change.remove(held.key);
    }
    return await change.commit() ? true : LOST;
  });
}

function notesMaxOf({ plan }: UserRecord, freeNotes: number): number {
  return plan === "premium" ? PREMIUM_NOTES_MAX : freeNotes;
}
