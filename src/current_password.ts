// The current password as proof of who is at the keyboard, beyond the session.

import type { Deps } from "./deps.ts";
import { Problem } from "./problem.ts";
import { type AuditDeps, insertAuditEvent } from "./store/audit.ts";
import { type Client, owner } from "./store/client.ts";
import { type CredentialRecord, keys, type UserRecord } from "./store/keys.ts";

/** The credential that `plainPassword` was proved against. Throws 401 `password_invalid`. */
export async function requireCurrentPassword(
  deps: AuditDeps & Pick<Deps, "hasher">,
  { user, client }: { readonly user: UserRecord; readonly client: Client },
  plainPassword: string,
): Promise<CredentialRecord> {
  const { kv, hasher } = deps;
  const { value: credential } = await kv.find(keys.credential(user.id));
  const isRight = await hasher.verify(plainPassword, credential?.passwordHash ?? null);
  if (credential && isRight) return credential;
  await insertAuditEvent(deps, {
    type: "password_failed",
    actor: owner(user.id, client),
    userId: user.id,
    cause: "password_wrong",
  });
  throw new Problem("password_invalid");
}
