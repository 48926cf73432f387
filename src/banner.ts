// What a newcomer needs to know, printed when the server listens. Production gets one line. What looks like a mistake
// among the settings, and does not keep the server from running, is said besides.

import type { Config } from "./config.ts";

/** Prints the addresses, in development the first things to try, and each of `warnings` on standard error. */
export function banner(
  config: Config,
  { port, isMailbox, warnings }: {
    readonly port: number;
    readonly isMailbox: boolean;
    readonly warnings: readonly string[];
  },
): void {
  const local = `http://localhost:${port}`;
  const lines = config.isProduction ? [`${config.appName} serves ${config.publicUrl} on port ${port}`] : [
    "",
    `  ${config.appName} is ready (development)`,
    "",
    `  Docs       ${local}/docs`,
    `  API        ${local}/api/v1`,
    isMailbox ? `  Mailbox    ${local}/dev/mailbox` : "  Mail       goes to the server of SMTP_URL",
    "  Admin      deno task admin:create --email you@example.org",
    "",
    "  Try it:",
    `  curl ${local}/api/v1/auth/register -H 'Content-Type: application/json' -d '{"email":"ada@example.org","password":"violet-comet-93"}'`,
    "",
  ];
  // deno-lint-ignore no-console -- for the person at the terminal.
  console.log(lines.join("\n"));
  // deno-lint-ignore no-console -- the same person.
  for (const warning of warnings) console.error(`Warning: ${warning}`);
}
