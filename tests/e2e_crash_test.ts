// kill -9, again and again, while requests are in flight and between them. Whatever the server said yes to must hold
// afterwards; what it did not answer may have happened or not, but never by half.

import assert from "node:assert/strict";
import { confirmAccountDeletion, readMe, requestAccountDeletion } from "../openapi/account.ts";
import { createNote, readNote } from "../openapi/notes.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { readHealth, readMailbox } from "../openapi/service.ts";
import { login, logout, refreshTokens, verifyToken } from "../openapi/sessions.ts";
import { openDatabase } from "../src/store/open.ts";
import { checkStore } from "../src/store_check/check.ts";
import { type Answer, PASSWORD, UNLIMITED } from "./harness.ts";
import { createSite, eventually, type Settings, type Site } from "./process.ts";
import { type SmtpReceiver, startReceiver } from "./smtp_receiver.ts";
import { collectBrokenInvariants } from "./store_invariants.ts";
import { settleStore } from "./store_settling.ts";

const SEED = 20_261_121;
const KILLS = 10;
/** People who use the server at once. */
const ACTORS = 6;
const STEPS_MIN = 20;
const STEPS_MAX = 80;
/** More than a deletion clears in one step. */
const NOTES = 210;
const SECRET_KEY = "7Vb2xk0Qm9ZtRrY4sWcL1pHdJ8gNfEuA";

/** A registration that was answered. */
interface Pending {
  readonly email: string;
  readonly username: string;
  readonly challengeId: string;
}

/** A sign-in that was answered, and the tokens of its last answer. */
interface Session {
  readonly email: string;
  accessToken: string;
  refreshToken: string;
  /** What was exchanged for `refreshToken` since the last start. */
  predecessor: string | null;
  /** `refreshToken` was sent, and the answer cut off. */
  isUnsure: boolean;
}

/** What the server has said yes to. */
interface Ledger {
  readonly registered: string[];
  readonly pending: Pending[];
  /** Confirmations that were cut off: there is an account, or a challenge that still opens. */
  readonly unsure: Pending[];
  readonly accounts: string[];
  readonly sessions: Session[];
  readonly ended: Session[];
  readonly notes: { readonly email: string; readonly id: string }[];
}

interface World {
  readonly site: Site;
  readonly receiver: SmtpReceiver;
  readonly ledger: Ledger;
  readonly random: () => number;
}

Deno.test("crash: what was answered holds after kill -9, and nothing is half done", async () => {
  await using site = await createSite();
  await using receiver = await startReceiver({ tls: "none" });
  const settings = {
    ...UNLIMITED,
    SECRET_KEY,
    SMTP_URL: `smtp://localhost:${receiver.port}?tls=off`,
    REFRESH_GRACE: "1m",
    FREE_NOTES: "1000",
  };
  const world: World = { site, receiver, ledger: emptyLedger(), random: createRandom(SEED) };
  for (let kill = 0; kill < KILLS; kill++) await liveUntilKilled(world, settings, { isIdle: kill % 4 === 3 });

  const { ledger } = world;
  const server = await site.startServer(settings);
  await checkExchanges(world);
  for (const email of ledger.accounts) await checkAccount(world, email);
  for (const session of ledger.sessions) await checkSession(world, session);
  for (const session of ledger.ended) await checkEnded(world, session);
  assert.equal(await server.stop(), 0);

  assert.deepEqual(await settleStore(await openDatabase(site.storePath), settings), []);
  for (const email of ledger.registered) checkMail(world, email);

  await site.startServer(settings);
  for (const pending of ledger.pending) assert.equal((await confirm(world, pending)).status, 201);
  for (const pending of ledger.unsure) await checkUnsure(world, pending);
  // Otherwise the test has shown little.
  for (const [what, list] of Object.entries(ledger)) {
    if (what !== "unsure") assert(list.length > 5, `Only ${list.length} ${what}`);
  }
});

Deno.test("crash: a deletion that was confirmed is finished after kill -9", async (t) => {
  await using site = await createSite();
  const settings = { ...UNLIMITED, FREE_NOTES: String(NOTES) };
  const moments: { name: string; answersBefore: number | null }[] = [
    { name: "killed after the answer", answersBefore: null },
    { name: "killed at once", answersBefore: 0 },
    { name: "killed a moment later", answersBefore: 10 },
  ];
  for (const [index, { name, answersBefore }] of moments.entries()) {
    await t.step(name, async () => {
      const email = `leaver-${index}@example.org`;
      const first = await site.startServer(settings);
      const token = await signUp(site, email);
      for (let note = 0; note < NOTES; note++) {
        assert.equal((await site.call(createNote, { token, json: { title: "Milk" } })).status, 201);
      }
      const challenge = await site.call(requestAccountDeletion, { token, json: {} });
      const json = { challenge_id: challenge.body.challenge_id, code: await readCode(site, email, 2) };
      const confirmed = site.call(confirmAccountDeletion, { token, json }).catch(() => null);
      if (answersBefore === null) assert.equal((await confirmed)?.status, 204);
      for (let answer = 0; answer < (answersBefore ?? 0); answer++) await site.call(readHealth);
      await first.kill();
      const isAnswered = (await confirmed)?.status === 204;
      await assertWhole(site);

      const second = await site.startServer(settings);
      const { status } = await site.call(login, { json: { email, password: PASSWORD } });
      assert(isAnswered ? status === 401 : status === 401 || status === 200, String(status));
      const db = await openDatabase(site.storePath);
      let faults: string[] = [];
      try {
        await eventually(() => `nothing is left of it: ${faults.join("; ")}`, async () => {
          faults = await collectBrokenInvariants(db);
          return faults.length === 0;
        });
      } finally {
        db.close();
      }
      assert.equal(await second.stop(), 0);
    });
  }
});

