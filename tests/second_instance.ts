// Another server over the same store: it shares the store, the settings and the clock, and nothing that is in memory.

import { createAccessTokens } from "../src/access_token.ts";
import { createApp } from "../src/app.ts";
import type { App } from "../src/app_env.ts";
import { openKeyring } from "../src/keyring.ts";
import { createLimits } from "../src/store/limits.ts";
import type { TestServer } from "./harness.ts";

export async function createSecondInstance({ deps }: TestServer): Promise<App> {
  const { config, kv, nowMs, secrets } = deps;
  return createApp({
    ...deps,
    limits: createLimits({ kv, secrets, config }),
    accessTokens: createAccessTokens(config, await openKeyring(kv, secrets), nowMs),
  });
}
