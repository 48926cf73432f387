// A store whose servers were killed, brought to rest: what they were sending is sent, as servers would do it once the
// leases have ended, and then whatever is wrong with the store is said.

import assert from "node:assert/strict";
import { readConfig } from "../src/config.ts";
import { startOutbox } from "../src/mail/outbox.ts";
import { createSmtpMailer } from "../src/mail/smtp.ts";
import { createSecrets } from "../src/secrets.ts";
import { createKv } from "../src/store/kv.ts";
import type { Settings } from "./process.ts";
import { collectBrokenInvariants } from "./store_invariants.ts";

/** Later than any lease of a mail that was being sent at a kill, and sooner than its code is dead. */
const LEASES_OVER_MS = 2 * 60_000;

/** A sentence for each broken invariant. No server may run on the store; `settings` are theirs. Closes `db`. */
export async function settleStore(db: Deno.Kv, settings: Settings): Promise<string[]> {
  const result = readConfig(settings);
  assert("config" in result && result.config.smtp && result.config.secretKey);
  const { config } = result;
  const nowMs = (): number => Date.now() + LEASES_OVER_MS;
  const outbox = startOutbox({
    kv: createKv(db, nowMs),
    secrets: createSecrets(result.config.secretKey),
    nowMs,
    log: { info() {}, warn() {}, error() {} },
    config,
    mailer: createSmtpMailer(result.config.smtp, { from: config.mailFrom }),
  });
  try {
    await outbox.settle();
    return await collectBrokenInvariants(db);
  } finally {
    await outbox.stop();
    db.close();
  }
}
