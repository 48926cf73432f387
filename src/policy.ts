// The limits by name, and how they are written: `5/1m` is five in any minute, `10/1h,30/1d` both at once. What a
// policy means is in window.ts; who is counted under it is decided where it is applied.

import { parseDurationMs } from "./duration.ts";

/** At most `limit` admitted in any interval of `windowMs`. */
export interface Window {
  readonly limit: number;
  readonly windowMs: number;
}

/** Each window must have room. Without any window the policy is off and admits everything. */
export type Policy = readonly Window[];

/** The defaults, in the notation of the settings. */
export const POLICY_DEFAULTS = {
  login: "5/1m",
  register: "3/1m",
  otp: "3/1m",
  password_reset: "3/1h",
  password: "5/1m",
  mail: "10/1h,30/1d",
  anonymous: "100/1d",
  user: "1000/1d",
} as const;

/** What the 429 and the RateLimit headers call a limit. */
export type PolicyName = keyof typeof POLICY_DEFAULTS;

const LIMIT_MAX = 1_000_000_000;
const WINDOWS_MAX = 4;

/** The policy that `text` describes, or null: no zero, no window below 1 s, at most four windows. */
export function parsePolicy(text: string): Policy | null {
  if (text === "off") return [];
  const windows = text.split(",").map((part) => parseWindow(part.trim()));
  if (windows.length > WINDOWS_MAX) return null;
  return windows.every((window) => window !== null) ? windows : null;
}

function parseWindow(text: string): Window | null {
  const [, limitText, durationText] = /^([1-9]\d{0,9})\/(\w+)$/.exec(text) ?? [];
  if (limitText === undefined || durationText === undefined) return null;
  const limit = Number(limitText);
  const windowMs = parseDurationMs(durationText);
  return windowMs === null || limit > LIMIT_MAX ? null : { limit, windowMs };
}
