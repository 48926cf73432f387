// `deno task users:import FILE`: takes accounts over, from our own export or from a Django dump. The file is read twice:
// nothing is written before all of it has been judged. Each account is one commit, so that none is ever half there.

import { NO_PASSWORD_HASH } from "../hasher.ts";
import { insertAuditEvent } from "../store/audit.ts";
import { OPERATOR } from "../store/client.ts";
import { type Kv, LOST, untilCommitted } from "../store/kv.ts";
import { addUser } from "../store/users.ts";
import { findFileFault, judgeFile, type Verdict } from "../transfer/verdict.ts";
import type { IncomingUser, ReadingOptions } from "../transfer/user_line.ts";
import { requireName } from "./output_file.ts";
import { createProgress } from "./progress.ts";
import { complain, readArguments, runTool, say, type Tool, ToolFault } from "./tool.ts";

const HELP = `Takes accounts over from FILE, with their passwords. Works beside a running server.

  deno task users:import FILE [--dry-run] [--skip-bad] [--drop-unfit] [--keep-admins]

  --dry-run      only say what would happen
  --skip-bad     import the others when some records are bad; without it one bad record stops everything
  --drop-unfit   leave out a username, name or locale that is taken or does not fit, instead of calling the record bad
  --keep-admins  admins stay admins (Django: is_superuser or is_staff); without it everybody becomes a user

FILE is JSON Lines as users:export writes them, or what Django's dumpdata writes of its user table, with or without
\`--format jsonl\`. One object a line; only the email is required:

  {"email": "ada@example.org", "password_hash": "pbkdf2_sha256$…", "username": "ada", "name": "Ada Lovelace",
   "email_verified": true, "status": "active", "created_at": "2024-02-29T12:00:00Z"}

Old hashes verify at the first sign-in and become argon2id then: argon2id, and Django's pbkdf2_sha256, pbkdf2_sha1,
argon2, bcrypt_sha256, bcrypt and scrypt. Who has none, or an address that is not verified, sets a password by a reset. A run can be repeated:
an address that has an account is skipped.`;

/** Lines shown of each kind; the rest is counted. */
const LINES_SHOWN_MAX = 1_000;

interface Wanted {
  readonly path: string;
  readonly isDryRun: boolean;
  readonly skipsBad: boolean;
  readonly options: ReadingOptions;
}

/** How many records came out how. */
interface Tally {
  fresh: number;
  existing: number;
  bad: number;
  demoted: number;
  withoutPassword: number;
  readonly otherModels: Map<string, number>;
}

if (import.meta.main) {
  if (Deno.args.includes("--help")) say(HELP);
  else await runTool(importUsers);
}

async function importUsers(tool: Tool): Promise<void> {
  const { kv } = tool;
  const wanted = readWanted();
  const fileFault = await findFileFault(wanted.path);
  if (fileFault) throw new ToolFault(fileFault);

  const tally = await judgeAll(kv, wanted);
  report(tally);
  if (tally.bad > 0 && !wanted.skipsBad) {
    throw new ToolFault("Nothing was imported: mend the bad records, or leave them out with --skip-bad.");
  }
  if (tally.fresh + tally.existing === 0) throw new ToolFault(`${wanted.path} has no account to import.`);
  if (wanted.isDryRun) return say(`${tally.fresh} would be imported; nothing was, because of --dry-run.`);
  // Before the first of them: so it is told even when this is killed half-way.
  await insertAuditEvent(tool, {
    type: "users_imported",
    actor: OPERATOR,
    userId: null,
    details: { accounts: String(tally.fresh) },
  });
  say(`${await insertAll(kv, wanted)} imported.`);
}

