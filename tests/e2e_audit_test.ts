// kill -9 amid sign-ins and failures: whatever was answered has its event, exactly once, and the trail is whole.

import assert from "node:assert/strict";
import { listAuditEvents } from "../openapi/audit.ts";
import { requestPasswordReset } from "../openapi/passwords.ts";
import { login } from "../openapi/sessions.ts";
import { STRANGER, WRONG_PASSWORD } from "./audit_acts.ts";
import { PASSWORD, UNLIMITED } from "./harness.ts";
import { createSite, type Site } from "./process.ts";
import { requireTask } from "./tool_run.ts";

const ROOT = "root@example.org";
const KILLS = 4;
/** People who use the server at once. */
const LANES = 8;
const ANSWERS_MIN = 30;

const requests = [
  { route: login, json: { email: ROOT, password: PASSWORD }, status: 200, type: "signed_in" },
  { route: login, json: { email: ROOT, password: WRONG_PASSWORD }, status: 401, type: "sign_in_failed" },
  { route: login, json: { email: STRANGER, password: PASSWORD }, status: 401, type: "sign_in_failed" },
  { route: requestPasswordReset, json: { email: ROOT }, status: 202, type: "code_sent" },
  { route: requestPasswordReset, json: { email: STRANGER }, status: 202, type: "code_withheld" },
] as const;

/** The ids of requests, and what is to be told of each. */
type Ledger = Map<string, string>;

/** Asks until the server is killed, which is soon. Whatever was answered stands in `answered`, the rest in `sent` only. */
async function liveUntilKilled(
  site: Site,
  ledgers: { readonly sent: Ledger; readonly answered: Ledger },
): Promise<void> {
  const { sent, answered } = ledgers;
  const server = await site.startServer(UNLIMITED);
  const until = answered.size + ANSWERS_MIN;
  let killed: Promise<void> | undefined;
  const ask = async (): Promise<boolean> => {
    const request = requests[sent.size % requests.length] ?? assert.fail();
    const { route, json, status, type } = request;
    const id = `request-${sent.size}`;
    sent.set(id, type);
    try {
      const answer = await site.call(route, { json, headers: { "x-request-id": id } });
      assert.deepEqual([answer.status, answer.headers.get("x-request-id")], [status, id], answer.text);
    } catch (error) {
      // A cut connection; before the kill there must be none.
      if (killed && error instanceof TypeError) return false;
      throw error;
    }
    answered.set(id, type);
    if (answered.size === until) killed = server.kill();
    return true;
  };
  await Promise.all(Array.from({ length: LANES }, async () => {
    while (await ask());
  }));
  await killed;
}

/** By the id of their request, the types of all events that one has. */
async function readTrail(site: Site): Promise<Map<string, string[]>> {
  const signedIn = await site.call(login, { json: { email: ROOT, password: PASSWORD } });
  const trail = new Map<string, string[]>();
  let cursor: string | null = null;
  do {
    const query: string = new URLSearchParams({ limit: "100", ...(cursor && { cursor }) }).toString();
    const { status, body, text } = await site.call(
      { ...listAuditEvents, path: `${listAuditEvents.path}?${query}` },
      { token: signedIn.body.access_token },
    );
    assert.equal(status, 200, text);
    for (const { request_id: id, type } of body.data) {
      if (id !== null) trail.set(id, [...trail.get(id) ?? [], type]);
    }
    cursor = body.next_cursor;
  } while (cursor !== null);
  return trail;
}

Deno.test("crash: after kill -9 each sign-in and failure that was answered has its event, and the trail is whole", async () => {
  await using site = await createSite();
  await requireTask(site, "admin:create", ["--email", ROOT, "--password-stdin"], { stdin: `${PASSWORD}\n` });
  const [sent, answered]: [Ledger, Ledger] = [new Map(), new Map()];
  for (let kill = 0; kill < KILLS; kill++) {
    await liveUntilKilled(site, { sent, answered });
    await requireTask(site, "audit:verify");
  }
  await site.startServer(UNLIMITED);
  const trail = await readTrail(site);
  for (const [id, type] of answered) assert.deepEqual(trail.get(id), [type], id);
  for (const [id, type] of sent) assert.deepEqual(trail.get(id) ?? [type], [type], id);
  assert(answered.size >= KILLS * ANSWERS_MIN);
  assert(sent.size > answered.size, "nothing was under way at any kill");
  await requireTask(site, "audit:verify");
});
