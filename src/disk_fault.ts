// What SQLite says when the disk is at fault and not a request: full, read-only, failing, or damaged. Deno KV throws its
// words on. Nothing of the write has happened then. And what the system says of any other file.

const SENTENCES = [
  "database or disk is full",
  "disk I/O error",
  "attempt to write a readonly database",
  "unable to open database file",
  "database disk image is malformed",
] as const;

/** Whether the store's file could not be written or read. Becomes 503 `unavailable`, and a refusal at the start. */
export function isDiskFault(error: unknown): error is Error {
  return error instanceof TypeError && SENTENCES.some((sentence) => error.message.includes(sentence));
}

/** Whether the system refused to read or write a file: its words say why. */
export function isFileFault(error: unknown): error is Error {
  return error instanceof Error && /\(os error \d+\)/.test(error.message);
}
