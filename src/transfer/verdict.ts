// What is to become of each record of a file: a new account, or why not. Asked once before anything is written, and
// once more on the way, so that a run that was cut short can be repeated.

import type { Kv } from "../store/kv.ts";
import { isUsernameFree } from "../store/usernames.ts";
import { findUser, isEmailTaken } from "../store/users.ts";
import { isDjangoRecord, isDjangoUser, toUserLine } from "./django.ts";
import {
  ARRAY_BYTES_MAX,
  type FileRecord,
  isArrayFile,
  readArrayRecords,
  readLineRecords,
} from "./records.ts";
import { type IncomingUser, type ReadingOptions, readUserLine } from "./user_line.ts";

/** `place` says where in the file it stands. */
export type Verdict =
  & { readonly place: string }
  & (
    | { readonly outcome: "new"; readonly user: IncomingUser }
    /** The address has an account, which stays as it is. */
    | { readonly outcome: "exists" }
    | { readonly outcome: "bad"; readonly fault: string }
    /** A record of a Django dump that is no user. */
    | { readonly outcome: "other"; readonly model: string }
  );

/** Some verdicts, in the order of the file, and how much of it has been read, from 0 to 1. */
export interface Judged {
  readonly verdicts: readonly Verdict[];
  readonly share: number;
}

/** Where in the file an address, a username and an id were first seen. */
interface Seen {
  readonly emails: Map<string, string>;
  readonly usernames: Map<string, string>;
  readonly ids: Map<string, string>;
}

const BATCH = 32;

/** Why a file cannot be read at all, in a sentence; null when it can. */
export async function findFileFault(path: string): Promise<string | null> {
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) return `${path} is no file`;
    if (size > ARRAY_BYTES_MAX && await isArrayFile(path)) {
      return `${path} is too large to be read whole: write it with \`dumpdata --format jsonl\``;
    }
    return null;
  } catch (error) {
    return `${path} cannot be read: ${error instanceof Error ? error.message : error}`;
  }
}

/** Judges every record of the file. */
export async function* judgeFile(kv: Kv, path: string, options: ReadingOptions): AsyncGenerator<Judged> {
  const seen: Seen = { emails: new Map(), usernames: new Map(), ids: new Map() };
  const records = await isArrayFile(path) ? readArrayRecords(path) : readLineRecords(path);
  let batch: FileRecord[] = [];
  const judge = async (): Promise<Judged> => {
    const alone = batch.map((record) => judgeAlone(record, seen, options));
    const verdicts = await Promise.all(alone.map((verdict) => judgeAgainstStore(kv, verdict, options)));
    return { verdicts, share: batch.at(-1)?.share ?? 1 };
  };
  for await (const record of records) {
    batch.push(record);
    if (batch.length < BATCH) continue;
    yield await judge();
    batch = [];
  }
  if (batch.length > 0) yield await judge();
}

/** By what stands in the file: in the record, and in those before it. */
function judgeAlone({ place, value, fault }: FileRecord, seen: Seen, options: ReadingOptions): Verdict {
  if (fault !== undefined) return { place, outcome: "bad", fault };
  const isDjango = isDjangoRecord(value);
  if (isDjango && !isDjangoUser(value)) return { place, outcome: "other", model: value.model };
  const user = readUserLine(isDjango ? toUserLine(value) : value, options);
  if ("fault" in user) return { place, outcome: "bad", fault: user.fault };

  const { email, username } = user.newUser;
  const emailPlace = takeFirst(seen.emails, email, place);
  if (emailPlace) return { place, outcome: "bad", fault: `Has the address of ${emailPlace.toLowerCase()}` };
  const idPlace = takeFirst(seen.ids, user.past.id, place);
  if (idPlace) return { place, outcome: "bad", fault: `Has the id of ${idPlace.toLowerCase()}` };
  const usernamePlace = username && takeFirst(seen.usernames, username.toLowerCase(), place);
  if (!usernamePlace) return { place, outcome: "new", user };
  const usernameFault = `Has the username of ${usernamePlace.toLowerCase()}; case does not count`;
  return withTakenUsername({ place, user, fault: usernameFault }, options);
}

/** By what stands in the store. */
async function judgeAgainstStore(kv: Kv, verdict: Verdict, options: ReadingOptions): Promise<Verdict> {
  if (verdict.outcome !== "new") return verdict;
  const { place, user } = verdict;
  const { email, username } = user.newUser;
  if (await isEmailTaken(kv, email)) return { place, outcome: "exists" };
  if (await findUser(kv, user.past.id)) {
    return { place, outcome: "bad", fault: "Has the id of another account" };
  }
  if (username === null || await isUsernameFree(kv, { username, email })) return verdict;
  return withTakenUsername({ place, user, fault: "Has the username of another account" }, options);
}

function withTakenUsername(
  { place, user, fault }: {
    readonly place: string;
    readonly user: IncomingUser;
    readonly fault: string;
  },
  { dropsUnfit }: ReadingOptions,
): Verdict {
  if (!dropsUnfit) return { place, outcome: "bad", fault };
  return { place, outcome: "new", user: { ...user, newUser: { ...user.newUser, username: null } } };
}

/** Null for the first of its kind; else the place of that one. */
function takeFirst(places: Map<string, string>, text: string, place: string): string | null {
  const first = places.get(text);
  if (first !== undefined) return first;
  places.set(text, place);
  return null;
}
