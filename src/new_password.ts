// A password that somebody chooses: the same refusals wherever it happens.

import type { Deps } from "./deps.ts";
import { passwordFault } from "./password.ts";
import { invalid } from "./problem.ts";

/** As it stood in the request: `member` is the name it has there. */
export interface NewPassword {
  readonly member: "password" | "new_password";
  readonly plainPassword: string;
}

/** Whose it becomes: a password must not be built from any of it. */
export interface Person {
  readonly email: string;
  readonly username: string | null;
  readonly name: string | null;
}

/** Before it is known whose it becomes: what holds for everybody is judged like all the rest of a request. */
export const ANYBODY: Person = { email: "", username: null, name: null };

/** Throws a 422 that says which rule the password breaks (NIST SP 800-63B-4 §3.1.1.2, and the house rule). */
export async function requireNewPassword(
  { config }: Pick<Deps, "config">,
  { member, plainPassword }: NewPassword,
  person: Person,
): Promise<void> {
  const fault = await passwordFault(plainPassword, {
    ...person,
    appName: config.appName,
    lengthMin: config.passwordLengthMin,
    pattern: config.passwordPattern,
  });
  if (fault) throw invalid({ pointer: `/${member}`, ...fault });
}
