// Limits as clients meet them: each policy admits what it says and not one more, tells honestly when to come back, and
// refuses without a write or a hash. How accounts and known networks share the sign-in limit is in login_limits_test.ts.

import assert from "node:assert/strict";
import { confirmAccountDeletion, confirmEmailChange, readMe } from "../openapi/account.ts";
import { changePassword, requestPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { login, refreshTokens, verifyToken } from "../openapi/sessions.ts";
import { newId } from "../src/id.ts";
import { countHashes } from "./counted_hashes.ts";
import {
  type Answer,
  DAY_MS,
  HOUR_MS,
  MINUTE_MS,
  PASSWORD,
  SECOND_MS,
  startServer,
  type TestServer,
  UNLIMITED,
} from "./harness.ts";
import { overwriteUser, type Person, signUp, startReset } from "./person.ts";
import { createSecondInstance } from "./second_instance.ts";
import { watchKv } from "./watched_kv.ts";

const WRONG = "not-the-password-7";
const HERE = "192.0.2.1";

/** One request of many that count together. `nth` differs from request to request. */
type Ask = (server: TestServer, nth: number, person: Person) => Promise<Answer>;

const network = (nth: number): string => `10.${nth >> 16 & 255}.${nth >> 8 & 255}.${nth & 255}`;
const address = (nth: number): string => `nobody-${nth}@example.org`;

const askLogin = (server: TestServer, { email, ip }: { email: string; ip: string }): Promise<Answer> =>
  server.call(login, { json: { email, password: WRONG }, ip });
const askCode = (server: TestServer, { id, ip }: { id: string; ip: string }): Promise<Answer> =>
  server.call(verifyPasswordResetOtp, { json: { challenge_id: id, code: "000000" }, ip });
const askReset = (server: TestServer, { email, ip }: { email: string; ip: string }): Promise<Answer> =>
  server.call(requestPasswordReset, { json: { email }, ip });

const CHALLENGE_ID = "01981f6e-7a4c-7d1e-9b60-2f5d1c8e4a10";

const rows: readonly {
  policy: "login" | "register" | "otp" | "password_reset" | "password" | "anonymous" | "user";
  by: string;
  text: string;
  limit: number;
  windowMs: number;
  ask: Ask;
}[] = [
  {
    policy: "login",
    by: "network",
    text: "5/1m",
    limit: 5,
    windowMs: MINUTE_MS,
    ask: (server, nth) => askLogin(server, { email: address(nth), ip: HERE }),
  },
  {
    policy: "login",
    by: "account",
    text: "5/1m",
    limit: 5,
    windowMs: MINUTE_MS,
    // The address counts, however it is written.
    ask: (server, nth) =>
      askLogin(server, { email: nth % 2 ? "ADA@Example.org" : "ada@example.org", ip: network(nth) }),
  },
  {
    policy: "register",
    by: "network",
    text: "3/1m",
    limit: 3,
    windowMs: MINUTE_MS,
    ask: (server, nth) =>
      server.call(register, { json: { email: address(nth), password: PASSWORD }, ip: HERE }),
  },
  {
    policy: "otp",
    by: "network",
    text: "3/1m",
    limit: 3,
    windowMs: MINUTE_MS,
    ask: (server) => askCode(server, { id: newId(server.clock.nowMs), ip: HERE }),
  },
  {
    policy: "otp",
    by: "challenge",
    text: "3/1m",
    limit: 3,
    windowMs: MINUTE_MS,
    ask: (server, nth) => askCode(server, { id: CHALLENGE_ID, ip: network(nth) }),
  },
  {
    policy: "password_reset",
    by: "network",
    text: "3/1h",
    limit: 3,
    windowMs: HOUR_MS,
    ask: (server, nth) => askReset(server, { email: address(nth), ip: HERE }),
  },
  {
    policy: "password_reset",
    by: "address",
    text: "3/1h",
    limit: 3,
    windowMs: HOUR_MS,
    ask: (server, nth) =>
      askReset(server, { email: nth % 2 ? "Nobody@Example.org" : "nobody@example.org", ip: network(nth) }),
  },
  {
    policy: "password",
    by: "account",
    text: "5/1m",
    limit: 5,
    windowMs: MINUTE_MS,
    ask: (server, nth, { accessToken: token }) =>
      server.call(changePassword, {
        token,
        json: { current_password: WRONG, new_password: PASSWORD },
        ip: network(nth),
      }),
  },
  {
    policy: "anonymous",
    by: "network",
    text: "100/1d",
    limit: 100,
    windowMs: DAY_MS,
    ask: (server) => server.call(verifyToken, { json: { token: "junk" }, ip: HERE }),
  },
  {
    policy: "user",
    by: "user",
    text: "1000/1d",
    limit: 1000,
    windowMs: DAY_MS,
    ask: (server, nth, { accessToken: token }) => server.call(readMe, { token, ip: network(nth) }),
  },
];

for (const { policy, by, text, limit, windowMs, ask } of rows) {
  Deno.test(`limit ${policy} by ${by}: ${text}, an honest wait, and a refusal costs nothing`, async () => {
    const watched = watchKv();
    const env = {
      ...UNLIMITED,
      ACCESS_TOKEN_TTL: "9d",
      [`THROTTLE_${policy.toUpperCase()}`]: text,
    };
    await using server = await startServer({ env, wrapKv: watched.wrap });
    const ada = await signUp(server, { ip: "198.51.100.1" });
    // What the registration used up is over.
    server.clock.nowMs += windowMs + 5 * MINUTE_MS;
    // Not whole seconds, so that a wait has to be rounded.
    const stepMs = Math.floor(windowMs / limit / 3) + 1;
    const firstMs = server.clock.nowMs;
    let nth = 0;
    const askNext = (): Promise<Answer> => ask(server, nth++, ada);
    for (let used = 0; used < limit; used++) {
      if (used > 0) server.clock.nowMs += stepMs;
      const answer = await askNext();
      assert.notEqual(answer.status, 429, `request ${used + 1}`);
    }

    const [commits, hashes] = [watched.commits, countHashes(server)];
    const refused = await askNext();
    assert.equal(refused.status, 429);
    assert.equal(refused.body.policy, policy);
    const waitSeconds = refused.body.retry_after;
    assert.equal(refused.headers.get("retry-after"), String(waitSeconds));
    const exactSeconds = Math.ceil((firstMs + windowMs - server.clock.nowMs) / SECOND_MS);
    // Above a hundred in a window time is cut into slots, and the wait is longer by one slot at most.
    const slackSeconds = limit > 100 ? windowMs / 256 / SECOND_MS : 0;
    assert(waitSeconds >= exactSeconds && waitSeconds <= exactSeconds + slackSeconds, `${waitSeconds}`);
    server.clock.nowMs += (waitSeconds - 1) * SECOND_MS;
    const early = await askNext();
    assert.equal(early.status, 429, "the second before is refused");
    assert.equal(early.headers.get("retry-after"), "1");
    assert.deepEqual([watched.commits - commits, hashes.count], [0, 0], "commits and hashes of two refusals");

    server.clock.nowMs += SECOND_MS;
    assert.notEqual((await askNext()).status, 429, "that second is admitted");
  });
}

for (const route of [verifyOtp, verifyPasswordResetOtp, confirmEmailChange, confirmAccountDeletion]) {
  Deno.test(`${route.operationId}: guesses are limited by network, and by challenge`, async () => {
    await using server = await startServer({ env: { ...UNLIMITED, THROTTLE_OTP: "1/1m" } });
    const { accessToken: token } = await signUp(server, { ip: "198.51.100.1" });
    const guess = async (challengeId: string, ip: string): Promise<string> => {
      const json = { challenge_id: challengeId, code: "000000" };
      return (await server.call(route, { json, ip, token })).body.code;
    };
    const another = newId(server.clock.nowMs);
    assert.equal(await guess(CHALLENGE_ID, HERE), "otp_expired");
    assert.equal(await guess(another, HERE), "rate_limited");
    assert.equal(await guess(CHALLENGE_ID, network(1)), "rate_limited");
    assert.equal(await guess(another, network(1)), "otp_expired");
  });
}

Deno.test("limits: the headers tell every limit of the request, and count down one by one", async () => {
  await using server = await startServer();
  const first = await askLogin(server, { email: "ada@example.org", ip: HERE });
  assert.equal(first.headers.get("ratelimit-policy"), '"anonymous";q=100;w=86400, "login";q=5;w=60');
  assert.equal(first.headers.get("ratelimit"), '"anonymous";r=99;t=86400, "login";r=4;t=60');
  for (let used = 2; used <= 100; used++) {
    server.clock.nowMs += SECOND_MS;
    const { status, headers } = await server.call(verifyToken, { json: { token: "junk" }, ip: HERE });
    assert.equal(status, 200);
    assert.equal(headers.get("ratelimit-policy"), '"anonymous";q=100;w=86400');
    assert.equal(headers.get("ratelimit"), `"anonymous";r=${100 - used};t=${86_401 - used}`);
  }
  const refused = await askLogin(server, { email: "ada@example.org", ip: HERE });
  assert.equal(refused.status, 429);
  assert.equal(refused.body.policy, "anonymous");
  assert.equal(refused.headers.get("retry-after"), String(86_400 - 99));
  assert.equal(refused.headers.get("ratelimit"), '"anonymous";r=0;t=86301, "login";r=5;t=0');
});

Deno.test("limits: a policy of two windows has two names, and both hold", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, THROTTLE_LOGIN: "2/1m,3/1h" } });
  const ask = (): Promise<Answer> => askLogin(server, { email: "ada@example.org", ip: HERE });
  const first = await ask();
  assert.equal(first.headers.get("ratelimit-policy"), '"login";q=2;w=60, "login-3600s";q=3;w=3600');
  assert.equal(first.headers.get("ratelimit"), '"login";r=1;t=60, "login-3600s";r=2;t=3600');
  await ask();
  assert.equal((await ask()).headers.get("retry-after"), "60");
  server.clock.nowMs += MINUTE_MS;
  assert.equal((await ask()).status, 401);
  assert.equal((await ask()).headers.get("retry-after"), "3540");
});

