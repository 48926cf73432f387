// Addresses that an account has left, by its end or for another one. What had been registered for one of them before is
// void for good: it must not come back with somebody's old password. A keyed hash and a moment, for a day.

import type { StoreDeps } from "../deps.ts";
import { type FreedAddressRecord, keys } from "./keys.ts";
import type { Change } from "./kv.ts";
import { addressSubject } from "./subjects.ts";

/** Where it stands that an account has left this canonical address. */
export function freedAddressKey(
  { secrets }: Pick<StoreDeps, "secrets">,
  email: string,
): ReturnType<typeof keys.freedAddress> {
  return keys.freedAddress(addressSubject(secrets, email));
}

/** Voids every registration of an address in the commit by which its account leaves it. */
export function addRelease(
  deps: Pick<StoreDeps, "kv" | "config" | "secrets">,
  change: Change,
  email: string,
): void {
  const freedAtMs = deps.kv.nowMs();
  // By then the last of those registrations has ended by itself.
  const expiresAtMs = freedAtMs + deps.config.registrationTtlMs;
  change.set(freedAddressKey(deps, email), { freedAtMs, expiresAtMs });
}

/** Adds to the commit of a confirmed registration that it is not void. False when it is: then nothing is added. */
export async function addRegistrationCheck(
  deps: Pick<StoreDeps, "kv" | "secrets">,
  change: Change,
  { email, createdAtMs }: { readonly email: string; readonly createdAtMs: number },
): Promise<boolean> {
  const freed = await deps.kv.find(freedAddressKey(deps, email));
  if (isVoid(freed.value, createdAtMs)) return false;
  change.check(freed);
  return true;
}

/** Whether a registration that was begun at `createdAtMs` is void since an account left its address. */
export function isVoid(freed: FreedAddressRecord | null, createdAtMs: number): boolean {
  return freed !== null && createdAtMs < freed.freedAtMs;
}
