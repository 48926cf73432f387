// "Why can this person not sign in?": each reason shows in the report, and nothing shows that an admin must not see.

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { changePassword, requestPasswordReset } from "../openapi/passwords.ts";
import { verifyOtp } from "../openapi/registration.ts";
import { login, verifyToken } from "../openapi/sessions.ts";
import { readSignInReport } from "../openapi/sign_in_report.ts";
import { NO_PASSWORD_HASH } from "../src/hasher.ts";
import { newId } from "../src/id.ts";
import { OPERATOR } from "../src/store/client.ts";
import { keys } from "../src/store/keys.ts";
import { replaceUser } from "../src/store/users.ts";
import {
  type Answer,
  HOUR_MS,
  MINUTE_MS,
  PASSWORD,
  SECOND_MS,
  startServer,
  type TestServer,
  UNKNOWN_ID,
  UNLIMITED,
} from "./harness.ts";
import { makeAdmin, overwriteUser, type Person, signIn, signUp, signUpAdmin, startReset } from "./person.ts";

const ADMIN_IP = "198.51.100.7";
const ADA_IP = "192.0.2.1";
const ELSEWHERE = "203.0.113.9";

interface Office {
  readonly server: TestServer;
  readonly ada: Person;
  report(): Promise<Answer>;
}

/** Ada, and an admin who looks at her. */
async function openOffice(env: Record<string, string> = {}): Promise<Office> {
  const server = await startServer({ env });
  const admin = await signUpAdmin(server, "root@example.org", { ip: ADMIN_IP });
  const ada = await signUp(server, { ip: ADA_IP });
  const params = { user_id: ada.id };
  return {
    server,
    ada,
    report: () => server.call(readSignInReport, { params, token: admin.accessToken, ip: ADMIN_IP }),
  };
}

function codesOf({ body }: Answer): string[] {
  return body.findings.map(({ code }: { code: string }) => code);
}

Deno.test("readSignInReport: nothing stands in the way of somebody who has just signed up", async () => {
  const { server, report } = await openOffice();
  await using _ = server;
  const { status, body, text } = await report();
  assert.equal(status, 200, text);
  const { can_sign_in, findings, email_verified, has_password, session_count, limits, long_codes_until } =
    body;
  assert.deepEqual(
    { can_sign_in, findings, email_verified, has_password, session_count, limits, long_codes_until },
    {
      can_sign_in: true,
      findings: [],
      email_verified: true,
      has_password: true,
      session_count: 1,
      limits: [],
      long_codes_until: null,
    },
  );
  assert.deepEqual(body.attempts.map(({ type }: { type: string }) => type), ["account_created"]);
  assert.deepEqual(
    body.mails.map(({ kind, state }: { kind: string; state: string }) => [kind, state]),
    [["registration_code", "sent"]],
  );
});

const states: readonly { name: string; make(office: Office): Promise<unknown>; code: string }[] = [
  {
    name: "disabled account",
    make: ({ server, ada }) => replaceUser(server.deps, ada.id, { status: "disabled" }, OPERATOR),
    code: "account_disabled",
  },
  {
    name: "unverified import",
    make: ({ server, ada }) => overwriteUser(server, ada, { isEmailVerified: false }),
    code: "email_unverified",
  },
  {
    name: "import without a password",
    make: ({ server: { kv }, ada }) =>
      kv.change().set(keys.credential(ada.id), { passwordHash: NO_PASSWORD_HASH, changedAtMs: 0 }).commit(),
    code: "password_missing",
  },
];

Deno.test("readSignInReport: says what state of the account keeps the right password out", async (t) => {
  for (const { name, make, code } of states) {
    await t.step(name, async () => {
      const office = await openOffice();
      await using server = office.server;
      await make(office);
      const refused = await server.call(login, { json: { email: office.ada.email, password: PASSWORD } });
      assert.notEqual(refused.status, 200, "the finding is true");
      const answer = await office.report();
      assert.equal(answer.body.can_sign_in, false);
      assert.equal(codesOf(answer)[0], code);
    });
  }
});

