// The store hangs at every one of its calls, under every operation, and what it was asked happens late or never: the
// answer comes in time and is honest, a late commit breaks nothing, whoever asks again gets there. What hangs for less
// than the deadline is no fault at all.

import assert from "node:assert/strict";
import { register } from "../openapi/registration.ts";
import { refreshTokens } from "../openapi/sessions.ts";
import { digest } from "../src/secrets.ts";
import { OPERATOR } from "../src/store/client.ts";
import { removeUser } from "../src/store/deletion.ts";
import { keys } from "../src/store/keys.ts";
import { insertNote } from "../src/store/notes.ts";
import { findResetPermit } from "../src/store/passwords.ts";
import { addUser } from "../src/store/users.ts";
import {
  type Answer,
  MINUTE_MS,
  PASSWORD,
  SECOND_MS,
  type ServerOptions,
  START_MS,
  startServer,
  type TestServer,
} from "./harness.ts";
import { type Row, setScene } from "./operations.ts";
import { ROOM, settingsFor } from "./reality_stage.ts";
import { createStallingDb, type Stall, type StallingDb } from "./stalling_db.ts";
import { createStopwatch, type TestStopwatch } from "./stopwatch.ts";
import {
  isExpected,
  requireHonest,
  requireSettled,
  requireWhole,
  strikeEach,
  strikeEverywhere,
} from "./store_strikes.ts";

/** One call waits 5 s. */
const DEADLINE_MS = 5 * SECOND_MS;
/** Longer than the lease of a mail that is being sent. */
const LEASE_MS = 2 * MINUTE_MS;

interface Stalls {
  readonly stalls: StallingDb;
  readonly stopwatch: TestStopwatch;
  readonly options: ServerOptions;
}

function createStalls(): Stalls {
  const [stalls, stopwatch] = [createStallingDb(), createStopwatch()];
  return { stalls, stopwatch, options: { env: settingsFor(ROOM), wrapDb: stalls.wrap, stopwatch } };
}

/** Whether the operation had come to the call at all. `isBefore`: what hangs happens before it is asked again. */
async function strike(
  row: Row,
  stall: Stall & { readonly isBefore: boolean },
  what: string,
): Promise<boolean> {
  const { stalls, stopwatch, options } = createStalls();
  const scene = await setScene(options);
  await using server = scene.server;
  const input = await row.ask(scene);
  const { length: mailsBefore } = await server.mails();

  stalls.stall(stall);
  const asked = server.call(row.route, input);
  const hasHung = await stalls.hangsDuring(asked);
  stopwatch.pass(DEADLINE_MS);
  requireHonest(row, await asked, what);
  stalls.stall(null);
  if (stall.isBefore) await stalls.letGo();
  await requireWhole(server, what);
  if (!hasHung) return false;

  const again = await server.call(row.route, input);
  requireSettled(row, again, what);
  await requireWhole(server, what);
  if (!stall.isBefore) {
    await stalls.letGo();
    await requireWhole(server, what);
  }
  await requireGood(server, again, what);
  requireSettled(row, await server.call(row.route, input), what);
  await requireWhole(server, what);
  const sent = (await server.mails()).slice(mailsBefore).map(({ to, kind }) => `${kind} to ${to}`);
  if (row.again) assert.deepEqual(sent, [...new Set(sent)], what);
  return true;
}

/** Fails unless the tokens of an answer work, and its challenge waits for its code. */
async function requireGood(server: TestServer, { body }: Answer, what: string): Promise<void> {
  const { refresh_token, reset_token, challenge_id } = body ?? {};
  if (refresh_token) {
    const { status, text } = await server.call(refreshTokens, { json: { refresh_token } });
    assert.equal(status, 200, `${what}: ${text}`);
  }
  if (reset_token) assert(await findResetPermit(server.deps, reset_token), what);
  if (challenge_id) assert((await server.kv.find(keys.challenge(digest(challenge_id)))).value, what);
}

