// Finding users, for admins: by what their email or username starts with, by role, status and plan; newest first. Two
// indexes change in the commit of every change to a user: one by text, and one with a shelf for each combination of
// role, status and plan. So a list of a million users reads no more than one of a thousand.

import { keys, type UserFacets, type UserRecord } from "./keys.ts";
import type { Change, Key, Kv, Page } from "./kv.ts";
import {
  collectNewest,
  fillPage,
  type ItemPage,
  type PageQuery,
  type Source,
  sourceOfIds,
  sourceOfRecords,
} from "./page.ts";

/** Which users; what is left out or undefined fits any. */
export interface UserFilter {
  /** What the email or the username starts with, in lower case. */
  readonly q?: string | undefined;
  readonly role?: UserRecord["role"] | undefined;
  readonly status?: UserRecord["status"] | undefined;
  readonly plan?: UserRecord["plan"] | undefined;
}

/** How many users one page of a search may look at. Whoever fits more than that is found by walking through all. */
const SEARCH_MAX = 5_000;
const SEARCH_STEP_MIN = 32;
const SEARCH_STEP_MAX = 1_000;
/** Greater than any character of an address or a username, which are printable ASCII. */
const TEXT_END = "\u007F";

const ROLES: readonly UserRecord["role"][] = ["user", "admin"];
const STATUSES: readonly UserRecord["status"][] = ["active", "disabled"];
const PLANS: readonly UserRecord["plan"][] = ["free", "premium"];

/**
 * A page of the users that fit `filter`, newest first. It is short, or empty, although there is a next one when so many
 * fit `q`, and so few of them the rest, that `searchMax` looks do not fill it.
 */
export async function collectUsers(
  kv: Kv,
  filter: UserFilter,
  query: PageQuery,
  { searchMax = SEARCH_MAX }: { readonly searchMax?: number } = {},
): Promise<ItemPage<UserRecord>> {
  const found = filter.q === undefined ? null : await findIdsByText(kv, filter.q, searchMax);
  const source = found ? sourceOfFound(kv, found) : sourceOfAll(kv, filter);
  return await fillPage(source, query, { isWanted: (user) => isFitting(user, filter), looksMax: searchMax });
}

/** Adds to `change` what becomes of a user's entries; `before` or `after` is null when there is no account. */
export function addUserIndex(
  change: Change,
  { before, after }: { readonly before: UserRecord | null; readonly after: UserRecord | null },
): void {
  if (before) change.remove(...entriesOf(before));
  if (after) { for (const entry of entriesOf(after)) change.set(entry, after.id); }
}

function entriesOf(user: UserRecord): Key<string>[] {
  return [keys.userByFacets(user), ...textsOf(user).map((text) => keys.userByText(text, user.id))];
}

function textsOf({ email, username }: UserRecord): string[] {
  return username === null ? [email] : [email, username.toLowerCase()];
}

function isFitting(
  user: UserRecord,
  { q = "", role = user.role, status = user.status, plan = user.plan }: UserFilter,
): boolean {
  return user.role === role && user.status === status && user.plan === plan &&
    textsOf(user).some((text) => text.startsWith(q));
}

/** The ids of all users with a text that starts with `q`, newest first; null when there are more than `idsMax`. */
async function findIdsByText(kv: Kv, q: string, idsMax: number): Promise<string[] | null> {
  const ids = new Set<string>();
  let cursor: string | null = null;
  let limit = SEARCH_STEP_MIN;
  do {
    const page: Page<string> = await kv.collect(keys.usersByText(), {
      limit,
      // Downwards from the last text that may start with it, to the first that does not.
      isNewestFirst: true,
      upTo: q + TEXT_END,
      cursor,
    });
    const fitting = page.entries.filter(({ key }) => String(key.path[1]).startsWith(q));
    for (const { value } of fitting) ids.add(value);
    if (ids.size > idsMax) return null;
    limit = SEARCH_STEP_MAX;
    cursor = fitting.length < page.entries.length ? null : page.cursor;
  } while (cursor !== null);
  return [...ids].sort().reverse();
}

function sourceOfFound(kv: Kv, ids: readonly string[]): Source<UserRecord> {
  return sourceOfIds(kv, keys.user, ({ limit, startId }) => {
    const start = startId === null ? 0 : ids.findIndex((id) => id <= startId);
    return Promise.resolve(start < 0 ? [] : ids.slice(start, start + limit));
  });
}

/** Everybody who fits role, status and plan. */
function sourceOfAll(kv: Kv, { role, status, plan }: UserFilter): Source<UserRecord> {
  if (!role && !status && !plan) return sourceOfRecords(kv, keys.users());
  const shelves = shelvesOf({ role, status, plan });
  return sourceOfIds(kv, keys.user, async (query) => {
    const found = await Promise.all(
      shelves.map((shelf) => collectNewest(kv, keys.usersByFacets(shelf), query)),
    );
    // Who changes shelves meanwhile stands on both, or for this once on neither.
    return [...new Set(found.flat())].sort().reverse().slice(0, query.limit);
  });
}

function shelvesOf({ role, status, plan }: UserFilter): UserFacets[] {
  const [roles, statuses, plans] = [
    role ? [role] : ROLES,
    status ? [status] : STATUSES,
    plan ? [plan] : PLANS,
  ];
  return roles.flatMap((role) => statuses.flatMap((status) => plans.map((plan) => ({ role, status, plan }))));
}