Deno.test("readSignInReport: shows wrong passwords with where they came from, and the limit with its end", async () => {
  const { server, ada, report } = await openOffice({ THROTTLE_LOGIN: "3/1m" });
  await using _ = server;
  const startedMs = server.clock.nowMs;
  for (let guesses = 0; guesses < 3; guesses++) {
    const answer = await server.call(login, { json: { email: ada.email, password: "wrong" }, ip: ELSEWHERE });
    assert.equal(answer.status, 401);
    server.clock.nowMs += SECOND_MS;
  }
  const answer = await report();
  assert.deepEqual(codesOf(answer), ["limit_in_force", "password_wrong_lately"]);
  assert.equal(answer.body.can_sign_in, true);
  const { attempts, limits } = answer.body;
  const failed = attempts.filter(({ type }: { type: string }) => type === "sign_in_failed");
  assert.deepEqual(
    failed.map(({ cause, ip }: { cause: string; ip: string }) => [cause, ip]),
    Array(3).fill(["password_wrong", ELSEWHERE]),
  );
  const endsAt = new Date(startedMs + MINUTE_MS).toISOString();
  assert.deepEqual(limits, [
    { policy: "login", scope: "account", ip: null, ends_at: endsAt },
    { policy: "login", scope: "network", ip: ELSEWHERE, ends_at: endsAt },
  ]);

  await proveEnd(server, ada, Date.parse(endsAt));
  assert.deepEqual((await report()).body.limits, []);
});

/** The second that the report names admits, and the one before it does not. */
async function proveEnd(server: TestServer, ada: Person, endsAtMs: number): Promise<void> {
  const json = { email: ada.email, password: PASSWORD };
  server.clock.nowMs = endsAtMs - 1;
  assert.equal((await server.call(login, { json, ip: ELSEWHERE })).status, 429);
  server.clock.nowMs = endsAtMs;
  assert.equal((await server.call(login, { json, ip: ELSEWHERE })).status, 200);
  server.clock.nowMs += 2 * MINUTE_MS;
}

/** Each asks for the `nth` time for what the `limits` count: they are six an hour then, and all others off. */
const asked: readonly {
  name: string;
  ask(office: Office, nth: number): Promise<unknown>;
  limits: readonly (readonly [policy: string, scope: string, ip: string | null])[];
}[] = [
  {
    name: "requests of the account",
    ask: ({ server, ada }) => server.call(readMe, { token: ada.accessToken }),
    limits: [["user", "account", null]],
  },
  {
    name: "wrong current passwords",
    ask: ({ server, ada: { accessToken: token } }) =>
      server.call(changePassword, {
        token,
        json: { current_password: "wrong", new_password: "seven-otters-paddle-41" },
      }),
    limits: [["password", "account", null]],
  },
  {
    name: "wrong passwords from where the owner signs in",
    ask: ({ server, ada: { email } }) =>
      server.call(login, { json: { email, password: "wrong" }, ip: ADA_IP }),
    limits: [["login", "account", ADA_IP], ["login", "network", ADA_IP]],
  },
  {
    name: "resets of the address, from anywhere",
    ask: ({ server, ada: { email } }, nth) =>
      server.call(requestPasswordReset, { json: { email }, ip: `198.18.0.${nth}` }),
    limits: [["mail", "address", null], ["password_reset", "address", null]],
  },
  {
    name: "resets of anybody, from the network",
    ask: ({ server }, nth) =>
      server.call(requestPasswordReset, { json: { email: `p${nth}@example.org` }, ip: ADA_IP }),
    limits: [["password_reset", "network", ADA_IP]],
  },
  {
    name: "codes of anybody, from the network",
    ask: ({ server }) =>
      server.call(verifyOtp, {
        json: { challenge_id: newId(server.clock.nowMs), code: "000000" },
        ip: ADA_IP,
      }),
    limits: [["otp", "network", ADA_IP]],
  },
  {
    name: "requests of nobody, from the network",
    ask: ({ server }) => server.call(verifyToken, { json: { token: "junk" }, ip: ADA_IP }),
    limits: [["anonymous", "network", ADA_IP]],
  },
];

