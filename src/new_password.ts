// A password that somebody chooses: the same refusals wherever it happens.

import type { Deps } from "./deps.ts";
import { passwordFault } from "./password.ts";
import { invalid } from "./problem.ts";

/** As it stood in the request: `member` is the name it has there. */
export interface NewPassword {
  readonly member: "password" | "new_password";
  readonly plainPassword: string;
}

/** Throws a 422 that says which rule the password breaks (NIST SP 800-63B-4 §3.1.1.2, and the house rule). */
export async function requireNewPassword(
  { config }: Pick<Deps, "config">,
  { member, plainPassword }: NewPassword,
  person: { readonly email: string; readonly username: string | null; readonly name: string | null },
): Promise<void> {
  const fault = await passwordFault(plainPassword, {
    ...person,
    appName: config.appName,
    lengthMin: config.passwordLengthMin,
    pattern: config.passwordPattern,
  });
  if (fault) throw invalid({ pointer: `/${member}`, ...fault });
}
