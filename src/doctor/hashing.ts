// What a password hash takes here: it bounds how many people can sign in a second.

import { createHasher } from "../hasher.ts";
import { type Finding, formatMs, median, toFix, well } from "./finding.ts";

const HASHES = 5;
const HASH_MS_MAX = 500;

export async function examineHasher(): Promise<Finding> {
  const hasher = await createHasher();
  const times: number[] = [];
  for (let hash = 0; hash < HASHES; hash++) {
    const startMs = performance.now();
    await hasher.hash("correct horse battery staple");
    times.push(performance.now() - startMs);
  }
  const hashMs = median(times);
  const speed = `${hasher.name}, ${formatMs(hashMs)} a hash, ${navigator.hardwareConcurrency} at once`;
  if (hashMs > HASH_MS_MAX) {
    return toFix(
      "hasher",
      `${speed}: too slow for people who sign in at the same time, give it faster cores`,
    );
  }
  return well(
    "hasher",
    hasher.name === "native" ? speed : `${speed}; the native one is not here, it is faster`,
  );
}