Deno.test("readSignInReport: shows each limit for whom it counts", async (t) => {
  for (const { name, ask, limits } of asked) {
    await t.step(name, async () => {
      const own = limits.map(([policy]) => [`THROTTLE_${policy.toUpperCase()}`, "6/1h"]);
      const office = await openOffice({ ...UNLIMITED, ...Object.fromEntries(own), ACCESS_TOKEN_TTL: "12h" });
      await using _ = office.server;
      // What the sign-up took is free again.
      office.server.clock.nowMs += HOUR_MS;
      for (let nth = 1; nth <= 6; nth++) await ask(office, nth);
      const { body } = await office.report();
      const shown = body.limits.map(({ policy, scope, ip }: Record<string, unknown>) => [policy, scope, ip]);
      assert.deepEqual(shown.toSorted(), limits);
    });
  }
});

Deno.test("readSignInReport: shows a code mail that waits, one that is dead, and codes that are long", async () => {
  const { server, ada, report } = await openOffice({ ACCESS_TOKEN_TTL: "12h" });
  await using _ = server;
  // Mails of one millisecond have no order.
  server.clock.nowMs += 1;
  await server.call(requestPasswordReset, { json: { email: ada.email } });
  server.clock.nowMs += 2 * MINUTE_MS;
  const waiting = await report();
  assert.deepEqual(codesOf(waiting), ["mail_waiting"]);
  assert.deepEqual([waiting.body.mails[0].kind, waiting.body.mails[0].state], [
    "password_reset_code",
    "queued",
  ]);

  server.clock.nowMs += HOUR_MS;
  await server.mails();
  const dead = await report();
  assert.deepEqual(codesOf(dead), ["mail_dead"]);

  const subject = server.deps.secrets.mac("guesses", ada.id);
  const nowMs = server.clock.nowMs;
  const window = { stampsMs: [nowMs], counts: [10], expiresAtMs: nowMs + 24 * HOUR_MS };
  await server.kv.change().set(keys.window("guesses", subject), window).commit();
  assert.equal((await report()).body.long_codes_until, new Date(nowMs + 24 * HOUR_MS).toISOString());
});

Deno.test("readSignInReport: shows attempts of this account only, at most twenty, and no secret", async () => {
  const { server, ada, report } = await openOffice({ THROTTLE_LOGIN: "off", THROTTLE_PASSWORD_RESET: "off" });
  await using _ = server;
  const bob = await signUp(server, { email: "bob@example.org", ip: ELSEWHERE });
  for (let round = 0; round < 12; round++) {
    server.clock.nowMs += SECOND_MS;
    await server.call(login, { json: { email: ada.email, password: "canary-pass" } });
    await server.call(login, { json: { email: bob.email, password: "canary-pass" } });
    await startReset(server, ada.email);
  }
  const code = await server.codeFor(ada.email);
  const { body, text } = await report();
  assert.equal(body.attempts.length, 20);
  assert(body.attempts.every(({ user_id }: { user_id: string }) => user_id === ada.id));
  const sorted = body.attempts.map(({ id }: { id: string }) => id).toSorted().toReversed();
  assert.deepEqual(body.attempts.map(({ id }: { id: string }) => id), sorted);
  for (
    const secret of ["canary-pass", PASSWORD, code, bob.id, ada.accessToken, ada.refreshToken, ada.email]
  ) {
    assert(!text.includes(secret), secret);
  }
});

Deno.test("readSignInReport: is for admins, and of accounts that are there", async () => {
  const { server, ada } = await openOffice();
  await using _ = server;
  const params = { user_id: ada.id };
  const asUser = await server.call(readSignInReport, { params, token: ada.accessToken });
  assert.deepEqual([asUser.status, asUser.body.code], [403, "role_insufficient"]);
  assert.equal((await server.call(readSignInReport, { params })).body.code, "token_missing");
  await makeAdmin(server, ada);
  const promoted = await signIn(server, ada);
  const missing = { user_id: UNKNOWN_ID };
  const gone = await server.call(readSignInReport, { params: missing, token: promoted.accessToken });
  assert.equal(gone.body.code, "user_not_found");
});