/** Everybody uses the server for a number of steps; then it is killed, with their requests in flight or without. */
async function liveUntilKilled(
  world: World,
  settings: Settings,
  { isIdle }: { readonly isIdle: boolean },
): Promise<void> {
  const server = await world.site.startServer(settings);
  await checkExchanges(world);
  let stepsLeft = Math.round(STEPS_MIN + world.random() * (STEPS_MAX - STEPS_MIN));
  let killed: Promise<void> | undefined;

  const live = async (): Promise<void> => {
    while (stepsLeft > 0) {
      try {
        await pick(STEPS, world.random)?.(world);
      } catch (error) {
        // A cut connection; before the kill there must be none.
        if (killed && error instanceof TypeError) return;
        throw error;
      }
      stepsLeft--;
      if (stepsLeft === 0 && !isIdle) killed = server.kill();
    }
  };
  await Promise.all(Array.from({ length: ACTORS }, live));
  await (killed ?? server.kill());
  await assertWhole(world.site);
}

/** Nobody has tidied up: whatever the kill interrupted, every record agrees with the others. */
async function assertWhole({ storePath }: Site): Promise<void> {
  const db = await openDatabase(storePath);
  try {
    assert.deepEqual((await checkStore(db, { nowMs: Date.now })).faults, []);
  } finally {
    db.close();
  }
}

/** One request each. What an unanswered one leaves open is noted before it is sent. */
const STEPS: readonly ((world: World) => Promise<void>)[] = [
  registerSomebody,
  registerSomebody,
  confirmSomebody,
  confirmSomebody,
  signIn,
  refresh,
  refresh,
  writeNote,
  signOut,
];

async function registerSomebody({ site, ledger, random }: World): Promise<void> {
  const username = `user-${random().toString(36).slice(2, 12)}`;
  const email = `${username}@example.org`;
  const answer = await site.call(register, { json: { email, username, password: PASSWORD } });
  assert.equal(answer.status, 202, answer.text);
  ledger.registered.push(email);
  ledger.pending.push({ email, username, challengeId: answer.body.challenge_id });
}

async function confirmSomebody(world: World): Promise<void> {
  const { ledger, receiver } = world;
  const mailed = ledger.pending.findIndex(({ email }) => codeFor(receiver, email));
  const [pending] = mailed === -1 ? [] : ledger.pending.splice(mailed, 1);
  if (!pending) return await registerSomebody(world);
  ledger.unsure.push(pending);
  const answer = await confirm(world, pending);
  assert.equal(answer.status, 201, answer.text);
  ledger.unsure.splice(ledger.unsure.indexOf(pending), 1);
  ledger.accounts.push(pending.email);
  ledger.sessions.push(sessionOf(pending.email, answer));
}

async function signIn(world: World): Promise<void> {
  const { site, ledger, random } = world;
  const email = pick(ledger.accounts, random);
  if (!email) return await registerSomebody(world);
  const answer = await site.call(login, { json: { email, password: PASSWORD } });
  assert.equal(answer.status, 200, answer.text);
  ledger.sessions.push(sessionOf(email, answer));
}

async function refresh(world: World): Promise<void> {
  const { site, ledger } = world;
  const session = take(ledger.sessions, world.random);
  if (!session) return await registerSomebody(world);
  const { refreshToken } = session;
  session.isUnsure = true;
  try {
    const answer = await site.call(refreshTokens, { json: { refresh_token: refreshToken } });
    assert.equal(answer.status, 200, answer.text);
    Object.assign(session, sessionOf(session.email, answer), { predecessor: refreshToken });
  } finally {
    // Unanswered, the old token still leads on.
    ledger.sessions.push(session);
  }
}

async function writeNote(world: World): Promise<void> {
  const { site, ledger, random } = world;
  const session = pick(ledger.sessions, random);
  if (!session) return await registerSomebody(world);
  const answer = await site.call(createNote, { token: session.accessToken, json: { title: "Milk" } });
  // Somebody may sign this session out meanwhile.
  if (answer.status === 401 && !ledger.sessions.includes(session)) return;
  assert.equal(answer.status, 201, answer.text);
  ledger.notes.push({ email: session.email, id: answer.body.id });
}

