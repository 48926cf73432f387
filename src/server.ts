// The server itself, whatever runs it: all that requests need, built from the settings and an open store. main.ts
// serves it as a process of its own, deploy.ts on Deno Deploy.

import { createAccessTokens } from "./access_token.ts";
import { createApp } from "./app.ts";
import type { App } from "./app_env.ts";
import type { Config } from "./config.ts";
import type { Deps } from "./deps.ts";
import { createHasher } from "./hasher.ts";
import { openKeyring } from "./keyring.ts";
import type { Log } from "./log.ts";
import { createMailboxMailer } from "./mail/mailbox.ts";
import { type Outbox, startOutbox } from "./mail/outbox.ts";
import { createSmtpMailer } from "./mail/smtp.ts";
import { createMetrics } from "./metrics.ts";
import { readSecretKey } from "./secret_key.ts";
import { createSecrets } from "./secrets.ts";
import { loadSpanNaming } from "./span_name.ts";
import { createKv } from "./store/kv.ts";
import { createLimits } from "./store/limits.ts";
import { releaseClaims } from "./store/mail_claims.ts";
import { isOverNetwork, type OpenStore } from "./store/open.ts";
import { migrateStore, SCHEMA } from "./store/schema.ts";
import { timeKv } from "./store/timed_kv.ts";

/** Ready to answer; its mails leave already. */
export interface Server {
  readonly app: App;
  readonly deps: Deps;
  readonly outbox: Outbox;
}

/** Builds the server on an open store. Throws WrongSecretKey, or StoreFault for a newer store. */
export async function createServer(config: Config, store: OpenStore, log: Log): Promise<Server> {
  const nowMs = Date.now;
  const metrics = config.metricsToken === null ? null : await createMetrics();
  const untimedKv = createKv(store.db, nowMs, { isOverNetwork: isOverNetwork(config.kvPath) });
  const kv = metrics ? timeKv(untimedKv, metrics.recordKvCall) : untimedKv;
  const migratedFrom = await migrateStore(kv, { name: config.kvPath ?? "The store" });
  if (migratedFrom !== null && migratedFrom < SCHEMA) {
    log.info("store migrated", { from: migratedFrom, to: SCHEMA });
  }
  const secrets = createSecrets(await readSecretKey(config));
  const keyring = await openKeyring(kv, secrets);
  const mailer = config.smtp
    ? createSmtpMailer(config.smtp, { from: config.mailFrom })
    : createMailboxMailer({ kv, secrets, nowMs, log });
  // Whoever was sending when the process was killed is not any more.
  if (store.isExclusive) await releaseClaims(kv);
  const outbox = startOutbox({ kv, secrets, nowMs, log, config, mailer });
  const deps: Deps = {
    config,
    kv,
    nowMs,
    secrets,
    log,
    metrics,
    nameSpan: await loadSpanNaming(),
    limits: createLimits({ kv, secrets, config }),
    hasher: await createHasher(),
    accessTokens: createAccessTokens(config, keyring, nowMs),
    wakeOutbox: () => outbox.wake(),
  };
  return { app: createApp(deps), deps, outbox };
}
