// The server is killed under load, time and again: what it had acknowledged is there, and the store is whole each time.

import { createNote, listNotes } from "../../openapi/notes.ts";
import { refreshTokens } from "../../openapi/sessions.ts";
import { collectBrokenInvariants } from "../store_invariants.ts";
import { type Account, type Desk, openDesk } from "./desk.ts";
import { type Figure, type Finding, pause, pick, type Run } from "./figure.ts";

const PEOPLE = 8;
const QUICK = { acknowledged: 1_000, kills: 4, loadMs: 600 };
/** The kills are what ends it when the machine is too slow for the other number. */
const FULL = { acknowledged: 100_000, kills: 400, loadMs: 3_000 };

interface Tally {
  acknowledged: number;
  lost: number;
  kills: number;
  readonly broken: Set<string>;
}

export const kills: Figure = {
  number: 4,
  name: "Acknowledged operations lost, and invariants broken, over kill -9 under load",
  goal: "0 and 0, of 100,000; quick: of 1,000",
  async measure(run): Promise<Finding> {
    const goal = run.isQuick ? QUICK : FULL;
    const { acknowledged, lost, kills, broken } = await play(run, goal);
    return {
      value: `${lost} of ${acknowledged} and ${broken.size}, over ${kills} kills`,
      isMet: lost === 0 && broken.size === 0 && acknowledged >= goal.acknowledged,
    };
  },
};

async function play({ random }: Run, goal: typeof FULL): Promise<Tally> {
  await using desk = await openDesk({ ACCESS_TOKEN_TTL: "12h" });
  const people = await Promise.all(Array.from({ length: PEOPLE }, () => desk.signUp()));
  const notes = people.map(() => 0);
  const tally: Tally = { acknowledged: 0, lost: 0, kills: 0, broken: new Set() };
  while (tally.kills < QUICK.kills || (tally.acknowledged < goal.acknowledged && tally.kills < goal.kills)) {
    let isOver = false;
    const lanes = people.map((person, index) => work(desk, person, () => isOver, notes, index, tally));
    await pause(400 + pick(random, goal.loadMs));
    const restart = desk.killAndRestart(async () => {
      for (const fault of await checkStore(desk)) tally.broken.add(fault);
    });
    isOver = true;
    await restart;
    await Promise.all(lanes);
    for (const [index, person] of people.entries()) await audit(desk, person, notes[index] ?? 0, tally);
    tally.kills++;
  }
  return tally;
}

/** As the killed server left it, before another one can mend anything. */
async function checkStore({ site }: Desk): Promise<string[]> {
  const db = await Deno.openKv(site.storePath);
  try {
    return await collectBrokenInvariants(db, { nowMs: Date.now() });
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
