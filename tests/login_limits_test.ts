// The sign-in limit by account and network: whoever attacks an account from elsewhere keeps out others elsewhere, never
// the owner on a network where they signed in within 30 days; and nobody can tell from it whether there is an account.

import assert from "node:assert/strict";
import { login } from "../openapi/sessions.ts";
import {
  type Answer,
  DAY_MS,
  MINUTE_MS,
  SECOND_MS,
  startServer,
  type TestServer,
  UNLIMITED,
} from "./harness.ts";
import { signIn, signUp } from "./person.ts";

const ONLY_LOGIN = { ...UNLIMITED, THROTTLE_LOGIN: "5/1m" } as const;
const WRONG = "not-the-password-7";
const HOME = "192.0.2.1";
const WORK = "192.0.2.2";
const AWAY = "203.0.113.7";

/** One of 200 networks of an attacker. */
const network = (nth: number): string => `10.0.${nth % 200}.1`;

const attempt = (
  server: TestServer,
  { email = "ada@example.org", password = WRONG, ip, forwardedFor }: {
    readonly email?: string;
    readonly password?: string;
    readonly ip?: string;
    readonly forwardedFor?: string;
  },
): Promise<Answer> =>
  server.call(login, {
    json: { email, password },
    headers: { "x-request-id": "same", ...(forwardedFor ? { "x-forwarded-for": forwardedFor } : {}) },
    ...(ip ? { ip } : {}),
  });

/** A thousand attempts in five minutes, from 200 networks in turn. */
async function attack(
  server: TestServer,
  email: string,
  afterEach200: () => Promise<void> = () => Promise.resolve(),
): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let minute = 0; minute < 5; minute++) {
    for (let nth = 0; nth < 200; nth++) answers.push(await attempt(server, { email, ip: network(nth) }));
    await afterEach200();
    server.clock.nowMs += MINUTE_MS;
  }
  return answers;
}

Deno.test("login: an attack from 200 networks never keeps the owner out where they signed in before", async () => {
  await using server = await startServer({ env: ONLY_LOGIN });
  const ada = await signUp(server, { ip: HOME });
  await signIn(server, ada, { ip: WORK });
  server.clock.nowMs += MINUTE_MS;
  const answers = await attack(server, ada.email, async () => {
    for (const ip of [HOME, WORK]) await signIn(server, ada, { ip });
    const stranger = await attempt(server, { password: ada.password, ip: AWAY });
    assert.equal(stranger.status, 429, "elsewhere the right password is refused as well");
    assert.equal(stranger.body.policy, "login");
  });
  assert.equal(answers.filter(({ status }) => status === 401).length, 25, "five a minute");
  assert.equal(answers.filter(({ status }) => status === 429).length, 975);
  await signIn(server, ada, { ip: AWAY });
});

Deno.test("login: under attack an unknown address answers like a known one, byte for byte", async () => {
  await using server = await startServer({ env: ONLY_LOGIN });
  const ada = await signUp(server, { ip: HOME });
  const startMs = server.clock.nowMs;
  const seen = (answers: readonly Answer[]): unknown =>
    answers.map(({ status, text, headers }) => [status, text, [...headers]]);
  const known = seen(await attack(server, ada.email));
  server.clock.nowMs = startMs + DAY_MS;
  const unknown = seen(await attack(server, "eve@example.org"));
  assert.deepEqual(unknown, known);
});

Deno.test("login: each known network has a count of its own, and so has everywhere else together", async () => {
  await using server = await startServer({ env: ONLY_LOGIN });
  const ada = await signUp(server, { ip: HOME });
  await signIn(server, ada, { ip: WORK });
  server.clock.nowMs += MINUTE_MS;
  for (const ip of [HOME, WORK]) {
    for (let times = 0; times < 5; times++) assert.equal((await attempt(server, { ip })).status, 401);
    assert.equal((await attempt(server, { ip, password: ada.password })).status, 429);
  }
  for (let times = 0; times < 5; times++) {
    assert.equal((await attempt(server, { ip: network(times) })).status, 401);
  }
  assert.equal((await attempt(server, { ip: network(6) })).status, 429);
});

Deno.test("login: a network that was not used for 30 days is elsewhere again", async () => {
  await using server = await startServer({ env: ONLY_LOGIN });
  const ada = await signUp(server, { ip: HOME });
  const besiege = async (): Promise<void> => {
    for (let nth = 0; nth < 5; nth++) await attempt(server, { ip: network(nth) });
  };
  server.clock.nowMs += 30 * DAY_MS - 1;
  await besiege();
  assert.equal((await attempt(server, { ip: HOME })).status, 401);
  server.clock.nowMs += MINUTE_MS;
  await besiege();
  assert.equal((await attempt(server, { ip: HOME, password: ada.password })).status, 429);
});

Deno.test("login: a success clears nothing, and the address counts however it is written", async () => {
  await using server = await startServer({ env: ONLY_LOGIN });
  const ada = await signUp(server, { ip: HOME });
  for (const email of ["ada@example.org", "ADA@example.org", "ada@EXAMPLE.org", "Ada@example.org"]) {
    assert.equal((await attempt(server, { email, password: ada.password, ip: HOME })).status, 200);
  }
  assert.equal((await attempt(server, { ip: HOME })).status, 401);
  assert.equal((await attempt(server, { ip: HOME, password: ada.password })).status, 429);
});

