// What the audit trail must not show: to whoever reads it a secret, an address or a person's own words; to a stranger,
// by what it costs, whether an address has an account.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import { requestPasswordReset } from "../openapi/passwords.ts";
import { register } from "../openapi/registration.ts";
import { login } from "../openapi/sessions.ts";
import { type AuditEventRecord } from "../src/store/audit_event.ts";
import { hashEmail, keys } from "../src/store/keys.ts";
import { accountActs } from "./audit_account_acts.ts";
import { STRANGER, WRONG_PASSWORD } from "./audit_acts.ts";
import { FROM, IP, listEvents, openScene, type Scene } from "./audit_scene.ts";
import { signInActs } from "./audit_sign_in_acts.ts";
import { furnish } from "./belongings.ts";
import { PASSWORD, startServer, UNLIMITED } from "./harness.ts";
import { collectTraces } from "./store_invariants.ts";

/** Members of bodies that say who somebody is, or prove it. */
const PRIVATE = [
  "email",
  "new_email",
  "password",
  "current_password",
  "new_password",
  "challenge_id",
  "refresh_token",
  "access_token",
  "reset_token",
  "username",
  "name",
];

function privateOf(body: unknown): string[] {
  return Object.entries(body ?? {})
    .filter(([member, value]) => PRIVATE.includes(member) && typeof value === "string")
    .map(([, value]) => value)
    // Shorter ones stand in any hash by chance.
    .filter((value) => value.length > 6);
}

/** Everything of the trail where words could stand. A code of six digits stands in hashes by chance. */
async function wordsOf({ server }: Pick<Scene, "server">): Promise<string> {
  const words: unknown[] = [];
  for await (const { value } of server.db.list<AuditEventRecord>({ prefix: keys.auditEvents().path })) {
    const { type, cause, details, origin } = value;
    const { mail_id: _mail, session_id: _session, ...rest } = details;
    words.push([type, cause, rest, origin?.ip, origin?.userAgent]);
  }
  return JSON.stringify(words);
}

Deno.test("audit: no event holds what somebody typed or was given, whatever they did", async (t) => {
  for (const { name, env, plan } of [...signInActs, ...accountActs]) {
    await t.step(name, async () => {
      await using scene = await openScene(env);
      const { server, ada, admin } = scene;
      const { route, input } = await plan(scene);
      const { body } = await server.call(route, { ...FROM, ...input });
      const { email, accessToken, refreshToken } = ada;
      const secrets = [
        ...privateOf(input.json),
        ...privateOf(body),
        ...[email, admin.email, STRANGER, accessToken, refreshToken, PASSWORD],
        ...[email, admin.email, STRANGER].map(hashEmail),
        ...[email, STRANGER].map((address) => server.deps.secrets.mac("address", address)),
      ];
      const traces = await collectTraces(server.db, secrets);
      assert.deepEqual(traces.filter((trace) => trace.startsWith("audit_")), []);
      const shown = JSON.stringify(await listEvents(scene));
      for (const secret of secrets) assert(!shown.includes(secret), secret);
      const code = Object.entries(input.json ?? {}).find(([member]) => member === "code")?.[1];
      if (code) assert(!(await wordsOf(scene)).includes(code));
    });
  }
});

Deno.test("audit: of an account with something of everything the trail holds ids and where it was, no more", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const { ada, elsewhere, reset, resetToken, traces } = await furnish(server);
  await server.call(login, { json: { email: ada.email, password: WRONG_PASSWORD } });
  const tokens = [ada, elsewhere].flatMap(({ accessToken, refreshToken }) => [accessToken, refreshToken]);
  const found = await collectTraces(server.db, [...traces, ...tokens, reset.challenge_id, resetToken]);
  const inTrail = found.filter((trace) => trace.startsWith("audit_"));
  const isAllowed = (trace: string): boolean => /: ([\da-f-]{36}|Telescope)$/.test(trace);
  assert.deepEqual(inTrail.filter((trace) => !isAllowed(trace)), []);
  assert(inTrail.includes(`audit_events: ${ada.id}`));
});

/** What one request costs the store. */
async function costOf(
  { server, watched }: Scene,
  request: { readonly route: RouteConfig; readonly json: unknown; readonly ip: string },
): Promise<unknown> {
  const { route, json, ip } = request;
  const { reads, commits, operations } = watched;
  await server.call(route, { ...FROM, ip, json });
  const cost = {
    reads: watched.reads - reads,
    commits: watched.commits - commits,
    operations: watched.operations - operations,
  };
  await server.mails();
  return cost;
}

const askings: readonly {
  readonly name: string;
  readonly route: RouteConfig;
  readonly json: (email: string) => Record<string, string>;
  readonly env?: Readonly<Record<string, string>>;
}[] = [
  { name: "login", route: login, json: (email) => ({ email, password: WRONG_PASSWORD }) },
  {
    name: "login with the last permits of network and account",
    route: login,
    json: (email) => ({ email, password: WRONG_PASSWORD }),
    env: { THROTTLE_LOGIN: "1/1m" },
  },
  { name: "requestPasswordReset", route: requestPasswordReset, json: (email) => ({ email }) },
  {
    name: "requestPasswordReset with the last permits of network and address",
    route: requestPasswordReset,
    json: (email) => ({ email }),
    env: { THROTTLE_PASSWORD_RESET: "1/1h" },
  },
  {
    name: "requestPasswordReset beyond the mails of an address",
    route: requestPasswordReset,
    json: (email) => ({ email }),
    env: { THROTTLE_MAIL: "1/1d" },
  },
  { name: "register", route: register, json: (email) => ({ email, password: PASSWORD }) },
];

for (const { name, route, json, env } of askings) {
  Deno.test(`audit: ${name} costs the same whether or not the address has an account`, async () => {
    await using scene = await openScene(env);
    const { server, ada } = scene;
    // Both have had their mails.
    for (const email of env?.THROTTLE_MAIL ? [STRANGER] : []) {
      await server.call(register, { json: { email, password: PASSWORD } });
      await server.mails();
    }
    const unknown = await costOf(scene, { route, json: json(STRANGER), ip: IP });
    const known = await costOf(scene, { route, json: json(ada.email), ip: "198.51.100.4" });
    assert.deepEqual(known, unknown);
  });
}

Deno.test("audit: who else is served at that moment does not tell whether an address has an account", async () => {
  await using scene = await openScene();
  const { server, ada } = scene;
  for (const [email, ip] of [[ada.email, IP], [STRANGER, "198.51.100.4"]] as const) {
    for (let times = 0; times < 30; times++) {
      await server.call(requestPasswordReset, { ...FROM, ip, json: { email } });
    }
    const events = await Array.fromAsync(
      server.db.list<AuditEventRecord>({ prefix: keys.auditEvents().path }),
    );
    const chains = events.filter(({ value }) => value.origin?.ip === ip).map(({ value }) => value.chain);
    // Thirty draws out of sixty-four.
    assert(new Set(chains).size > 10, chains.join());
  }
});