/** The first reading: prints what is not as it should be, writes nothing. */
async function judgeAll(kv: Kv, { path, options }: Wanted): Promise<Tally> {
  const tally: Tally = {
    fresh: 0,
    existing: 0,
    bad: 0,
    demoted: 0,
    withoutPassword: 0,
    otherModels: new Map(),
  };
  const progress = createProgress("Checking ");
  for await (const { verdicts, share } of judgeFile(kv, path, options)) {
    for (const verdict of verdicts) {
      const line = count(tally, verdict);
      if (line === null) continue;
      progress.clear();
      complain(line);
    }
    progress.show(share);
  }
  progress.clear();
  return tally;
}

/** Counts a verdict. Returns what is to be said of it, or null. */
function count(tally: Tally, verdict: Verdict): string | null {
  const { place } = verdict;
  switch (verdict.outcome) {
    case "new":
      tally.fresh++;
      if (verdict.user.isDemoted) tally.demoted++;
      if (verdict.user.newUser.passwordHash === NO_PASSWORD_HASH) tally.withoutPassword++;
      return null;
    case "exists":
      if (++tally.existing > LINES_SHOWN_MAX) return null;
      return `${place}: has an account already, which stays as it is`;
    case "bad":
      return ++tally.bad > LINES_SHOWN_MAX ? null : `${place}: ${verdict.fault}`;
    case "other":
      tally.otherModels.set(verdict.model, (tally.otherModels.get(verdict.model) ?? 0) + 1);
      return null;
  }
}

function report({ fresh, existing, bad, demoted, withoutPassword, otherModels }: Tally): void {
  say(`${fresh} new, ${existing} with an account already, ${bad} bad.`);
  if (bad > LINES_SHOWN_MAX) say(`Only the first ${LINES_SHOWN_MAX} bad ones are shown.`);
  if (demoted > 0) say(`Of the new ones ${demoted} had the role admin and will be users: see --keep-admins.`);
  if (withoutPassword > 0) {
    say(`Of the new ones ${withoutPassword} will have no password until they reset it.`);
  }
  const others = [...otherModels].map(([model, records]) => `${records} ${model}`).join(", ");
  if (others !== "") say(`Left out, because they are no users: ${others}.`);
}

/** The second reading. Returns how many accounts there are more. */
async function insertAll(kv: Kv, { path, options }: Wanted): Promise<number> {
  const progress = createProgress("Importing");
  let imported = 0;
  try {
    for await (const { verdicts, share } of judgeFile(kv, path, options)) {
      const fresh = verdicts.filter((verdict) => verdict.outcome === "new");
      const done = await Promise.all(fresh.map(({ user }) => insertUser(kv, user)));
      for (const [index, isDone] of done.entries()) {
        if (isDone) imported++;
        else complain(`${fresh[index]?.place}: its address or username has just been taken`);
      }
      progress.show(share);
    }
  } catch (error) {
    progress.clear();
    complain(`Stopped after ${imported} accounts, which are whole: run it again for the others.`);
    throw error;
  }
  progress.clear();
  return imported;
}

/** False when somebody was faster. */
function insertUser(kv: Kv, { newUser, role, past }: IncomingUser): Promise<boolean> {
  return untilCommitted(async () => {
    const change = kv.change();
    const user = await addUser(kv, change, { newUser, role, past });
    return user === null ? false : await change.commit() || LOST;
  });
}

function readWanted(): Wanted {
  const { values, positionals: [path] } = readArguments({
    help: HELP,
    options: {
      "dry-run": { type: "boolean" },
      "skip-bad": { type: "boolean" },
      "drop-unfit": { type: "boolean" },
      "keep-admins": { type: "boolean" },
    },
    operandsMax: 1,
  });
  if (!path) throw new ToolFault(`FILE is missing\n\n${HELP}`);
  requireName(path);
  return {
    path,
    isDryRun: values["dry-run"] ?? false,
    skipsBad: values["skip-bad"] ?? false,
    options: {
      keepsAdmins: values["keep-admins"] ?? false,
      dropsUnfit: values["drop-unfit"] ?? false,
      nowMs: Date.now(),
    },
  };
}
