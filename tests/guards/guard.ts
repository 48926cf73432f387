// What a guard is, as a row of a table: what it is there for, how it is taken out, and which test must then fail.

/** One thing that the server does so that something does not happen. */
export interface Guard extends Removal {
  /** What it keeps true, or keeps out, in plain words. */
  readonly name: string;
  /** What stands behind it, and is taken out with it: alone nothing would be missed. */
  readonly also?: readonly Removal[];
  /** The test that turns red without it. */
  readonly red: RedTest;
}

/** How a guard is taken out: one stretch of one file, and what stands there instead. */
export interface Removal {
  /** From the repository's folder on. */
  readonly file: string;
  /** Occurs once in the file. */
  readonly find: string;
  readonly put: string;
}

/** A file of `tests`, and the whole name of a test in it. */
export type RedTest = readonly [file: string, test: string];

/** All that is taken out together. */
export function removalsOf({ file, find, put, also = [] }: Guard): readonly Removal[] {
  return [{ file, find, put }, ...also];
}

/** The code has moved on since the row was written. */
export class StaleGuard extends Error {
  override readonly name = "StaleGuard";
}

/** The text of a file without the guard. Throws StaleGuard when it does not stand there exactly once. */
export function takeOut(text: string, { file, find, put }: Removal): string {
  const parts = text.split(find);
  if (parts.length !== 2) throw new StaleGuard(`In ${file} this stands ${parts.length - 1} times: ${find}`);
  return parts.join(put);
}