Deno.test("store stalls: a call hangs until it was asked again, under every operation", (t) =>
  strikeEverywhere(t, (row, at, what) => strike(row, { at, isBefore: false }, what)));

Deno.test("store stalls: a commit hangs until nobody waits for it, under every operation", (t) =>
  strikeEverywhere(t, (row, at, what) => strike(row, { at, among: "commits", isBefore: true }, what)));

Deno.test("store stalls: calls that hang for less than the deadline are no fault, under every operation", (t) =>
  strikeEach(t, async (row, name) => {
    const { stalls, stopwatch, options } = createStalls();
    const scene = await setScene(options);
    await using server = scene.server;
    const input = await row.ask(scene);
    await server.mails();

    stalls.stall({});
    const asked = server.call(row.route, input);
    let calls = 0;
    for (; await stalls.hangsDuring(asked); calls++) {
      stopwatch.pass(DEADLINE_MS - SECOND_MS);
      await stalls.letGo();
    }
    const answer = await asked;
    assert(isExpected(row, answer), `${name}: ${answer.text}`);
    assert(calls > 0);
    stalls.stall(null);
    await requireWhole(server, name);
  }));

Deno.test("store stalls: a mail whose sending hangs arrives once, whenever its commits happen", async (t) => {
  for (const isBefore of [true, false]) {
    await t.step(isBefore ? "before the next look" : "after the next look", async () => {
      let at = 1;
      while (await strikeMail(at, { isBefore })) at++;
      assert(at > 5, `${at} calls`);
    });
  }
});

/** Whether sending a mail had come to the call at all. */
async function strikeMail(at: number, { isBefore }: { readonly isBefore: boolean }): Promise<boolean> {
  const { stalls, stopwatch, options } = createStalls();
  await using server = await startServer(options);
  await server.mails();
  await server.call(register, { json: { email: "bob@example.org", password: PASSWORD } });

  stalls.stall({ at });
  const sent = server.mails();
  const hasHung = await stalls.hangsDuring(sent);
  stopwatch.pass(DEADLINE_MS);
  await sent;
  stalls.stall(null);
  if (isBefore) await stalls.letGo();
  await server.mails();
  // Whoever had taken it is given up.
  server.clock.nowMs += LEASE_MS;
  await server.mails();
  await stalls.letGo();
  await requireWhole(server, `call ${at}`);
  assert.equal((await server.mails()).length, 1, `call ${at}`);
  return hasHung;
}

Deno.test("store stalls: a step of a deletion that happens late takes nothing from who has the id by then", async () => {
  let at = 2;
  while (await strikeDeletion(at)) at++;
  assert(at > 5, `${at} commits`);
});

/** Whether a deletion had come to the commit at all. The first one decides; the others clear away. */
async function strikeDeletion(at: number): Promise<boolean> {
  const { stalls, stopwatch, options } = createStalls();
  const { server, ada } = await setScene(options);
  await using _ = server;
  await server.mails();

  stalls.stall({ at, among: "commits" });
  const removed = removeUser(server.deps, ada.id, OPERATOR);
  const hasHung = await stalls.hangsDuring(removed);
  stopwatch.pass(DEADLINE_MS);
  assert.equal(await removed, "removed");
  stalls.stall(null);
  await requireWhole(server, `commit ${at}`);

  await importAgain(server, ada);
  assert.equal((await insertNote(server.deps, ada.id, { title: "Milk", body: null })).outcome, "inserted");
  await stalls.letGo();
  await requireWhole(server, `commit ${at}, done late`);
  return hasHung;
}

/** The account comes back from another system, under the id that it had. */
async function importAgain(
  { kv }: TestServer,
  { id, email }: { readonly id: string; readonly email: string },
) {
  const change = kv.change();
  const newUser = { email, username: null, name: null, locale: null, passwordHash: "none" };
  const past = {
    id,
    isEmailVerified: true,
    plan: "free",
    status: "active",
    createdAtMs: START_MS,
    lastLoginAtMs: null,
  } as const;
  assert(await addUser(kv, change, { newUser, past }));
  assert(await change.commit());
}
