// What `/metrics` tells, to whom, and what it never tells: each count is held against requests that were made, and
// nothing that a client can invent becomes a series.

import assert from "node:assert/strict";
import { createNote, readNote } from "../openapi/notes.ts";
import { readMe } from "../openapi/account.ts";
import { register, resendOtp } from "../openapi/registration.ts";
import { readMetrics } from "../openapi/service.ts";
import { login } from "../openapi/sessions.ts";
import { measureOutbox } from "../src/store/outbox_depth.ts";
import { keys, type MailRecord, type MailState } from "../src/store/keys.ts";
import { type Exposition, parseExposition, samplesOf, valueOf } from "./exposition.ts";
import { createFaultyKv } from "./faulty_kv.ts";
import { MINUTE_MS, type ServerOptions, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { overwriteUser, signUp } from "./person.ts";
import { eventually } from "./process.ts";
import { watchKv } from "./watched_kv.ts";

const METRICS_TOKEN = "3f9c1e7a5b2d8460";
const ON = { ...UNLIMITED, METRICS_TOKEN };
const REQUESTS = "latchkey_http_request_duration_seconds_count";
const SIGN_INS = "latchkey_sign_ins_total";

function startMeasured(options: ServerOptions = {}): Promise<TestServer> {
  return startServer({ ...options, env: { ...ON, ...options.env } });
}

async function scrape(server: TestServer): Promise<Exposition> {
  const { status, text } = await server.call(readMetrics, { token: METRICS_TOKEN });
  assert.equal(status, 200, text);
  return parseExposition(text);
}

Deno.test("readMetrics: without METRICS_TOKEN the path is as unknown as any other, and nothing is counted", async () => {
  await using server = await startServer({ env: UNLIMITED });
  for (const method of ["GET", "POST"]) {
    const headers = { authorization: `Bearer ${METRICS_TOKEN}`, "x-request-id": "same" };
    const [metrics, nothing] = await Promise.all(["/metrics", "/nothing"].map(async (path) => {
      const answer = await server.request(path, { method, headers });
      return [answer.status, [...answer.headers], await answer.text()];
    }));
    assert.deepEqual(metrics, nothing);
    assert.equal(metrics?.[0], 404);
  }
  assert.equal(server.deps.metrics, null);
  assert.equal(server.deps.kv, server.kv, "The store is not even wrapped");
});

const refusals: { name: string; authorization?: string; code: string }[] = [
  { name: "no token", code: "token_missing" },
  { name: "empty token", authorization: "Bearer ", code: "token_invalid" },
  { name: "other scheme", authorization: `Basic ${METRICS_TOKEN}`, code: "token_invalid" },
  { name: "part of the token", authorization: `Bearer ${METRICS_TOKEN.slice(0, -1)}`, code: "token_invalid" },
  { name: "more than the token", authorization: `Bearer ${METRICS_TOKEN}0`, code: "token_invalid" },
  { name: "other case", authorization: `Bearer ${METRICS_TOKEN.toUpperCase()}`, code: "token_invalid" },
  { name: "two tokens", authorization: `Bearer ${METRICS_TOKEN} ${METRICS_TOKEN}`, code: "token_invalid" },
];

for (const { name, authorization, code } of refusals) {
  Deno.test(`readMetrics: refuses ${name}`, async () => {
    await using server = await startMeasured();
    const answer = await server.call(readMetrics, { headers: authorization ? { authorization } : {} });
    assert.equal(answer.status, 401, answer.text);
    assert.equal(answer.body.code, code);
    const isNamed = answer.headers.get("www-authenticate")?.includes("invalid_token");
    assert.equal(isNamed, code === "token_invalid");
    assert(!answer.text.includes("latchkey_"), answer.text);
  });
}

Deno.test("readMetrics: refuses an admin's access token, and a token in the query", async () => {
  await using server = await startMeasured();
  const ada = await signUp(server);
  await overwriteUser(server, ada, { role: "admin" });
  const asAdmin = await server.call(readMetrics, { token: ada.accessToken });
  assert.equal(asAdmin.body.code, "token_invalid");
  const inQuery = await server.request(`/metrics?token=${METRICS_TOKEN}`);
  assert.equal((await inQuery.json()).code, "token_missing");
});

Deno.test("readMetrics: counts requests by method, pattern and status, and how long they took", async () => {
  await using server = await startMeasured();
  const ada = await signUp(server);
  const { body: note } = await server.call(createNote, { token: ada.accessToken, json: { title: "Tea" } });
  for (const noteId of [note.id, note.id, ada.id]) {
    await server.call(readNote, { token: ada.accessToken, params: { note_id: noteId } });
  }
  await server.request(`/api/v1/notes/${note.id}/`, { method: "HEAD" });
  await server.request("/health", { method: "DELETE" });

  const told = await scrape(server);
  const route = "/api/v1/notes/:note_id";
  assert.equal(valueOf(told, REQUESTS, { method: "GET", route, status: "200" }), 2);
  assert.equal(valueOf(told, REQUESTS, { method: "GET", route, status: "404" }), 1);
  assert.equal(valueOf(told, REQUESTS, { method: "HEAD", route, status: "401" }), 1);
  assert.equal(valueOf(told, REQUESTS, { route: "/api/v1/notes", status: "201" }), 1);
  assert.equal(valueOf(told, REQUESTS, { method: "DELETE", route: "unknown", status: "405" }), 1);
  assert.equal(valueOf(told, "latchkey_http_requests_in_flight"), 1, "this one");

  const duration = { name: "latchkey_http_request_duration_seconds", route: "/api/v1/auth/register" };
  const seconds = valueOf(told, `${duration.name}_sum`, { route: duration.route });
  assert(seconds > 0.001 && seconds < 5, `a registration takes a hash: ${seconds} s`);
  const bounds = samplesOf(told, `${duration.name}_bucket`, { route: duration.route })
    .map(({ labels: { le } }) => Number(le));
  assert(bounds.includes(0.0002) && bounds.includes(5), "from 0.2 ms to 5 s");
});

Deno.test("readMetrics: counts sign-ins by outcome, and limits by policy", async () => {
  await using server = await startMeasured({ env: { THROTTLE_LOGIN: "5/1m" } });
  const ada = await signUp(server);
  const signIn = (email: string, password: string) => server.call(login, { json: { email, password } });
  assert.equal(valueOf(await scrape(server), SIGN_INS), 0, "a registration is none");

  await signIn(ada.email, ada.password);
  await signIn(ada.email, ada.password);
  await signIn(ada.email, "not-the-password");
  await signIn("nobody@example.org", ada.password);
  await overwriteUser(server, ada, { status: "disabled" });
  await signIn(ada.email, ada.password);
  for (let again = 0; again < 3; again++) assert.equal((await signIn(ada.email, ada.password)).status, 429);

  const { body } = await server.call(register, { json: { email: "b@example.org", password: ada.password } });
  const resent = await server.call(resendOtp, { json: { challenge_id: body.challenge_id } });
  assert.equal(resent.body.policy, "resend");

  const told = await scrape(server);
  const outcomes = samplesOf(told, SIGN_INS).map(({ labels: { outcome }, value }) => [outcome, value]);
  assert.deepEqual(Object.fromEntries(outcomes), {
    succeeded: 2,
    credentials_invalid: 2,
    account_disabled: 1,
    rate_limited: 3,
    unavailable: 0,
  });
  const hit = samplesOf(told, "latchkey_limits_hit_total").filter(({ value }) => value > 0);
  assert.deepEqual(hit.map(({ labels: { policy }, value }) => [policy, value]), [["login", 3], [
    "resend",
    1,
  ]]);
});

Deno.test("readMetrics: no path, method or body adds a series", async () => {
  await using server = await startMeasured();
  const junk = () => crypto.randomUUID();
  const ask = async (path: string, init: RequestInit = {}) => {
    await (await server.request(path, init)).body?.cancel();
  };
  const askAll = async () => {
    await ask(`/${junk()}`);
    await ask(`/api/v1/${junk()}/${junk()}`);
    await ask(`/api/v1/notes/${junk()}`);
    await ask(`/problems/${junk()}`);
    await ask(`/health?${junk()}=${junk()}`, { method: `X${junk().slice(0, 8)}` });
    await ask(`/${junk()}`, { method: `X${junk().slice(0, 8)}` });
    await ask(login.path, { method: "POST", body: `{"${junk()}":1}`, headers: { "user-agent": junk() } });
  };
  const seriesOf = (told: Exposition) =>
    [...told.values()].flatMap(({ samples }) =>
      samples.map(({ name, labels }) => `${name}${JSON.stringify(labels)}`)
    );
  await askAll();
  // The second scrape tells of the first one.
  await scrape(server);
  const before = new Set(seriesOf(await scrape(server)));
  for (let round = 0; round < 500; round++) await askAll();
  const told = await scrape(server);
  assert.deepEqual(seriesOf(told).filter((series) => !before.has(series)).slice(0, 5), []);
  assert(valueOf(told, REQUESTS, { route: "unknown" }) >= 500 * 4);
  assert(valueOf(told, REQUESTS, { method: "unknown" }) >= 500 * 2);
});

Deno.test("readMetrics: tells how many hashes run and wait", async () => {
  await using server = await startMeasured();
  const cores = navigator.hardwareConcurrency;
  const json = { email: "nobody@example.org", password: "violet-comet-93" };
  const attempts = Array.from({ length: cores * 8 }, () => server.call(login, { json }));
  await eventually("all cores hash and somebody waits", async () => {
    const told = await scrape(server);
    assert(valueOf(told, "latchkey_hashes", { state: "running" }) <= cores);
    return valueOf(told, "latchkey_hashes", { state: "running" }) === cores &&
      valueOf(told, "latchkey_hashes", { state: "waiting" }) > 0 &&
      valueOf(told, "latchkey_http_requests_in_flight") > cores;
  });
  await Promise.all(attempts);
  const told = await scrape(server);
  assert.equal(valueOf(told, "latchkey_hashes"), 0);
  assert.equal(valueOf(told, "latchkey_http_requests_in_flight"), 1);
});

Deno.test("readMetrics: tells the depth of the outbox and the age of its oldest mail", async () => {
  await using server = await startMeasured();
  assert.equal(valueOf(await scrape(server), "latchkey_outbox_oldest_waiting_seconds"), 0);
  await insertMails(server, "dead", 3);
  await insertMails(server, "sent", 5);
  server.clock.nowMs += 10 * MINUTE_MS;
  await insertMails(server, "sending", 1);
  server.clock.nowMs += 2 * MINUTE_MS;
  await insertMails(server, "queued", 2);
  server.clock.nowMs += MINUTE_MS;
  const told = await scrape(server);
  const depth = samplesOf(told, "latchkey_outbox_mails").map((
    { labels: { state }, value },
  ) => [state, value]);
  assert.deepEqual(Object.fromEntries(depth), { queued: 2, sending: 1, dead: 3 });
  assert.equal(valueOf(told, "latchkey_outbox_oldest_waiting_seconds"), 3 * 60);
});

Deno.test("readMetrics: counts no further than 10000 mails of a state", async () => {
  await using server = await startMeasured();
  await insertMails(server, "dead", 11_500);
  const watched = watchKv();
  assert.equal((await measureOutbox(watched.wrap(server.kv))).dead, 10_000);
  // Ten pages of dead ones, one page each of the others, and two looks for the oldest.
  assert.equal(watched.reads, 10 + 2 + 2);
});

Deno.test("readMetrics: counts calls to the store, lost commits and failures, and answers while it is away", async () => {
  const faulty = createFaultyKv();
  await using server = await startMeasured({ wrapKv: faulty.wrap });
  const { kv } = server.deps;
  const key = keys.probe();
  const before = await scrape(server);
  const entry = await kv.find(key);
  await kv.findMany([key, key]);
  assert(await kv.change().check(entry).set(key, { atMs: 1 }).commit());
  assert(!await kv.change().check(entry).set(key, { atMs: 2 }).commit());
  const after = await scrape(server);
  const risen = (operation: string) =>
    ["count", "sum"].map((kind) => `latchkey_kv_operation_duration_seconds_${kind}`)
      .map((name) => valueOf(after, name, { operation }) - valueOf(before, name, { operation }));
  for (const [operation, count] of [["find", 1], ["findMany", 1], ["commit", 2]] as const) {
    const [calls, seconds = 0] = risen(operation);
    assert.equal(calls, count, operation);
    assert(seconds > 0 && seconds < 1, operation);
  }
  assert.equal(valueOf(after, "latchkey_kv_lost_commits_total"), 1);
  assert.equal(valueOf(after, "latchkey_kv_failures_total"), 0);

  faulty.breakDown({ at: 1, among: "calls" });
  await assert.rejects(kv.change().set(key, { atMs: 3 }).commit());
  const away = await scrape(server);
  assert.equal(valueOf(away, "latchkey_kv_failures_total", { operation: "commit" }), 1);
  assert(valueOf(away, "latchkey_kv_failures_total", { operation: "collect" }) > 0);
  assert.deepEqual(samplesOf(away, "latchkey_outbox_mails"), [], "Not known is not 0");
  assert.deepEqual(samplesOf(away, "latchkey_outbox_oldest_waiting_seconds"), []);
  assert(faulty.repair());
  assert.equal(samplesOf(await scrape(server), "latchkey_outbox_mails").length, 3);
});

Deno.test("readMetrics: tells of the process, in standard names and units", async () => {
  await using server = await startMeasured();
  const answer = await server.call(readMetrics, { token: METRICS_TOKEN });
  assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(answer.headers.get("cache-control"), "no-store");
  const told = parseExposition(answer.text);
  const resident = valueOf(told, "process_resident_memory_bytes");
  assert(resident > 20e6 && resident < 20e9, "bytes");
  assert(valueOf(told, "process_heap_bytes") < resident);
  assert.equal(valueOf(told, "process_start_time_seconds"), performance.timeOrigin / 1000);
  assert(valueOf(told, "latchkey_event_loop_lag_seconds") < 5);
  const [build] = samplesOf(told, "latchkey_build_info");
  assert.equal(build?.labels.deno, Deno.version.deno);
  assert.match(build?.labels.version ?? "", /^\d+\.\d+\.\d+/);
});

Deno.test("readMetrics: names nobody and holds no secret", async () => {
  await using server = await startMeasured({ env: { THROTTLE_LOGIN: "1/1m" } });
  const canary = "grace.hopper@example.org";
  const ada = await signUp(server, { email: canary, username: "grace.hopper", ip: "198.51.100.77" });
  const code = await server.codeFor(canary);
  for (const password of [ada.password, "a-wrong-guess-of-77"]) {
    await server.call(login, { json: { email: canary, password }, ip: "198.51.100.77" });
  }
  await server.call(readMe, { token: ada.accessToken });
  const { text } = await server.call(readMetrics, { token: METRICS_TOKEN });
  const secrets = [
    ada.password,
    ada.accessToken,
    ada.refreshToken,
    ada.id,
    METRICS_TOKEN,
    "a-wrong-guess-of-77",
  ];
  for (const secret of [...secrets, "grace", "example.org", "198.51.100", `"${code}"`]) {
    assert(!text.includes(secret), secret);
  }
  assert(!server.logged.join("\n").includes(METRICS_TOKEN));
});

/** Puts mails where they are counted, and not where the worker would find them. */
async function insertMails({ db, clock }: TestServer, state: MailState, count: number): Promise<void> {
  const expiresAtMs = clock.nowMs + 60 * MINUTE_MS;
  for (let from = 0; from < count; from += 300) {
    const change = db.atomic();
    for (let number = from; number < Math.min(count, from + 300); number++) {
      const id = `${clock.nowMs}-${String(number).padStart(6, "0")}`;
      const mail: Partial<MailRecord> = { id, state, createdAtMs: clock.nowMs, expiresAtMs };
      change.set(keys.mail(id).path, mail).set(keys.mailIn(state, id).path, { mailId: id, expiresAtMs });
    }
    await change.commit();
  }
}