async function signOut(world: World): Promise<void> {
  const { site, ledger } = world;
  const session = take(ledger.sessions, world.random);
  if (!session) return await registerSomebody(world);
  const answer = await site.call(logout, { token: session.accessToken, json: {} });
  assert.equal(answer.status, 204, answer.text);
  ledger.ended.push(session);
}

/** The way to an access token, by the mailbox of development. */
async function signUp(site: Site, email: string): Promise<string> {
  const challenge = await site.call(register, { json: { email, password: PASSWORD } });
  const json = { challenge_id: challenge.body.challenge_id, code: await readCode(site, email, 1) };
  const { status, body, text } = await site.call(verifyOtp, { json });
  assert.equal(status, 201, text);
  return body.access_token;
}

/** The code in the mail with this number, from 1, to the address. */
function readCode(site: Site, email: string, number: number): Promise<string> {
  return eventually(`mail ${number} to ${email} arrives`, async () => {
    const { body } = await site.call(readMailbox, { headers: { accept: "application/json" } });
    const mails = body.data.filter(({ to }: { readonly to: string }) => to === email);
    // Newest first.
    return mails.length === number && mails[0].code;
  });
}

async function checkAccount({ site, ledger }: World, email: string): Promise<void> {
  const signedIn = await site.call(login, { json: { email, password: PASSWORD } });
  assert.equal(signedIn.status, 200, `${email}: ${signedIn.text}`);
  const token = signedIn.body.access_token;
  const written = ledger.notes.filter((note) => note.email === email);
  for (const { id } of written) {
    const note = await site.call(readNote, { token, params: { note_id: id } });
    assert.equal(note.status, 200, `${email}: ${note.text}`);
  }
}

/** Within the grace after its exchange a token leads to the same successor, and the token of a lost answer onward. */
async function checkExchanges({ site, ledger }: World): Promise<void> {
  for (const session of ledger.sessions) {
    const { email, predecessor, refreshToken } = session;
    if (predecessor) {
      const again = await site.call(refreshTokens, { json: { refresh_token: predecessor } });
      assert.equal(again.body.refresh_token, refreshToken, `${email}: ${again.text}`);
    }
    if (session.isUnsure) {
      const onward = await site.call(refreshTokens, { json: { refresh_token: refreshToken } });
      assert.equal(onward.status, 200, `${email}: ${onward.text}`);
      Object.assign(session, sessionOf(email, onward));
    }
    session.predecessor = null;
  }
}

async function checkSession({ site }: World, session: Session): Promise<void> {
  const { email, refreshToken, accessToken } = session;
  assert.equal((await site.call(readMe, { token: accessToken })).status, 200, email);
  const onward = await site.call(refreshTokens, { json: { refresh_token: refreshToken } });
  assert.equal(onward.status, 200, `${email}: ${onward.text}`);
}

async function checkEnded({ site }: World, { email, accessToken, refreshToken }: Session): Promise<void> {
  assert.equal((await site.call(readMe, { token: accessToken })).body.code, "token_invalid", email);
  const verified = await site.call(verifyToken, { json: { token: accessToken } });
  assert.deepEqual(verified.body, { active: false }, email);
  const refreshed = await site.call(refreshTokens, { json: { refresh_token: refreshToken } });
  assert.equal(refreshed.body.code, "refresh_token_invalid", email);
}

/** At least once; and every copy carries the same Message-ID. */
function checkMail({ receiver }: World, email: string): void {
  const copies = receiver.received.filter(({ recipients }) => recipients.includes(email));
  const messageIds = new Set(copies.map(({ headers }) => headers.get("message-id")));
  assert.equal(messageIds.size, 1, `${copies.length} mails to ${email}`);
}

async function checkUnsure(world: World, pending: Pending): Promise<void> {
  const confirmed = await confirm(world, pending);
  if (confirmed.status === 201) return;
  assert.equal(confirmed.body.code, "otp_expired", confirmed.text);
  await checkAccount(world, pending.email);
}

function confirm({ site, receiver }: World, { email, challengeId }: Pending): Promise<Answer> {
  return site.call(verifyOtp, { json: { challenge_id: challengeId, code: codeFor(receiver, email) } });
}

function codeFor({ received }: SmtpReceiver, email: string): string | undefined {
  const mail = received.findLast(({ recipients }) => recipients.includes(email));
  return /(?<!\d)\d{6}(?!\d)/.exec(mail?.headers.get("subject") ?? "")?.[0];
}

function sessionOf(email: string, { body }: Answer): Session {
  return {
    email,
    accessToken: body.access_token,
    refreshToken: body.refresh_token,
    predecessor: null,
    isUnsure: false,
  };
}

function emptyLedger(): Ledger {
  return { registered: [], pending: [], unsure: [], accounts: [], sessions: [], ended: [], notes: [] };
}

function pick<Item>(items: readonly Item[], random: () => number): Item | undefined {
  return items[Math.floor(random() * items.length)];
}

function take<Item>(items: Item[], random: () => number): Item | undefined {
  return items.splice(Math.floor(random() * items.length), 1)[0];
}

/** Mulberry32: numbers from 0 to below 1, the same for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
