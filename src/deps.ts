// What a route, gate or worker may rely on: types only. main.ts makes the real ones, tests/harness.ts those with a
// settable clock and a store in memory; nothing else differs between them.

import type { AccessTokens } from "./access_token.ts";
import type { Config } from "./config.ts";
import type { Hasher } from "./hasher.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { Secrets } from "./secrets.ts";
import type { NameSpan } from "./span_name.ts";
import type { Kv } from "./store/kv.ts";
import type { Limits } from "./store/limits.ts";

export interface Deps {
  readonly config: Config;
  readonly kv: Kv;
  /** Milliseconds since 1970. The only clock; the store reads it as `kv.nowMs`. */
  readonly nowMs: () => number;
  readonly secrets: Secrets;
  readonly limits: Limits;
  readonly hasher: Hasher;
  readonly accessTokens: AccessTokens;
  readonly log: Log;
  /** Null without METRICS_TOKEN: nothing is counted. */
  readonly metrics: Metrics | null;
  /** Null when OpenTelemetry is off. */
  readonly nameSpan: NameSpan | null;
  /** Tells the outbox worker that a mail has been committed. Losing the call only delays it. */
  readonly wakeOutbox: () => void;
}

/** What the store's changes to an account are made of: settings, hashes, and the outbox that is to hear of a mail. */
export type StoreDeps = Pick<Deps, "kv" | "config" | "secrets" | "wakeOutbox">;
