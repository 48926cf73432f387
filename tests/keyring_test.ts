// The keys that sign, where two processes meet on one store. How they are changed is in cli_keys_test.ts.

import assert from "node:assert/strict";
import { openKeyring } from "../src/keyring.ts";
import { createSecrets } from "../src/secrets.ts";
import { createKv } from "../src/store/kv.ts";
import { collectSigningKeys } from "../src/store/signing_keys.ts";
import { START_MS } from "./harness.ts";
import { watchKv } from "./watched_kv.ts";

Deno.test("keyring: of two servers that start on an empty store both sign with the one key that is kept", async () => {
  const watched = watchKv();
  const kv = watched.wrap(createKv(await Deno.openKv(":memory:"), () => START_MS));
  try {
    const secrets = createSecrets("test-key-of-32-bytes-0123456789abcdef");
    const other = Promise.withResolvers<string>();
    watched.beforeNextCommit(async () => {
      const { kid } = await (await openKeyring(kv, secrets)).signingKey();
      other.resolve(kid);
    });
    const { kid } = await (await openKeyring(kv, secrets)).signingKey();
    assert.equal(kid, await other.promise);
    assert.deepEqual((await collectSigningKeys(kv)).map((record) => record.kid), [kid]);
  } finally {
    kv.close();
  }
});
