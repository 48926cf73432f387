// The export of an account that holds much: as fast as it is read, whole or visibly broken off, one at a time for each
// person, and in bounded memory. What is in it is in account_test.ts.

import assert from "node:assert/strict";
import { AccountExport, exportMe, readMe } from "../openapi/account.ts";
import { endOtherSessions, login } from "../openapi/sessions.ts";
import { newId } from "../src/id.ts";
import { openPieces } from "../src/pieces.ts";
import { keys } from "../src/store/keys.ts";
import { PASSWORD, SECOND_MS, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { createFaultyKv } from "./faulty_kv.ts";
import { type Person, signIn, signUp } from "./person.ts";
import { createSite, eventually } from "./process.ts";
import { residentBytesOf } from "./server_memory.ts";

const SECRET_KEY = "export-key-of-32-bytes-0123456789ab";
const NOTE_LENGTH = 10_000;
/** Several times what is made before an answer begins. */
const NOTES = 400;
/** 120 MB of JSON, and four times that to be read at once. */
const NOTES_HEAVY = 6_000;
const READERS = 4;
/** Half of what a client may take nothing for. */
const PROMPT_MS = 15_000;
/** One export holds a page and what goes out; the rest is what the runtime keeps for itself. */
const GROWTH_BYTES_MAX = 224 * 2 ** 20;

for (const encoding of ["identity", "gzip"]) {
  Deno.test(`exportMe: what is larger than an answer holds arrives whole, as ${encoding}`, async () => {
    await using server = await startServer({ env: UNLIMITED });
    await using place = serve(server);
    const ada = await signUp(server);
    const small = await ask(place, ada, { "accept-encoding": "identity" });
    const { length } = await small.text();
    assert.equal(small.headers.get("content-length"), String(length), "A small one says how long it is");

    const ids = await fill(server, ada, NOTES);
    const answer = await ask(place, ada, { "accept-encoding": encoding });
    assert.deepEqual(
      ["content-type", "content-length", "etag", "cache-control"].map((name) => answer.headers.get(name)),
      ["application/json", null, null, "no-store"],
    );
    const whole = AccountExport.parse(await answer.json());
    assert.deepEqual(whole.notes.map(({ id }) => id), ids.toReversed());
  });
}

Deno.test("exportMe: what fails on the way breaks the connection off, and is logged", async () => {
  const faulty = createFaultyKv();
  await using server = await startServer({ env: UNLIMITED, wrapKv: faulty.wrap });
  await using place = serve(server);
  const ada = await signUp(server);
  await fill(server, ada, NOTES);
  const answer = await ask(place, ada);
  assert.equal(answer.status, 200);
  faulty.breakDown({ at: 3, among: "calls" });
  await assert.rejects(answer.text());
  assert(faulty.repair(), "It broke down on the way");
  assert(server.logged.some((line) => line.includes("export broke off") && line.includes("Broken down")));
  assert.equal((await server.call(exportMe, { token: ada.accessToken })).body.notes.length, NOTES);
});

/** Ways in which nobody reads the first of two exports to its end, or everybody does. */
const ends: Readonly<Record<string, (first: Response) => Promise<unknown>>> = {
  "is read": (first) => first.text(),
  "is given up by its client": (first) => first.body?.cancel() ?? Promise.reject(new Error("No body")),
};

for (const [name, end] of Object.entries(ends)) {
  Deno.test(`exportMe: a second one of the same person waits until the first ${name}`, async () => {
    await using server = await startServer({ env: UNLIMITED });
    const [ada, bob] = [await signUp(server), await signUp(server, { email: "bob@example.org" })];
    for (const person of [ada, bob]) await fill(server, person, NOTES);
    const first = await open(server, ada);
    let isAnswered = false;
    const second = open(server, ada).finally(() => isAnswered = true);
    // Nobody waits for somebody else.
    const other = await open(server, bob);
    assert.equal(JSON.parse(await other.text()).notes.length, NOTES);
    assert(!isAnswered);
    await end(first);
    assert.equal(JSON.parse(await (await promptly(second)).text()).notes.length, NOTES);
  });
}

Deno.test("exportMe: who hangs up while it is sent keeps nobody waiting", async () => {
  await using server = await startServer({ env: UNLIMITED });
  await using place = serve(server);
  const ada = await signUp(server);
  await fill(server, ada, NOTES);
  const hangUp = new AbortController();
  await ask(place, ada, {}, hangUp.signal);
  const second = ask(place, ada);
  hangUp.abort();
  assert.equal(AccountExport.parse(await (await promptly(second)).json()).notes.length, NOTES);
});

Deno.test("exportMe: HEAD makes nothing that nobody reads", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  await fill(server, ada, NOTES);
  const head = await open(server, ada, "HEAD");
  assert.deepEqual([head.status, await head.text()], [200, ""]);
  const next = await promptly(server.call(exportMe, { token: ada.accessToken }));
  assert.equal(next.body.notes.length, NOTES);
});

