// Settings that read well one by one, and do not fit together; and lines of `.env` that set nothing. The doctor tells
// of them, and so does the server when it starts.

import type { Config } from "../config.ts";
import { findDotEnvFaults } from "../dot_env.ts";
import { isLoopbackUrl } from "./address.ts";
import { type Finding, toFix, well } from "./finding.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** Durations that cancel what they, or another one, are for. Each may still be as short as a second, as a test wants it. */
const cancellations: readonly { readonly isFound: (config: Config) => boolean; readonly text: string }[] = [
  {
    isFound: ({ refreshGraceMs, refreshTtlMs }) => refreshGraceMs > Math.min(MINUTE_MS, refreshTtlMs),
    text:
      "REFRESH_GRACE is over a minute, or over REFRESH_TOKEN_TTL: for that long a stolen refresh token works " +
      "unnoticed. Ten seconds are enough for a lost answer",
  },
  {
    isFound: ({ otpResendAfterMs, otpTtlMs }) => otpResendAfterMs > otpTtlMs,
    text: "OTP_RESEND_AFTER is over OTP_TTL: a code ends before another may be asked for",
  },
  {
    isFound: ({ auditRetentionMs }) => auditRetentionMs < DAY_MS,
    text: "AUDIT_RETENTION is under a day: what happened is forgotten before anybody looks",
  },
];

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
  for (const { isFound, text } of cancellations) if (isFound(config)) findings.push(toFix("settings", text));
  if (findings.length > 0) return findings;
  return [well("settings", `${config.isProduction ? "production" : "development"}, for ${config.publicUrl}`)];
}

/** What `.env` says to no effect; nothing when there is no such line. */
export function examineDotEnv(dotEnv: string): Finding[] {
  return findDotEnvFaults(dotEnv).map((fault) => toFix("settings", fault));
}
