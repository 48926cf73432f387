// What a request costs in password hashes, which is what a flood of requests would cost.

import type { TestServer } from "./harness.ts";

/** Counts the password hashes that a server computes from now on. */
export function countHashes({ deps }: TestServer): { count: number } {
  const { hash, verify } = deps.hasher;
  const hashes = { count: 0 };
  const counted = <Call extends (...args: never[]) => unknown>(call: Call): Call =>
    // It counts and passes everything on.
    ((...args: Parameters<Call>) => (hashes.count++, call(...args))) as Call;
  Object.assign(deps, { hasher: { ...deps.hasher, hash: counted(hash), verify: counted(verify) } });
  return hashes;
}
