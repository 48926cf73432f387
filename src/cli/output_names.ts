// The names that a file has while a tool makes it: apart, because the launcher grants them before there is a tool.

/** Where `path` is written until it is complete, with what SQLite puts beside it. The first is the file itself. */
export function draftsOf(path: string): [string, string, string] {
  return [`${path}.partial`, `${path}.partial-wal`, `${path}.partial-shm`];
}

/** Every name that a tool needs to make `path`. */
export function namesOfOutput(path: string): string[] {
  return [path, ...draftsOf(path)];
}
