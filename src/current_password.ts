// The current password as proof of who is at the keyboard, beyond the session.

import type { Deps } from "./deps.ts";
import { Problem } from "./problem.ts";
import { type CredentialRecord, keys, type UserRecord } from "./store/keys.ts";

/** The credential that `plainPassword` was proved against. Throws 401 `password_invalid`. */
export async function requireCurrentPassword(
  { kv, hasher }: Pick<Deps, "kv" | "hasher">,
  user: UserRecord,
  plainPassword: string,
): Promise<CredentialRecord> {
  const { value: credential } = await kv.find(keys.credential(user.id));
  const isRight = await hasher.verify(plainPassword, credential?.passwordHash ?? null);
  if (!credential || !isRight) throw new Problem("password_invalid");
  return credential;
}
