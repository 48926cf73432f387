// The people of a bench: a store with so many accounts, each of which has signed in once, made by the store's own
// functions before the server starts. All have one password, because a million hashes would take hours.

import assert from "node:assert/strict";
import { type AccessTokens, createAccessTokens } from "../../src/access_token.ts";
import { createProgress } from "../../src/cli/progress.ts";
import { readConfig } from "../../src/config.ts";
import { createHasher } from "../../src/hasher.ts";
import { openKeyring } from "../../src/keyring.ts";
import { networkOf } from "../../src/network.ts";
import { createSecrets } from "../../src/secrets.ts";
import type { Client } from "../../src/store/client.ts";
import type { UserRecord } from "../../src/store/keys.ts";
import { createKv } from "../../src/store/kv.ts";
import { openServerStore } from "../../src/store/open.ts";
import { insertSession, type SessionGrant } from "../../src/store/sessions.ts";
import { addUser, type NewUser } from "../../src/store/users.ts";
import { PASSWORD } from "../harness.ts";
import type { Settings } from "../process.ts";
import { createBulkKv } from "./bulk_kv.ts";

/** Somebody whom the bench knows. */
export interface Person {
  readonly id: string;
  readonly email: string;
  readonly accessToken: string;
  /** The newest. */
  refreshToken: string;
  plan: UserRecord["plan"];
}

export interface People {
  readonly admins: readonly Person[];
  /** They stay signed in. */
  readonly residents: readonly Person[];
  /** They sign in time and again, and are changed by admins. */
  readonly visitors: readonly Person[];
}

/** As many ask at once at most: of each group, everybody belongs to one lane. */
export const LANES_MAX = 64;
const RESIDENTS = 7 * LANES_MAX;
const VISITORS = 7 * LANES_MAX;
const KNOWN = LANES_MAX + RESIDENTS + VISITORS;
/** The fewest users that there can be. */
export const USERS_MIN = 1_000;

const NAMES = ["ada", "bob", "cleo", "dora", "emil", "fred", "gina", "hugo", "ida", "jan"] as const;
/** The emails of one person in ten start with it. */
export const COMMON_PREFIX = `${NAMES[0]}.`;

/** The usernames of ten people start with it, however many there are. */
export function teamPrefix(number: number): string {
  return `team-${number}.`;
}

/** Makes the store that `settings` name, with `users` accounts. It must not exist yet. Fails when `signal` says so. */
export async function seedPeople(
  settings: Settings,
  { users, signal }: { readonly users: number; readonly signal: AbortSignal },
): Promise<People> {
  const result = readConfig(settings);
  assert("config" in result && result.config.secretKey, JSON.stringify(result));
  const { config } = result;
  const secrets = createSecrets(result.config.secretKey);
  // A millisecond each, the newest a minute ago; their sessions live for a day.
  let nowMs = Date.now() - 60_000 - users;
  const store = await openServerStore(config.kvPath);
  const progress = createProgress(`Making ${users} users`);
  try {
    const kv = createKv(store.db, () => nowMs);
    const tokens = createAccessTokens(config, await openKeyring(kv, secrets), Date.now);
    const bulk = createBulkKv(kv);
    const deps = { kv: bulk, config, secrets, nowMs: kv.nowMs, wakeOutbox: () => {} };
    const passwordHash = await (await createHasher()).hash(PASSWORD);
    const client: Client = {
      address: "127.0.0.1",
      networkHash: secrets.mac("network", networkOf("127.0.0.1")),
      userAgent: "latchkey-bench",
      requestId: crypto.randomUUID(),
    };
    const known: Person[] = [];
    for (let number = 0; number < users; number++) {
      signal.throwIfAborted();
      nowMs++;
      // Those whom the bench knows are spread evenly.
      const isKnown = number === Math.floor(known.length * users / KNOWN);
      const role = isKnown && known.length < LANES_MAX ? "admin" : "user";
      const grant = await addPerson(deps, { newUser: newUserOf(number, passwordHash), role, client });
      if (isKnown) known.push(await meet(grant, tokens));
      await bulk.flush();
      progress.show(number / users);
    }
    await bulk.settle();
    return {
      admins: known.slice(0, LANES_MAX),
      residents: known.slice(LANES_MAX, LANES_MAX + RESIDENTS),
      visitors: known.slice(LANES_MAX + RESIDENTS),
    };
  } finally {
    progress.clear();
    store.close();
  }
}

async function addPerson(
  deps: Parameters<typeof insertSession>[0],
  { newUser, role, client }: {
    readonly newUser: NewUser;
    readonly role: UserRecord["role"];
    readonly client: Client;
  },
): Promise<SessionGrant> {
  const change = deps.kv.change();
  const user = await addUser(deps.kv, change, { newUser, role });
  assert(user && await change.commit());
  const credential = { passwordHash: newUser.passwordHash, changedAtMs: deps.kv.nowMs() };
  const grant = await insertSession(deps, { user, credential }, client);
  assert(grant);
  return grant;
}

async function meet(
  { user: { id, email, role, plan }, session, plainRefreshToken }: SessionGrant,
  tokens: AccessTokens,
): Promise<Person> {
  const { token: accessToken } = await tokens.issue({
    userId: id,
    sessionId: session.id,
    role,
    sessionEndsAtMs: session.expiresAtMs,
  });
  return { id, email, accessToken, refreshToken: plainRefreshToken, plan };
}

function newUserOf(number: number, passwordHash: string): NewUser {
  const name = NAMES[number % NAMES.length];
  return {
    email: `${name}.${number}@example.org`,
    username: `${teamPrefix(Math.floor(number / NAMES.length))}${name}`,
    name: `${name} ${number}`,
    locale: null,
    passwordHash,
  };
}
