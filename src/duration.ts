// Durations as people write them in settings: a whole number and one unit. Windows of limits read the same.

const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Ten years: longer is a slip of the keyboard. */
const DURATION_MAX_MS = 3650 * UNITS_MS.d;

/** `5s`, `30m`, `24h` or `30d` in milliseconds; null when it is none of these, below 1 s or over ten years. */
export function parseDurationMs(text: string): number | null {
  const [, amount, unit] = /^([1-9]\d{0,8})([smhd])$/.exec(text) ?? [];
  if (amount === undefined) return null;
  // The pattern lets no other letter through.
  const durationMs = Number(amount) * UNITS_MS[unit as keyof typeof UNITS_MS];
  return durationMs <= DURATION_MAX_MS ? durationMs : null;
}