Deno.test("limits: what one policy refuses takes nothing from another", async () => {
  await using server = await startServer({ env: { THROTTLE_LOGIN: "1/1m" } });
  const ask = (): Promise<Answer> => askLogin(server, { email: "ada@example.org", ip: HERE });
  await ask();
  for (let times = 0; times < 3; times++) {
    assert.match((await ask()).headers.get("ratelimit") ?? "", /^"anonymous";r=99;/);
  }
});

Deno.test("limits: all off, nothing is refused and nothing is announced", async () => {
  await using server = await startServer({ env: UNLIMITED });
  for (let times = 0; times < 20; times++) {
    const { status, headers } = await askLogin(server, { email: "ada@example.org", ip: HERE });
    assert.equal(status, 401);
    assert.deepEqual([headers.get("ratelimit"), headers.get("ratelimit-policy")], [null, null]);
  }
});

Deno.test("limits: for whom a request counts", async (t) => {
  await using server = await startServer();
  const ada = await signUp(server, { ip: "198.51.100.1" });
  const bob = await signUp(server, { email: "bob@example.org", ip: "198.51.100.2" });
  await overwriteUser(server, bob, { status: "disabled" });
  const wrong = { email: "ada@example.org", password: WRONG };
  const cases: { name: string; ask: () => Promise<Answer>; left: string }[] = [
    {
      name: "an access token in the header",
      ask: () => server.call(readMe, { token: ada.accessToken }),
      left: '"user";r=999',
    },
    {
      name: "an access token in the body",
      ask: () => server.call(verifyToken, { json: { token: ada.accessToken } }),
      left: '"user";r=998',
    },
    {
      name: "an access token in the header of a public route",
      ask: () => server.call(login, { json: wrong, token: ada.accessToken }),
      left: '"user";r=997',
    },
    {
      name: "a refresh token in the body",
      ask: () => server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } }),
      left: '"user";r=996',
    },
    {
      name: "the same refresh token again, within its grace",
      ask: () => server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } }),
      left: '"user";r=995',
    },
    {
      name: "a junk access token in the header",
      ask: () => server.call(login, { json: wrong, token: "junk" }),
      left: '"anonymous";r=99',
    },
    {
      name: "a junk refresh token",
      ask: () => server.call(refreshTokens, { json: { refresh_token: "junk" } }),
      left: '"anonymous";r=98',
    },
    {
      name: "a refresh token whose secret is wrong",
      ask: () =>
        server.call(refreshTokens, { json: { refresh_token: `${ada.refreshToken.slice(0, -4)}AAAA` } }),
      left: '"anonymous";r=97',
    },
    {
      name: "a disabled account's access token",
      ask: () => server.call(verifyToken, { json: { token: bob.accessToken } }),
      left: '"anonymous";r=96',
    },
  ];
  for (const { name, ask, left } of cases) {
    await t.step(name, async () => {
      const { headers } = await ask();
      assert.equal((headers.get("ratelimit") ?? "").split(";t=")[0], left);
    });
  }
});

