// The outbox, for admins: who may look, that every state is found in order, that nothing of recipient or content shows,
// and which dead mails come back.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import fc from "fast-check";
import { listMails, retryMail } from "../openapi/mails.ts";
import { requestPasswordReset } from "../openapi/passwords.ts";
import { OPERATOR } from "../src/store/client.ts";
import { keys, type MailRecord, type MailState } from "../src/store/keys.ts";
import type { Kv } from "../src/store/kv.ts";
import type { ItemPage } from "../src/store/page.ts";
import { addMail, type MailDraft, reviveMail } from "../src/store/mails.ts";
import { buryMail, claimMail, collectDueMails, completeMail, requeueMail } from "../src/store/mail_claims.ts";
import { collectMails, findMail, removeMailsOf } from "../src/store/mail_lists.ts";
import { replaceUser } from "../src/store/users.ts";
import {
  DAY_MS,
  MINUTE_MS,
  SECOND_MS,
  startServer,
  type TestServer,
  UNKNOWN_ID,
  UNLIMITED,
} from "./harness.ts";
import { CODE, type MailStore, NOTICE, openMailStore } from "./mail_setup.ts";
import { makeAdmin, type Person, signIn, signUp, signUpAdmin } from "./person.ts";

const STATES: readonly MailState[] = ["queued", "sending", "sent", "dead"];

/** What of the test server and of a store alone is needed to write mails. */
type Office = Pick<MailStore, "kv" | "clock" | "secrets" | "nowMs" | "wakeOutbox">;

interface Desk extends AsyncDisposable {
  readonly server: TestServer;
  readonly office: Office;
  readonly admin: Person;
  readonly token: string;
}

