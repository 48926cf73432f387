// The number of active admins, kept in the commit of every change to it, so that the last one cannot be lost, also
// not by two of them at the same moment.

import { keys, type UserRecord } from "./keys.ts";
import type { Change, Kv } from "./kv.ts";

/**
 * Adds what a change of one account does to the number of active admins. False when it would leave none: then the
 * change must not be committed. `before` or `after` is null when there is no account.
 */
export async function addAdminCount(
  kv: Kv,
  change: Change,
  { before, after }: { readonly before: UserRecord | null; readonly after: UserRecord | null },
): Promise<boolean> {
  const difference = Number(isActiveAdmin(after)) - Number(isActiveAdmin(before));
  if (difference === 0) return true;
  const entry = await kv.find(keys.activeAdmins());
  const count = (entry.value?.count ?? 0) + difference;
  if (difference < 0 && count < 1) return false;
  change.check(entry).set(entry.key, { count });
  return true;
}

/** Whether the account is the only active admin now. */
export async function isLastAdmin(kv: Kv, user: UserRecord): Promise<boolean> {
  return isActiveAdmin(user) && (await kv.find(keys.activeAdmins())).value?.count === 1;
}

function isActiveAdmin(user: UserRecord | null): boolean {
  return user?.role === "admin" && user.status === "active";
}