Deno.test("limit otp: a code of the wrong form counts as a request and not as a guess", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, THROTTLE_OTP: "3/1m" } });
  const ada = await signUp(server, { ip: "198.51.100.1" });
  const challengeId = await startReset(server, ada.email);
  const guess = (code: string): Promise<Answer> =>
    server.call(verifyPasswordResetOtp, { json: { challenge_id: challengeId, code } });
  for (const code of ["12345", "1234567", "letter"]) assert.equal((await guess(code)).status, 422);
  const refused = await guess("12345");
  assert.deepEqual([refused.status, refused.body.policy], [429, "otp"]);
  server.clock.nowMs += MINUTE_MS;
  assert.equal((await guess("000000")).body.attempts_remaining, 4);
});

Deno.test("limits: 200 parallel requests, on two servers over one store, are admitted exactly five", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, THROTTLE_LOGIN: "5/1m" } });
  const second = await createSecondInstance(server);
  const init = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: "ada@example.org", password: WRONG }),
  };
  const info = { remoteAddr: { hostname: HERE } };
  const flood = async (): Promise<number> => {
    const responses = await Promise.all(
      Array.from(
        { length: 200 },
        (_, nth) =>
          nth % 2 === 0
            ? server.request(login.path, { ...init, ip: HERE })
            : second.request(`http://localhost:8000${login.path}`, init, info),
      ),
    );
    await Promise.all(responses.map((response) => response.body?.cancel()));
    assert(responses.every(({ status }) => status === 401 || status === 429));
    return responses.filter(({ status }) => status === 401).length;
  };
  assert.equal(await flood(), 5);
  await server.restart();
  server.clock.nowMs += MINUTE_MS - 1;
  assert.equal(await flood(), 0, "a restart gives nothing back");
  server.clock.nowMs += 1;
  assert.equal(await flood(), 5);
});
