// Settings that read well one by one, and do not fit together; and lines of `.env` that set nothing. The doctor tells
// of them, and so does the server when it starts.

import type { Config } from "../config.ts";
import { findDotEnvFaults } from "../dot_env.ts";
import { isLoopbackUrl } from "./address.ts";
import { type Finding, toFix, well } from "./finding.ts";

/** `dotEnv` is the text of `.env`. */
export function examineSettings(config: Config, dotEnv: string): Finding[] {
  const findings = examineDotEnv(dotEnv);
  const isPublic = !isLoopbackUrl(config.publicUrl);
  if (!config.isProduction && isPublic) {
    findings.push(
      toFix(
        "settings",
        `APP_ENV is development, yet PUBLIC_URL is ${config.publicUrl}: ${
          config.smtp
            ? "set APP_ENV=production"
            : "whoever reaches this server reads every mailed code at /dev/mailbox. Set APP_ENV=production and SMTP_URL"
        }`,
      ),
    );
  }
  if (config.isProduction && !isPublic) {
    findings.push(
      toFix(
        "settings",
        `PUBLIC_URL is ${config.publicUrl}, which nobody else reaches: set it to the public address`,
      ),
    );
  }
  if (findings.length > 0) return findings;
  return [well("settings", `${config.isProduction ? "production" : "development"}, for ${config.publicUrl}`)];
}

/** What `.env` says to no effect; nothing when there is no such line. */
export function examineDotEnv(dotEnv: string): Finding[] {
  return findDotEnvFaults(dotEnv).map((fault) => toFix("settings", fault));
}
