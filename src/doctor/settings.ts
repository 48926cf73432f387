// Settings that read well one by one, and do not fit together.

import type { Config } from "../config.ts";
import { isLoopbackUrl } from "./address.ts";
import { type Finding, toFix, well } from "./finding.ts";

export function examineSettings(config: Config): Finding[] {
  const findings: Finding[] = [];
  const isPublic = !isLoopbackUrl(config.publicUrl);
  if (!config.isProduction && isPublic) {
    findings.push(
      toFix(
        "settings",
        `APP_ENV is development, yet PUBLIC_URL is ${config.publicUrl}: set APP_ENV=production`,
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