Deno.test("login: which addresses are one network", async (t) => {
  const rows = [
    { name: "an IPv6 /64 is one", one: "2001:db8:0:1::1", other: "2001:db8:0:1:ffff::9", isSame: true },
    { name: "its neighbour is another", one: "2001:db8:0:1::1", other: "2001:db8:0:2::1", isSame: false },
    { name: "IPv4 mapped into IPv6 is IPv4", one: "192.0.2.1", other: "::ffff:192.0.2.1", isSame: true },
    { name: "two IPv4 addresses are two", one: "192.0.2.1", other: "192.0.2.2", isSame: false },
  ];
  for (const { name, one, other, isSame } of rows) {
    await t.step(name, async () => {
      await using server = await startServer({ env: ONLY_LOGIN });
      for (let nth = 0; nth < 5; nth++) await attempt(server, { email: `u${nth}@example.org`, ip: one });
      const answer = await attempt(server, { email: "u5@example.org", ip: other });
      assert.equal(answer.status, isSame ? 429 : 401);
    });
  }
});

Deno.test("login: behind a trusted proxy the entry that it added counts, and nothing that a client can write", async (t) => {
  const proxy = "198.51.100.9";
  const rows = [
    {
      name: "one proxy: what stands before its entry is a client's text",
      hops: "1",
      headers: (nth: number) => `10.0.0.${nth}, 203.0.113.5`,
      next: `203.0.113.5`,
      isRefused: true,
    },
    {
      name: "one proxy: another entry is another network",
      hops: "1",
      headers: () => "203.0.113.5",
      next: "203.0.113.6",
      isRefused: false,
    },
    {
      name: "one proxy: with a port it is the same",
      hops: "1",
      headers: (nth: number) => `203.0.113.5:${5000 + nth}`,
      next: "203.0.113.5",
      isRefused: true,
    },
    {
      name: "one proxy: words count as the proxy itself",
      hops: "1",
      headers: (nth: number) => `words-${nth}`,
      next: "unknown",
      isRefused: true,
    },
    {
      name: "two proxies: the outermost one's entry",
      hops: "2",
      headers: (nth: number) => `10.0.0.${nth}, 203.0.113.5, 198.51.100.${nth}`,
      next: "203.0.113.5, 198.51.100.77",
      isRefused: true,
    },
    {
      name: "no proxy: the header is nothing",
      hops: "0",
      headers: (nth: number) => `10.0.0.${nth}`,
      next: "10.0.0.77",
      isRefused: true,
    },
  ];
  for (const { name, hops, headers, next, isRefused } of rows) {
    await t.step(name, async () => {
      await using server = await startServer({ env: { ...ONLY_LOGIN, TRUST_PROXY: hops } });
      const ask = (nth: number, forwardedFor: string): Promise<Answer> =>
        attempt(server, { email: `u${nth}@example.org`, ip: proxy, forwardedFor });
      for (let nth = 0; nth < 5; nth++) assert.equal((await ask(nth, headers(nth))).status, 401);
      assert.equal((await ask(5, next)).status, isRefused ? 429 : 401);
    });
  }
  await t.step("one proxy: without the header the socket's address counts", async () => {
    await using server = await startServer({ env: { ...ONLY_LOGIN, TRUST_PROXY: "1" } });
    for (let nth = 0; nth < 5; nth++) await attempt(server, { email: `u${nth}@example.org`, ip: proxy });
    assert.equal((await attempt(server, { email: "u5@example.org", ip: proxy })).status, 429);
    assert.equal((await attempt(server, { email: "u5@example.org", ip: HOME })).status, 401);
  });
});

Deno.test("login: refused for the account, the headers tell of the network only, and how long to wait", async () => {
  await using server = await startServer({ env: ONLY_LOGIN });
  for (let nth = 0; nth < 5; nth++) await attempt(server, { ip: network(nth) });
  const { status, body, headers } = await attempt(server, { ip: AWAY });
  assert.deepEqual([status, body.policy, body.retry_after], [429, "login", 60]);
  assert.equal(headers.get("retry-after"), "60");
  assert.equal(headers.get("ratelimit"), '"login";r=5;t=0');
  assert.equal(headers.get("ratelimit-policy"), '"login";q=5;w=60');
});

Deno.test("login: the wait is honest for the network and for the account at once", async () => {
  await using server = await startServer({ env: ONLY_LOGIN });
  const email = "eve@example.org";
  for (let nth = 0; nth < 5; nth++) await attempt(server, { email, ip: network(nth) });
  server.clock.nowMs += 20 * SECOND_MS;
  for (let nth = 0; nth < 5; nth++) await attempt(server, { email: `u${nth}@example.org`, ip: AWAY });
  const refused = await attempt(server, { email, ip: AWAY });
  assert.equal(refused.headers.get("retry-after"), "60", "the longer of the two");
  server.clock.nowMs += 59 * SECOND_MS;
  assert.equal((await attempt(server, { email, ip: AWAY })).status, 429);
  server.clock.nowMs += SECOND_MS;
  assert.equal((await attempt(server, { email, ip: AWAY })).status, 401);
});
