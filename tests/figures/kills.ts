// The server is killed under load: what it had acknowledged is there, the store is whole, and the next one answers soon.

import { readMe } from "../../openapi/account.ts";
import { createNote, listNotes } from "../../openapi/notes.ts";
import { refreshTokens } from "../../openapi/sessions.ts";
import { collectBrokenInvariants } from "../store_invariants.ts";
import { type Account, type Desk, openDesk } from "./desk.ts";
import { type Figure, type Finding, pause, pick, type Run } from "./figure.ts";

const PEOPLE = 8;
const START_GOAL_MS = 2_000;

interface Tally {
  acknowledged: number;
  lost: number;
  readonly startsMs: number[];
}

/** Both figures come from the same kills. */
let played: Promise<{ readonly tally: Tally; readonly broken: readonly string[] }> | undefined;

async function play({ isQuick, random }: Run): Promise<{ tally: Tally; broken: readonly string[] }> {
  await using desk = await openDesk({ ACCESS_TOKEN_TTL: "12h" });
  const people = await Promise.all(Array.from({ length: PEOPLE }, () => desk.signUp()));
  const notes = people.map(() => 0);
  const tally: Tally = { acknowledged: 0, lost: 0, startsMs: [] };
  for (let kills = 0; kills < (isQuick ? 4 : 40); kills++) {
    let isOver = false;
    const lanes = people.map((person, index) => work(desk, person, () => isOver, notes, index, tally));
    await pause(400 + pick(random, 600));
    const restart = desk.killAndRestart();
    isOver = true;
    const startMs = performance.now();
    await restart;
    const [first] = people;
    if ((await desk.ask(readMe, { token: first?.accessToken ?? "" })).status === 200) {
      tally.startsMs.push(performance.now() - startMs);
    }
    await Promise.all(lanes);
    for (const [index, person] of people.entries()) await audit(desk, person, notes[index] ?? 0, tally);
  }
  await desk.program().stop();
  const db = await Deno.openKv(desk.site.storePath);
  try {
    return { tally, broken: await collectBrokenInvariants(db, { nowMs: Date.now() }) };
  } finally {
    db.close();
  }
}

/** Writes notes and rotates tokens until the server is gone. */
async function work(
  desk: Desk,
  person: Account,
  isOver: () => boolean,
  notes: number[],
  index: number,
  tally: Tally,
): Promise<void> {
  try {
    while (!isOver()) {
      const { accessToken: token } = person;
      if ((await desk.ask(createNote, { token, json: { title: "n" } })).status === 201) {
        notes[index] = (notes[index] ?? 0) + 1;
        tally.acknowledged++;
      }
      const { status, body } = await desk.ask(refreshTokens, {
        json: { refresh_token: person.refreshToken },
      });
      if (status === 200) {
        person.refreshToken = body.refresh_token;
        tally.acknowledged++;
      }
    }
  } catch {
    // Cut off: what was under way is not acknowledged.
  }
}

/** The notes are all there, perhaps with one that nobody heard of, and the token that was given last works. */
async function audit(desk: Desk, person: Account, acknowledged: number, tally: Tally): Promise<void> {
  let there = 0;
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? "" : `&cursor=${cursor}`;
    const route = { ...listNotes, path: `${listNotes.path}?limit=100${query}` };
    const { body } = await desk.ask(route, { token: person.accessToken });
    there += body.data.length;
    cursor = body.next_cursor;
  } while (cursor !== null);
  tally.lost += Math.max(0, acknowledged - there);
  const { status, body } = await desk.ask(refreshTokens, { json: { refresh_token: person.refreshToken } });
  if (status === 200) person.refreshToken = body.refresh_token;
  else tally.lost++;
}

export const kills: Figure = {
  number: 4,
  name: "Acknowledged operations lost, and invariants broken, over kill -9 under load",
  goal: "0 and 0",
  async measure(run): Promise<Finding> {
    const { tally, broken } = await (played ??= play(run));
    return {
      value:
        `${tally.lost} of ${tally.acknowledged} and ${broken.length}, over ${tally.startsMs.length} kills`,
      isMet: tally.lost === 0 && broken.length === 0 && tally.acknowledged > 0,
    };
  },
};

export const starts: Figure = {
  number: 15,
  name: "Time from kill -9 to the first correct answer, at worst",
  goal: "at most 2 s",
  async measure(run): Promise<Finding> {
    const { tally: { startsMs } } = await (played ??= play(run));
    const worstMs = Math.max(...startsMs);
    return { value: `${(worstMs / 1000).toFixed(2)} s`, isMet: worstMs <= START_GOAL_MS };
  },
};
