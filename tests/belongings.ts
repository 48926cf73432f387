// An account that has something of everything, and what of it could be found in the store: what must be gone when the
// account is.

import assert from "node:assert/strict";
import { requestEmailChange, updateMe } from "../openapi/account.ts";
import { createNote } from "../openapi/notes.ts";
import { refreshTokens } from "../openapi/sessions.ts";
import { runJobs } from "../src/jobs.ts";
import { digest } from "../src/secrets.ts";
import { type ChallengeRecord, keys } from "../src/store/keys.ts";
import type { TestServer } from "./harness.ts";
import { type Person, sessionIdOf, signIn, signUp, startReset, takeResetToken } from "./person.ts";
import { collectBrokenInvariants, collectTraces } from "./store_invariants.ts";

export interface Owner {
  readonly ada: Person;
  /** Signed in on another device, from another network. */
  readonly elsewhere: Person;
  /** An unused one. */
  readonly resetToken: string;
  /** A password reset that waits for its code. */
  readonly reset: { readonly challenge_id: string; readonly code: string };
  /** What tells of the account wherever it stands in the store. */
  readonly traces: readonly string[];
}

export const NOTE = "a-private-matter";
export const NEW_EMAIL = "ada@lovelace.example";

/** Makes the account; all its mails have left. */
export async function furnish(server: TestServer): Promise<Owner> {
  const first = await signUp(server, { username: "Ada.L" });
  const { accessToken: token, email, password } = first;
  await server.call(updateMe, { token, json: { name: "Countess of Lovelace" } });
  for (let notes = 0; notes < 3; notes++) {
    await server.call(createNote, { token, json: { title: NOTE, body: NOTE } });
  }
  const elsewhere = await signIn(server, first, {
    ip: "198.51.100.7",
    headers: { "user-agent": "Telescope/2" },
  });
  const refreshed = await server.call(refreshTokens, { json: { refresh_token: first.refreshToken } });
  const resetToken = await takeResetToken(server, email);
  const reset = { challenge_id: await startReset(server, email), code: await server.codeFor(email) };
  const asked = await server.call(requestEmailChange, {
    token,
    json: { new_email: NEW_EMAIL, current_password: password },
  });
  assert.equal(asked.status, 202, asked.text);
  await server.mails();
  const credential = await server.kv.find(keys.credential(first.id));
  return {
    ada: { ...first, accessToken: refreshed.body.access_token, refreshToken: refreshed.body.refresh_token },
    elsewhere,
    resetToken,
    reset,
    traces: [
      first.id,
      email,
      digest(email),
      NEW_EMAIL,
      "ada.l",
      "Ada.L",
      "Countess",
      NOTE,
      "Telescope",
      String(credential.value?.passwordHash),
      ...[first, elsewhere].map(sessionIdOf),
      ...[first.refreshToken, elsewhere.refreshToken, refreshed.body.refresh_token].map(digest),
    ],
  };
}

/** Fails unless all of a deleted account is gone, and the store is as it should be. */
export async function assertGone(
  server: TestServer,
  { ada, traces }: Pick<Owner, "ada" | "traces">,
): Promise<void> {
  // What was on its way when the account was deleted is put away first, and then cleared like the rest.
  await server.mails();
  await runJobs(server.deps);
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
  // A reset that was asked for ends by itself within the hour, and holds nothing but the id in the clear.
  const ending = [`challenges: ${ada.id}`, `reset_tokens: ${ada.id}`];
  // The audit trail keeps ids, and nothing else of it.
  const isKept = (trace: string): boolean =>
    /^audit_\w+: [\da-f-]{36}$/.test(trace) || ending.includes(trace);
  const found = await collectTraces(server.db, traces);
  assert.deepEqual(found.filter((trace) => !isKept(trace)), []);
  for await (const { value } of server.db.list<ChallengeRecord>({ prefix: ["challenges"] })) {
    assert(value.userId !== ada.id || value.purpose === "password_reset", `${value.purpose} is left`);
  }
}
