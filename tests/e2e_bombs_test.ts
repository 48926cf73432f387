// Bodies and headers that cost more than they weigh: deep, long, many-membered, compressed, in another charset. None is
// inflated, each is refused at once, by a small answer, and the memory comes back.

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { readMe } from "../openapi/account.ts";
import { login } from "../openapi/sessions.ts";
import { UNLIMITED } from "./harness.ts";
import { createSite, type Site } from "./process.ts";
import { residentBytesOf } from "./server_memory.ts";

const BODY_BYTES_MAX = 64 * 1024;
const ANSWER_BYTES_MAX = 32 * 1024;
/** Far more than any of them takes on a slow machine, and far less than one that costs more than it should. */
const REFUSAL_LIMIT_MS = 2_000;
/** What all of them may leave behind in memory. */
const GROWTH_BYTES_MAX = 128 * 2 ** 20;
const ROUNDS = 3;
/** Behind a proxy that appends to it the client writes most of it. */
const FORWARDED_BYTES = 60_000;
/** Together 240 MB. */
const FORWARDED_REQUESTS = 4_000;

const bodies: Readonly<Record<string, string>> = {
  "30,000 lists in each other": `${"[".repeat(30_000)}${"]".repeat(30_000)}`,
  "10,000 objects in each other": `${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}`,
  "lists in a member": `{"email":${"[".repeat(30_000)}${"]".repeat(30_000)},"password":"x"}`,
  "5,000 unknown members": unknownMembers(5_000, "1"),
  "4,000 numbers beyond all numbers": unknownMembers(4_000, "1e999"),
  "members named as methods": '{"__proto__":{"a":1},"constructor":{"prototype":{}},"toString":1}',
  "one member 10,000 times": `{${Array.from({ length: 10_000 }, () => '"a":1').join(",")}}`,
  "a number of 60,000 digits": `{"email":${"9".repeat(60_000)},"password":1}`,
  "an exponent of 60,000 digits": `{"email":1e${"9".repeat(60_000)}}`,
  "an address of 65,000 characters": `{"email":"${"a".repeat(65_000)}@b.co","password":"x"}`,
  "an address of 30,000 labels": `{"email":"a@${"b.".repeat(30_000)}co","password":"x"}`,
  "a password of 65,000 characters": `{"email":"a@b.co","password":"${"x".repeat(65_000)}"}`,
  "a password of combining marks": `{"email":"a@b.co","password":"a${"\u0327\u0301".repeat(16_000)}"}`,
  "10,000 lone surrogates": `{"email":"${"\\ud800".repeat(10_000)}","password":"x"}`,
  "30,000 backslashes": `{"email":"${"\\\\".repeat(30_000)}","password":"x"}`,
  "spaces only": " ".repeat(BODY_BYTES_MAX),
};

const HONEST = JSON.stringify({ email: "ada@example.org", password: "violet-comet-93" });

/** What is said of a body that would be in order without it. */
const encoded: Readonly<
  Record<string, readonly [name: string, value: string, body?: Uint8Array<ArrayBuffer>]>
> = {
  "32 MiB as gzip": ["content-encoding", "gzip", gzip(new Uint8Array(32 * 2 ** 20))],
  "JSON as gzip": ["content-encoding", "gzip", gzip(new TextEncoder().encode(HONEST))],
  "JSON that is said to be br": ["content-encoding", "br"],
  "JSON that is said to be deflate and gzip": ["content-encoding", "deflate, gzip"],
  "UTF-7": ["content-type", "application/json; charset=utf-7"],
  "UTF-16 in quotes": ["content-type", 'application/json;charset="UTF-16LE"'],
  "a form": ["content-type", "multipart/form-data; boundary=x"],
  "JSON and something else": ["content-type", "application/json, text/plain"],
};

Deno.test("bombs: a body that costs more than it weighs is refused at once, by a small answer", async (t) => {
  await using site = await createSite();
  const server = await site.startServer(UNLIMITED);
  const before = await residentBytesOf(server);
  let slowestMs = 0;
  for (const [name, body] of Object.entries(bodies)) {
    await t.step(name, async () => {
      assert(new TextEncoder().encode(body).length <= BODY_BYTES_MAX, "It would be refused for its size");
      for (let round = 0; round < ROUNDS; round++) {
        const askedMs = performance.now();
        const { status, text } = await post(site, body);
        slowestMs = Math.max(slowestMs, performance.now() - askedMs);
        assert(status === 400 || status === 422, `${status}: ${text.slice(0, 500)}`);
        assert(text.length < ANSWER_BYTES_MAX, `${text.length} characters of answer`);
      }
    });
  }
  assert(slowestMs < REFUSAL_LIMIT_MS, `${slowestMs} ms`);
  assert(await residentBytesOf(server) < before + GROWTH_BYTES_MAX);
});

Deno.test("bombs: a body in another encoding or charset is refused, and never inflated", async (t) => {
  await using site = await createSite();
  const server = await site.startServer(UNLIMITED);
  const before = await residentBytesOf(server);
  for (const [name, [header, value, body = HONEST]] of Object.entries(encoded)) {
    await t.step(name, async () => {
      const { status, text } = await post(site, body, { [header]: value });
      assert.equal(status, 415, text);
      assert.equal(JSON.parse(text).code, "media_type_unsupported");
    });
  }
  await t.step("identity is no encoding", async () => {
    const { text } = await post(site, HONEST, { "content-encoding": "identity" });
    assert.equal(JSON.parse(text).code, "credentials_invalid");
  });
  assert(await residentBytesOf(server) < before + GROWTH_BYTES_MAX);
});

Deno.test("bombs: a token that is as long as a header may be is refused at once", async () => {
  await using site = await createSite();
  await site.startServer(UNLIMITED);
  const askedMs = performance.now();
  for (
    const token of ["x".repeat(60_000), `${"e".repeat(20_000)}.${"e".repeat(20_000)}.x`, "=".repeat(60_000)]
  ) {
    const answer = await site.call(readMe, { token });
    assert.equal(answer.body.code, "token_invalid");
  }
  assert(performance.now() - askedMs < REFUSAL_LIMIT_MS);
});

Deno.test("bombs: what a client writes into X-Forwarded-For is not kept", async () => {
  await using site = await createSite();
  const server = await site.startServer({ ...UNLIMITED, TRUST_PROXY: "1" });
  const before = await residentBytesOf(server);
  for (let request = 0; request < FORWARDED_REQUESTS; request++) {
    const forged = String(request).padEnd(FORWARDED_BYTES, "x");
    // As behind a proxy that adds to it, and as behind one that passes on what it got.
    const header = request % 3 === 0 ? `${forged}, 2001:db8::${request.toString(16)}` : forged;
    const headers = { "x-forwarded-for": header };
    assert.equal((await site.call(readMe, { headers })).status, 401);
  }
  const growth = await residentBytesOf(server) - before;
  assert(growth < GROWTH_BYTES_MAX, `${Math.round(growth / 2 ** 20)} MiB`);
});

function unknownMembers(count: number, value: string): string {
  return `{${Array.from({ length: count }, (_, at) => `"m${at}":${value}`).join(",")}}`;
}

function gzip(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(gzipSync(bytes));
}

async function post(
  site: Site,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`${site.url}${login.path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
  return { status: response.status, text: await response.text() };
}
