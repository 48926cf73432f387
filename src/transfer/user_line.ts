// An account as one line of a file: what users:export writes and users:import reads, one JSON object a line. The
// members are those of the contract's `User`, and the password's hash, which no answer of the API ever holds.

import { z } from "zod";
import { email, id, locale, name, username } from "../../openapi/fields.ts";
import { isReadableHash, NO_PASSWORD_HASH } from "../hasher.ts";
import { COST_LIMITS } from "../foreign_hash.ts";
import { newId } from "../id.ts";
import type { Account, ImportedPast, NewUser } from "../store/users.ts";
import type { Fault } from "../problem.ts";
import { viewUser } from "../user_view.ts";
import { toFaults } from "../validation.ts";

/** An account that is ready for the store. */
export interface IncomingUser {
  readonly newUser: NewUser;
  readonly role: "user" | "admin";
  /** It was an admin's, and is a user's from now on. */
  readonly isDemoted: boolean;
  readonly past: ImportedPast;
}

/** What the operator decides. */
export interface ReadingOptions {
  /** Admins stay admins; otherwise they become users. */
  readonly keepsAdmins: boolean;
  /** A username, name or locale that does not fit here is left out, rather than the account. */
  readonly dropsUnfit: boolean;
  readonly nowMs: number;
}

const HASH_LENGTH_MAX = 512;
const FAULTS_SHOWN_MAX = 5;
const OPTIONAL_MEMBERS = ["username", "name", "locale"] as const;

const moment = z.iso.datetime({ offset: true, error: "Must be a time such as 2026-11-21T09:30:00Z" })
  .transform((text) => Date.parse(text))
  .refine((ms) => ms >= 0, "Must not be before 1970");

const passwordHash = z.string().max(HASH_LENGTH_MAX)
  .refine(
    (hash) => isUnusable(hash) || isReadableHash(hash),
    `Is no hash of a form that is known here, or costs too much (at most ${COST_LIMITS})`,
  )
  .transform((hash) => isUnusable(hash) ? NO_PASSWORD_HASH : hash);

const userLine = z.strictObject({
  id: id().optional(),
  email,
  email_verified: z.boolean().default(true),
  username: username.nullable().default(null),
  name: name.nullable().default(null),
  locale: locale.nullable().default(null),
  role: z.enum(["user", "admin"]).default("user"),
  plan: z.enum(["free", "premium"]).default("free"),
  status: z.enum(["active", "disabled"]).default("active"),
  created_at: moment.optional(),
  updated_at: moment.optional(),
  last_login_at: moment.nullable().default(null),
  password_hash: passwordHash.nullable().default(null),
});

/** The account that a parsed line describes; or what is wrong with it, in a sentence without the values. */
export function readUserLine(
  line: unknown,
  { keepsAdmins, dropsUnfit, nowMs }: ReadingOptions,
): IncomingUser | { readonly fault: string } {
  const kept = dropsUnfit ? withoutUnfit(line) : line;
  const { data, error } = userLine.safeParse(kept);
  if (error) return { fault: explain(toFaults({ data: kept, error })) };
  const times = [data.created_at ?? 0, data.last_login_at ?? 0];
  if (times.some((ms) => ms > nowMs)) return { fault: "Has a time that lies in the future" };
  const createdAtMs = data.created_at ?? nowMs;
  return {
    newUser: {
      email: data.email,
      username: data.username,
      name: data.name,
      locale: data.locale,
      passwordHash: data.password_hash ?? NO_PASSWORD_HASH,
    },
    role: keepsAdmins ? data.role : "user",
    isDemoted: !keepsAdmins && data.role === "admin",
    past: {
      // Ids are sorted by the time they carry: the newest accounts are listed first.
      id: data.id ?? newId(createdAtMs),
      isEmailVerified: data.email_verified,
      plan: data.plan,
      status: data.status,
      createdAtMs,
      lastLoginAtMs: data.last_login_at,
    },
  };
}

/** The line of an account, without a line break. */
export function formatUserLine({ user, credential }: Account): string {
  return JSON.stringify({ ...viewUser(user.value), password_hash: credential.value.passwordHash });
}

/** Django writes `!` and random text for an account without a password; an empty one is none either. */
function isUnusable(hash: string): boolean {
  return hash === "" || hash.startsWith(NO_PASSWORD_HASH);
}

function withoutUnfit(line: unknown): unknown {
  if (typeof line !== "object" || line === null) return line;
  const unfit = OPTIONAL_MEMBERS.filter((member) =>
    member in line && !userLine.shape[member].safeParse(Reflect.get(line, member)).success
  );
  return { ...line, ...Object.fromEntries(unfit.map((member) => [member, null])) };
}

function explain(faults: readonly Fault[]): string {
  const sentences = faults.map(({ pointer, message }) =>
    pointer === "" ? message : `${pointer.slice(1)}: ${message}`
  );
  return sentences.slice(0, FAULTS_SHOWN_MAX).join("; ");
}