/** A server with an admin, whose own mails are forgotten. */
async function openDesk(): Promise<Desk> {
  const server = await startServer({ env: UNLIMITED });
  const admin = await signUpAdmin(server, "root@example.org");
  const { id, email } = admin;
  await server.mails();
  for (const owner of [id, server.deps.secrets.mac("address", email)]) await removeMailsOf(server.kv, owner);
  const { kv, deps: { secrets, nowMs, wakeOutbox } } = server;
  const office = { kv, clock: server.clock, secrets, nowMs, wakeOutbox };
  return {
    server,
    office,
    admin,
    token: admin.accessToken,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Writes a mail, a second after the one before, and brings it to `state`. */
async function write(office: Office, state: MailState, draft: Partial<MailDraft> = {}): Promise<string> {
  const { kv, clock } = office;
  clock.nowMs += SECOND_MS;
  const change = kv.change();
  const mailId = addMail(office, change, { to: "ada@example.org", userId: null, content: NOTICE, ...draft });
  assert(await change.commit());
  if (state === "queued") return mailId;
  const claimed = await claim(kv, mailId);
  if (state === "sent") assert(await completeMail(kv, claimed));
  if (state === "dead") assert(await buryMail(kv, claimed, "550 5.1.1 No such mailbox"));
  return mailId;
}

async function claim(kv: Kv, mailId: string): Promise<MailRecord> {
  const due = (await collectDueMails(kv, 1000)).find((due) => due.mailId === mailId);
  return due && await claimMail(kv, due, { leaseMs: MINUTE_MS }) || assert.fail("not to be had");
}

const operations: readonly { route: RouteConfig; json?: unknown }[] = [
  { route: listMails },
  { route: retryMail, json: { mail_id: 7 } },
];

for (const { route, json } of operations) {
  Deno.test(`${route.operationId}: is for admins only, and refuses others before it looks at the request`, async () => {
    await using desk = await openDesk();
    const { server, office, admin, token } = desk;
    const mailId = await write(office, "dead");
    const bob = await signUp(server, { email: "bob@example.org" });
    const refusals = async (token?: string) => {
      const codes: unknown[] = [];
      for (const input of [{}, { json }, { query: { limit: "0" } }, { params: { mail_id: "1" } }]) {
        const bearer = token === undefined ? {} : { token };
        const answer = await server.call(route, { params: { mail_id: mailId }, ...input, ...bearer });
        codes.push(answer.body.code);
      }
      return codes.join();
    };
    const fourTimes = (code: string) => Array(4).fill(code).join();
    assert.equal(await refusals(), fourTimes("token_missing"));
    assert.equal(await refusals("a.b.c"), fourTimes("token_invalid"));
    assert.equal(await refusals(bob.accessToken), fourTimes("role_insufficient"));
    await makeAdmin(server, bob);
    await replaceUser(server.deps, admin.id, { role: "user" }, OPERATOR);
    assert.equal(await refusals(token), fourTimes("token_invalid"));
    await replaceUser(server.deps, admin.id, { status: "disabled" }, OPERATOR);
    assert.equal(await refusals(token), fourTimes("account_disabled"));
    assert.equal((await findMail(server.kv, mailId))?.state, "dead");
  });
}

Deno.test("listMails: shows each state as it is, and neither recipient nor content", async () => {
  await using desk = await openDesk();
  const { server, office, admin, token } = desk;
  const startMs = server.clock.nowMs;
  const ids = [];
  for (const state of STATES) ids.push(await write(office, state, { userId: admin.id }));
  const codeMail = {
    content: { ...CODE, code: "042137" },
    challenge: { hash: "gone", codeNumber: 1 },
  } as const;
  ids.push(await write(office, "queued", codeMail));

  const { body, text } = await server.call(listMails, { token });
  const at = (seconds: number) => new Date(startMs + seconds * SECOND_MS).toISOString();
  const common = {
    kind: "password_changed",
    user_id: admin.id,
    attempts: 1,
    reason: null,
    due_at: null,
    sent_at: null,
  };
  assert.deepEqual(body.data, [
    {
      ...common,
      id: ids[4],
      kind: "registration_code",
      user_id: null,
      state: "queued",
      attempts: 0,
      created_at: at(5),
      due_at: at(5),
    },
    { ...common, id: ids[3], state: "dead", reason: "550 5.1.1 No such mailbox", created_at: at(4) },
    { ...common, id: ids[2], state: "sent", created_at: at(3), sent_at: at(3) },
    { ...common, id: ids[1], state: "sending", created_at: at(2), due_at: at(62) },
    { ...common, id: ids[0], state: "queued", attempts: 0, created_at: at(1), due_at: at(1) },
  ]);
  assert.doesNotMatch(text, /ada@|example\.org|042137|192\.0\.2|curl/);

  for (const [index, state] of STATES.entries()) {
    const { body } = await server.call(listMails, { token, query: { state } });
    const found = body.data.map(({ id }: { id: string }) => id);
    assert.deepEqual(found, state === "queued" ? [ids[4], ids[0]] : [ids[index]]);
  }
});

Deno.test("listMails: does not show mails that are never to be sent", async () => {
  await using desk = await openDesk();
  const { server, token } = desk;
  await server.call(requestPasswordReset, { json: { email: "nobody@example.org" } });
  assert.equal((await server.kv.collect(keys.mails(), { limit: 10 })).entries.length, 1);
  for (const query of [{}, { state: "queued" }]) {
    assert.deepEqual((await server.call(listMails, { token, query })).body, { data: [], next_cursor: null });
  }
});

Deno.test("listMails: page by page, and no cursor after the last", async () => {
  await using desk = await openDesk();
  const { server, office, token } = desk;
  const ids: string[] = [];
  for (let number = 0; number < 15; number++) ids.push(await write(office, number % 3 ? "sent" : "dead"));
  const rows = [
    { query: {}, found: ids },
    { query: { state: "sent" }, found: ids.filter((_, number) => number % 3) },
    { query: { state: "dead" }, found: ids.filter((_, number) => number % 3 === 0) },
  ];
  for (const { query, found } of rows) {
    const shown: string[] = [];
    let cursor: Record<string, string> | null = {};
    while (cursor !== null) {
      const { body } = await server.call(listMails, { token, query: { ...query, limit: "5", ...cursor } });
      assert.equal(body.data.length, 5);
      shown.push(...body.data.map(({ id }: { id: string }) => id));
      cursor = body.next_cursor === null ? null : { cursor: body.next_cursor };
    }
    assert.deepEqual(shown, found.toReversed());
  }
});

Deno.test("listMails: refuses", async (t) => {
  await using desk = await openDesk();
  const { server, office, token } = desk;
  for (let number = 0; number < 2; number++) await write(office, "sent");
  const { body: { next_cursor: cursor } } = await server.call(listMails, {
    token,
    query: { state: "sent", limit: "1" },
  });
  const rows: { name: string; query: Record<string, string>; pointer: string }[] = [
    { name: "a limit of 0", query: { limit: "0" }, pointer: "/query/limit" },
    { name: "a limit of 101", query: { limit: "101" }, pointer: "/query/limit" },
    { name: "a state that there is not", query: { state: "lost" }, pointer: "/query/state" },
    { name: "an empty state", query: { state: "" }, pointer: "/query/state" },
    { name: "a filter that there is not", query: { to: "ada@example.org" }, pointer: "/query/to" },
    { name: "a cursor of another state", query: { state: "dead", cursor }, pointer: "/query/cursor" },
    { name: "a cursor of any state", query: { cursor }, pointer: "/query/cursor" },
  ];
  for (const { name, query, pointer } of rows) {
    await t.step(name, async () => {
      const { status, body } = await server.call(listMails, { token, query });
      assert.deepEqual([status, body.errors[0].pointer], [422, pointer]);
    });
  }
});

Deno.test("retryMail: a dead notice is queued once more, and leaves", async () => {
  await using desk = await openDesk();
  const { server, office, admin } = desk;
  const mailId = await write(office, "dead");
  // Its record would end tomorrow: it must not end before the mail has left.
  server.clock.nowMs += 30 * DAY_MS;
  const { accessToken: token } = await signIn(server, admin);
  const input = { token, params: { mail_id: mailId } };
  const delivered = (await server.mails()).length;
  const { status, body, text } = await server.call(retryMail, input);
  assert.equal(status, 202);
  assert.deepEqual([body.id, body.state, body.sent_at], [mailId, "queued", null]);
  assert.equal(body.due_at, new Date(server.clock.nowMs).toISOString());
  assert.doesNotMatch(text, /ada@|192\.0\.2/);
  assert.equal((await server.call(retryMail, input)).status, 422);

  const [mail, ...others] = (await server.mails()).slice(delivered);
  assert.deepEqual([mail?.id, mail?.to, others], [mailId, "ada@example.org", []]);
  server.clock.nowMs += 2 * DAY_MS;
  assert.equal((await findMail(server.kv, mailId))?.state, "sent");
});

Deno.test("retryMail: of ten at once one queues it, and it leaves once", async () => {
  await using desk = await openDesk();
  const { server, office, token } = desk;
  const mailId = await write(office, "dead");
  const delivered = (await server.mails()).length;
  const input = { token, params: { mail_id: mailId } };
  const answers = await Promise.all(Array.from({ length: 10 }, () => server.call(retryMail, input)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [202, ...Array(9).fill(422)]);
  assert.equal((await server.mails()).length, delivered + 1);
});

const unretryable: readonly { name: string; state: MailState; draft?: Partial<MailDraft> }[] = [
  { name: "a queued mail", state: "queued" },
  { name: "a mail under way", state: "sending" },
  { name: "a sent mail", state: "sent" },
  {
    name: "the last mail of who left",
    state: "dead",
    draft: { content: { kind: "account_deleted", atMs: 0, ip: "192.0.2.1", device: null } },
  },
  {
    name: "the last mail of who was deleted",
    state: "dead",
    draft: { content: { kind: "account_deleted_by_admin" } },
  },
];

Deno.test("retryMail: refuses", async (t) => {
  await using desk = await openDesk();
  const { server, office, token } = desk;
  for (const { name, state, draft = {} } of unretryable) {
    await t.step(name, async () => {
      const mailId = await write(office, state, draft);
      const before = await findMail(server.kv, mailId);
      const { status, body } = await server.call(retryMail, { token, params: { mail_id: mailId } });
      assert.deepEqual([status, body.errors[0].code], [422, "mail_not_retryable"]);
      assert.deepEqual(await findMail(server.kv, mailId), before);
    });
  }
  await t.step("a mail whose code is dead", async () => {
    const challenge = { hash: "gone", codeNumber: 1 };
    const mailId = await write(office, "queued", { content: CODE, challenge });
    await server.mails();
    assert.equal((await findMail(server.kv, mailId))?.state, "dead");
    const { body } = await server.call(retryMail, { token, params: { mail_id: mailId } });
    assert.equal(body.errors[0].code, "mail_not_retryable");
  });
  await t.step("an id that no mail has", async () => {
    const { status, body } = await server.call(retryMail, { token, params: { mail_id: UNKNOWN_ID } });
    assert.deepEqual([status, body.code, body.detail], [404, "route_unknown", "There is no such mail"]);
  });
  await t.step("an id that is none", async () => {
    const { status, body } = await server.call(retryMail, { token, params: { mail_id: "1" } });
    assert.deepEqual([status, body.errors[0].pointer], [422, "/param/mail_id"]);
  });
  await t.step("a member that there is not", async () => {
    const input = { token, params: { mail_id: UNKNOWN_ID }, json: { to: "eve@example.org" } };
    assert.equal((await server.call(retryMail, input)).body.errors[0].pointer, "/to");
  });
});

/** What becomes of one of the mails, or of a new one. */
interface Turn {
  readonly act: "add" | "claim" | "complete" | "requeue" | "bury" | "revive" | "forget";
  readonly at: number;
}

async function play(store: MailStore, { act, at }: Turn): Promise<void> {
  const { kv, clock } = store;
  clock.nowMs += SECOND_MS;
  if (act === "add") return void await write(store, "queued", { userId: at % 2 ? "ada" : "bob" });
  if (act === "forget") return await removeMailsOf(kv, at % 2 ? "ada" : "bob");
  const { entries } = await kv.collect(keys.mails(), { limit: 100 });
  const mail = entries[at % entries.length]?.value;
  if (!mail) return;
  if (act === "claim") {
    await claimMail(kv, { mailId: mail.id, dueAtMs: mail.dueAtMs }, { leaseMs: MINUTE_MS });
  }
  if (act === "complete") await completeMail(kv, mail);
  if (act === "requeue") await requeueMail(kv, mail, { reason: "451 Later", delayMs: 0, retryDelayMs: 0 });
  if (act === "bury") await buryMail(kv, mail, "550 No");
  if (act === "revive") await reviveMail(store, mail.id, OPERATOR);
}

const turn: fc.Arbitrary<Turn> = fc.record({
  act: fc.constantFrom("add", "add", "claim", "claim", "complete", "requeue", "bury", "revive", "forget"),
  at: fc.nat({ max: 20 }),
});

async function idsOf(kv: Kv, state?: MailState): Promise<string[]> {
  const ids: string[] = [];
  let startId: string | null = null;
  do {
    const page: ItemPage<MailRecord> = await collectMails(kv, { state }, { limit: 3, startId });
    ids.push(...page.items.map(({ id }) => id));
    startId = page.nextId;
  } while (startId !== null);
  return ids;
}

Deno.test("collectMails: each state has the mails that are in it, whatever became of them", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(turn, { maxLength: 40 }), async (turns) => {
      using store = await openMailStore();
      const { kv, db } = store;
      for (const turn of turns) await play(store, turn);
      const { entries } = await kv.collect(keys.mails(), { limit: 1000, isNewestFirst: true });
      const all = entries.map(({ value }) => value);
      assert.deepEqual(await idsOf(kv), all.map(({ id }) => id));
      for (const state of STATES) {
        const inState = all.filter((mail) => mail.state === state).map(({ id }) => id);
        assert.deepEqual(await idsOf(kv, state), inState);
      }
      const index = await Array.fromAsync(db.list({ prefix: ["mails_by_state"] }));
      assert.equal(index.length, all.length, "nothing is left behind");
    }),
    { numRuns: 60 },
  );
});

Deno.test("collectMails: mails that have ended do not show, and hide none", async () => {
  using store = await openMailStore();
  const { kv, clock } = store;
  const kept: string[] = [];
  for (let number = 0; number < 12; number++) {
    const isShort = number % 4 !== 0;
    const sendBeforeMs = clock.nowMs + (isShort ? MINUTE_MS : DAY_MS);
    const mailId = await write(store, "sent", { sendBeforeMs });
    if (!isShort) kept.push(mailId);
  }
  clock.nowMs += 30 * DAY_MS + 2 * MINUTE_MS;
  assert.deepEqual(await idsOf(kv), kept.toReversed());
  assert.deepEqual(await idsOf(kv, "sent"), kept.toReversed());
});
