// What a newcomer needs to know, printed when the server listens. Production gets one line.

import type { Config } from "./config.ts";

/** Prints the addresses, and in development the first things to try. */
export function banner(
  config: Config,
  { port, isMailbox }: { readonly port: number; readonly isMailbox: boolean },
): void {
  const local = `http://localhost:${port}`;
  const lines = config.isProduction ? [`${config.appName} serves ${config.publicUrl} on port ${port}`] : [
    "",
    `  ${config.appName} is ready (development)`,
    "",
    `  API        ${local}/api/v1`,
    `  Docs       ${local}/docs`,
    isMailbox ? `  Mailbox    ${local}/dev/mailbox` : "  Mail       goes to the server of SMTP_URL",
    "  Admin      deno task admin:create --email you@example.org",
    "",
    "  Try it:",
    `  curl ${local}/api/v1/auth/register -H 'Content-Type: application/json' -d '{"email":"ada@example.org","password":"violet-comet-93"}'`,
    "",
  ];
  // deno-lint-ignore no-console -- for the person at the terminal.
  console.log(lines.join("\n"));
}