Deno.test("exportMe: a session that ends while its export waits for its turn gets none", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  server.clock.nowMs += SECOND_MS;
  const thief = await signIn(server, ada);
  await fill(server, ada, NOTES);
  const first = await open(server, ada);
  const waiting = open(server, thief);
  // It stands at the gate no longer than these do, one after the other.
  for (let time = 0; time < 10; time++) {
    assert.equal((await server.call(readMe, { token: thief.accessToken })).status, 200);
  }
  assert.equal((await server.call(endOtherSessions, { token: ada.accessToken })).status, 204);
  await first.text();
  const refused = await promptly(waiting);
  assert.deepEqual([refused.status, (await refused.json()).code], [401, "token_invalid"]);
});

Deno.test("answer in pieces: a client that reads no further is given up, and what it held is let go", async () => {
  let isLetGo = false;
  const faults: unknown[] = [];
  async function* makePieces(): AsyncGenerator<string, void> {
    try {
      while (true) yield "x".repeat(2 ** 20);
    } finally {
      isLetGo = true;
    }
  }
  const { body, isOver } = await openPieces(makePieces(), {
    report: (fault) => faults.push(fault),
    stallMs: 20,
  });
  assert(body instanceof ReadableStream);
  const reader = body.getReader();
  assert.equal((await reader.read()).done, false);
  await isOver;
  assert(isLetGo);
  await assert.rejects(reader.read(), /reads no further/);
  assert.equal(faults.length, 1);
});

Deno.test("exportMe: memory stays bounded while large ones are made", async () => {
  await using site = await createSite();
  await Deno.mkdir(`${site.folder}/data`, { recursive: true });
  const people = ["ada@example.org", "bob@example.org"];
  {
    await using server = await startServer({ env: { ...UNLIMITED, SECRET_KEY }, storePath: site.storePath });
    for (const email of people) await fill(server, await signUp(server, { email }), NOTES_HEAVY / 2);
  }
  const program = await site.startServer({ ...UNLIMITED, SECRET_KEY });
  const before = await residentBytesOf(program);
  let peak = before;
  let isOver = false;
  const watch = eventually("all are read", async () => {
    peak = Math.max(peak, await residentBytesOf(program));
    return isOver;
  }, { limitMs: 120_000 });
  await Promise.all(people.flatMap((email) =>
    Array.from({ length: READERS / 2 }, async () => {
      const { body: { access_token: accessToken } } = await site.call(login, {
        json: { email, password: PASSWORD },
      });
      const answer = await ask({ url: site.url }, { accessToken });
      let bytes = 0;
      for await (const chunk of answer.body ?? []) bytes += chunk.byteLength;
      assert(bytes > NOTES_HEAVY / 2 * NOTE_LENGTH * 2, `${bytes} bytes`);
    })
  ));
  isOver = true;
  await watch;
  assert(peak - before < GROWTH_BYTES_MAX, `${Math.round((peak - before) / 2 ** 20)} MiB`);
});

interface Place {
  readonly url: string;
}

/** The server as a client meets it: over TCP. */
function serve(server: TestServer): Place & AsyncDisposable {
  const end = new AbortController();
  const http = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, signal: end.signal },
    (request, info) => server.app.fetch(request, info),
  );
  return {
    url: `http://127.0.0.1:${http.addr.port}`,
    [Symbol.asyncDispose]: () => {
      // At once, also when a test that fails has left an answer unread.
      end.abort();
      return http.finished;
    },
  };
}

/** What comes without waiting until somebody who reads nothing is given up. */
async function promptly<Result>(work: Promise<Result>): Promise<Result> {
  let isOver = false;
  const note = (): void => void (isOver = true);
  work.then(note, note);
  await eventually("the next export is answered", () => isOver, { limitMs: PROMPT_MS });
  return await work;
}

function ask(
  { url }: Place,
  { accessToken }: Pick<Person, "accessToken">,
  headers: Readonly<Record<string, string>> = {},
  signal: AbortSignal | null = null,
): Promise<Response> {
  return fetch(`${url}${exportMe.path}`, {
    headers: { authorization: `Bearer ${accessToken}`, ...headers },
    signal,
  });
}

/** Answered, but not read. */
function open(server: TestServer, { accessToken }: Person, method = "GET"): Promise<Response> {
  return server.request(exportMe.path, { method, headers: { authorization: `Bearer ${accessToken}` } });
}

/** Notes as long as they may be, past the limit of the plan. Their ids, oldest first. */
async function fill({ kv, clock }: TestServer, { id: userId }: Person, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, nth) => newId(clock.nowMs + nth));
  const body = "ä".repeat(NOTE_LENGTH);
  const times = { createdAtMs: clock.nowMs, updatedAtMs: clock.nowMs };
  for (let from = 0; from < count; from += 20) {
    const change = kv.change();
    for (const id of ids.slice(from, from + 20)) {
      change.set(keys.note(userId, id), { id, title: "Milk", body, ...times });
    }
    assert(await change.commit());
  }
  return ids;
}
