// Limits of a shell, for what is started under it.

/** For `under`: what `ulimit` takes. A write beyond a limit fails, as on a full disk, rather than to end the process. */
export function shellLimit(limit: string): readonly string[] {
  return ["bash", "-c", `trap "" XFSZ; ulimit ${limit} && exec "$@"`, "bash"];
}
