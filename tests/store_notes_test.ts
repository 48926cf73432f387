// Notes in the store: the count is true whatever happens at once, nothing outlives its account, and a list that is
// read page by page while it changes shows what stays. A rival writes between another one's read and commit.

import assert from "node:assert/strict";
import fc from "fast-check";
import { keys, type UserRecord } from "../src/store/keys.ts";
import { type Change, isPresent, type Kv } from "../src/store/kv.ts";
import {
  collectNotes,
  insertNote,
  type NoteInsertion,
  type NotePage,
  removeNote,
  replaceNote,
} from "../src/store/notes.ts";
import { startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { signUp } from "./person.ts";

const NEW_NOTE = { title: "Groceries", body: null };

async function insert({ deps }: TestServer, userId: string): Promise<string> {
  const insertion = await insertNote(deps, userId, NEW_NOTE);
  assert(insertion.outcome === "inserted");
  return insertion.note.id;
}

/** How many there are, one by one, and how many the count says there are. */
async function tally(kv: Kv, userId: string): Promise<{ listed: number; counted: number }> {
  const { entries } = await kv.collect(keys.notesOf(userId), { limit: 1000 });
  return { listed: entries.length, counted: (await kv.find(keys.noteCount(userId))).value?.count ?? 0 };
}

async function setPlan(kv: Kv, userId: string, plan: UserRecord["plan"]): Promise<void> {
  const entry = await kv.find(keys.user(userId));
  assert(isPresent(entry));
  assert(await kv.change().check(entry).set(entry.key, { ...entry.value, plan }).commit());
}

Deno.test("insertNote and removeNote: the count is the number of notes, whatever happens at once", async () => {
  await using server = await startServer({ env: { FREE_NOTES: "12" } });
  const { id: userId } = await signUp(server);
  let held = 0;
  for (let round = 0; round < 10; round++) {
    const { notes } = await collectNotes(server.kv, userId, { limit: 6, startId: null });
    const [insertions, removals] = await Promise.all([
      Promise.all(Array.from({ length: 10 }, () => insertNote(server.deps, userId, NEW_NOTE))),
      // Each twice: only one of two removals may count.
      Promise.all([...notes, ...notes].map(({ id: noteId }) => removeNote(server.kv, { userId, noteId }))),
    ]);
    assert.equal(removals.filter((isRemoved) => isRemoved).length, notes.length);
    held += insertions.filter(({ outcome }) => outcome === "inserted").length - notes.length;
    assert(held <= 12);
    assert.deepEqual(await tally(server.kv, userId), { listed: held, counted: held });
  }
});

const rivalries: readonly {
  name: string;
  act: (kv: Kv, userId: string) => Promise<unknown>;
  outcome: NoteInsertion["outcome"];
}[] = [
  { name: "a sign-in", act: (kv, userId) => setPlan(kv, userId, "premium"), outcome: "inserted" },
  { name: "a downgrade", act: (kv, userId) => setPlan(kv, userId, "free"), outcome: "full" },
  {
    name: "the deletion of the account",
    act: (kv, userId) => kv.change().remove(keys.user(userId)).commit(),
    outcome: "gone",
  },
];

for (const { name, act, outcome } of rivalries) {
  Deno.test(`insertNote: ${outcome}, after ${name} at the same moment`, async () => {
    const rival = createRival();
    await using server = await startServer({ env: { FREE_NOTES: "0" }, wrapKv: rival.wrap });
    const { id: userId } = await signUp(server);
    await setPlan(server.kv, userId, "premium");
    rival.beforeNextCommit((kv) => act(kv, userId));
    assert.equal((await insertNote(server.deps, userId, NEW_NOTE)).outcome, outcome);
    const held = outcome === "inserted" ? 1 : 0;
    assert.deepEqual(await tally(server.kv, userId), { listed: held, counted: held });
  });
}

Deno.test("removeNote: a note that two remove at the same moment counts once", async () => {
  const rival = createRival();
  await using server = await startServer({ wrapKv: rival.wrap });
  const { id: userId } = await signUp(server);
  const [noteId] = [await insert(server, userId), await insert(server, userId)];
  rival.beforeNextCommit((kv) => removeNote(kv, { userId, noteId }));
  assert.equal(await removeNote(server.kv, { userId, noteId }), false);
  assert.deepEqual(await tally(server.kv, userId), { listed: 1, counted: 1 });
});

Deno.test("removeNote: the last note takes the count along", async () => {
  await using server = await startServer();
  const { id: userId } = await signUp(server);
  await removeNote(server.kv, { userId, noteId: await insert(server, userId) });
  assert.equal((await server.kv.find(keys.noteCount(userId))).versionstamp, null);
});

Deno.test("replaceNote: of two changes at the same moment none is lost", async () => {
  const rival = createRival();
  await using server = await startServer({ wrapKv: rival.wrap });
  const { id: userId } = await signUp(server);
  const noteId = await insert(server, userId);
  rival.beforeNextCommit((kv) => replaceNote(kv, { userId, noteId }, { body: "Oats" }));
  const note = await replaceNote(server.kv, { userId, noteId }, { title: "Breakfast" });
  assert.deepEqual([note?.title, note?.body], ["Breakfast", "Oats"]);
});

Deno.test("removeNote and replaceNote: leave nothing of an account that is cleared at the same moment", async (t) => {
  const remove = (kv: Kv, userId: string, noteId: string): Promise<unknown> =>
    removeNote(kv, { userId, noteId });
  const replace = (kv: Kv, userId: string, noteId: string): Promise<unknown> =>
    replaceNote(kv, { userId, noteId }, { title: "Changed" });
  const rows = [
    { name: "removeNote, all cleared", write: remove, isNoteCleared: true, answer: false },
    { name: "removeNote, the count cleared first", write: remove, isNoteCleared: false, answer: true },
    { name: "replaceNote, all cleared", write: replace, isNoteCleared: true, answer: null },
  ];
  for (const { name, write, isNoteCleared, answer } of rows) {
    await t.step(name, async () => {
      const rival = createRival();
      await using server = await startServer({ wrapKv: rival.wrap });
      const { id: userId } = await signUp(server);
      const noteId = await insert(server, userId);
      const [note, count] = [keys.note(userId, noteId), keys.noteCount(userId)];
      rival.beforeNextCommit((kv) => kv.change().remove(count, ...isNoteCleared ? [note] : []).commit());
      assert.equal(await write(server.kv, userId, noteId), answer);
      const left = await server.kv.findMany([note, count]);
      assert.deepEqual(left.map(({ versionstamp }) => versionstamp), [null, null]);
    });
  }
});

/** What happens before a page is read. */
interface Turn {
  readonly limit: number;
  readonly passesMs: number;
  readonly insertions: number;
  /** Places among all notes, oldest first. */
  readonly removals: readonly number[];
}

const CALM: Turn = { limit: 3, passesMs: 0, insertions: 0, removals: [] };

const passesMs = fc.constantFrom(-1000, 0, 1, 1000);
const turn: fc.Arbitrary<Turn> = fc.record({
  limit: fc.integer({ min: 1, max: 6 }),
  passesMs,
  insertions: fc.nat({ max: 3 }),
  removals: fc.array(fc.nat({ max: 30 }), { maxLength: 3 }),
});

/** Reads all pages while notes come and go: the ids that were shown, and those that were there all the time. */
async function walk(
  server: TestServer,
  userId: string,
  { present, turns }: { readonly present: string[]; readonly turns: readonly Turn[] },
): Promise<{ shown: string[]; staying: string[] }> {
  const atFirst = [...present];
  const shown: string[] = [];
  let startId: string | null = null;
  for (let page = 0; page === 0 || startId !== null; page++) {
    const { limit, passesMs, insertions, removals } = turns[page] ?? CALM;
    server.clock.nowMs += passesMs;
    for (let made = 0; made < insertions; made++) present.push(await insert(server, userId));
    for (const place of removals) {
      for (const noteId of present.splice(place, 1)) await removeNote(server.kv, { userId, noteId });
    }
    const { notes, nextId }: NotePage = await collectNotes(server.kv, userId, { limit, startId });
    assert(notes.length === limit || nextId === null, "only the last page is short");
    assert(notes.every(({ id }) => present.includes(id)), "what is gone is not shown");
    shown.push(...notes.map(({ id }) => id));
    startId = nextId;
  }
  return { shown, staying: atFirst.filter((id) => present.includes(id)) };
}

Deno.test("collectNotes: shows each note that stays once, whatever comes and goes between the pages", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, FREE_NOTES: "100" } });
  let people = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(passesMs, { maxLength: 20 }),
      fc.array(turn, { maxLength: 8 }),
      async (pausesMs, turns) => {
        const { id: userId } = await signUp(server, { email: `ada${people++}@example.org` });
        const present: string[] = [];
        for (const pauseMs of pausesMs) {
          server.clock.nowMs += pauseMs;
          present.push(await insert(server, userId));
        }
        const { shown, staying } = await walk(server, userId, { present, turns });
        assert.deepEqual(shown, [...new Set(shown)].sort().reverse(), "newest first, nothing twice");
        assert.deepEqual(
          shown.filter((id) => staying.includes(id)),
          staying.reverse(),
          "nothing is left out",
        );
      },
    ),
    { numRuns: 60 },
  );
});

/** Somebody who writes between another one's read and commit. */
interface Rival {
  wrap(kv: Kv): Kv;
  beforeNextCommit(act: (kv: Kv) => Promise<unknown>): void;
}

function createRival(): Rival {
  let act: ((kv: Kv) => Promise<unknown>) | null = null;
  const interrupt = (kv: Kv): Change => {
    const change = kv.change();
    const { commit } = change;
    // The change answers itself from `check` and `set`, so that it has to be altered in place.
    return Object.assign(change, {
      commit: async () => {
        const now = act;
        act = null;
        await now?.(kv);
        return await commit();
      },
    });
  };
  return {
    wrap: (kv) => ({ ...kv, change: () => interrupt(kv) }),
    beforeNextCommit: (next) => act = next,
  };
}
