// Notes, and how many an account has: the plan's limit goes by the count.

import { keys, type NoteCountRecord } from "../store/keys.ts";
import { isPresent, type Kv, type Present } from "../store/kv.ts";
import { pagesOf } from "../store/page.ts";
import { type Examiner, kindOf, nameOf } from "./examiner.ts";
import { expectAt, isThere, part, type Rule, ruleFor, standsAt } from "./expectation.ts";

/** Notes are the largest records: as many accounts at once, with as many notes of each, stay small. */
const ACCOUNTS_AT_ONCE = 16;
const NOTES_AT_ONCE = 100;
const COUNTS = kindOf(keys.noteCount(""));
/** Whoever writes notes all the time cannot be counted. */
const LOOKS_MAX = 10;

const noteRule = ruleFor(keys.notesOf(""), (record) => {
  const userId = part(record, 1);
  const count = keys.noteCount(userId);
  return [
    standsAt(record, keys.note(userId, record.value.id)),
    { ...expectAt(count, isThere, "is missing, though there are notes"), about: count },
  ];
});

/** Counts the notes of each account that has a count. */
export function createNoteCountExaminer(kv: Kv): Examiner {
  async function isWrong({ key, value }: Present<unknown>): Promise<boolean> {
    // What else somebody may have written there is no number that fits.
    const { count } = value as Partial<NoteCountRecord>;
    return await countNotes(kv, String(key.path[1])) !== count;
  }

  return {
    async examine(records) {
      const counts = records.filter(({ key }) => kindOf(key) === COUNTS);
      const wrong: Present<unknown>[] = [];
      for (let start = 0; start < counts.length; start += ACCOUNTS_AT_ONCE) {
        const some = counts.slice(start, start + ACCOUNTS_AT_ONCE);
        const verdicts = await Promise.all(some.map(isWrong));
        wrong.push(...some.filter((_, index) => verdicts[index]));
      }
      const seen = await Promise.all(wrong.map(async (record) => {
        const lookAgain = (): Promise<string[]> => findMiscount(kv, part(record, 1));
        return { faults: await lookAgain(), lookAgain };
      }));
      return seen.filter(({ faults }) => faults.length > 0);
    },
  };
}

/** Exact: every note that comes or goes changes the count's record, and a deletion takes it away in the end. */
async function findMiscount(kv: Kv, userId: string): Promise<string[]> {
  for (let looks = 0; looks < LOOKS_MAX; looks++) {
    const before = await kv.find(keys.noteCount(userId));
    const there = await countNotes(kv, userId);
    const [count, tombstone] = await kv.findMany([before.key, keys.tombstone(userId)]);
    if (count.value === null || tombstone.value !== null) return [];
    if (count.versionstamp !== before.versionstamp) continue;
    if (count.value.count === there) return [];
    return [`${nameOf(count.key)} says ${Number(count.value.count)}, and there are ${there}`];
  }
  return [];
}

async function countNotes(kv: Kv, userId: string): Promise<number> {
  let count = 0;
  for await (const notes of pagesOf(kv, keys.notesOf(userId), NOTES_AT_ONCE)) {
    count += notes.filter(isPresent).length;
  }
  return count;
}

export const noteRules: readonly Rule[] = [noteRule];
