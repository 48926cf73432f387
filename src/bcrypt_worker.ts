// One bcrypt verification (src/foreign_hash.ts), in a thread of its own.

/// <reference lib="deno.worker" />

import { compareSync } from "bcryptjs";

/** What the thread is asked. */
export interface BcryptRequest {
  readonly preparedPassword: string;
  readonly hash: string;
}

self.onmessage = ({ data }: MessageEvent<BcryptRequest>) => {
  self.postMessage(compareSync(data.preparedPassword, data.hash));
};
