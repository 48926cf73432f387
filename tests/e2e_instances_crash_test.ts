// kill -9 of one server after the other, and of the store that they share, while people use all of them. What was
// answered with yes holds, nothing is half done, and only what was down at that moment may have failed.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import { createNote, readNote } from "../openapi/notes.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { readReadiness } from "../openapi/service.ts";
import { login, refreshTokens } from "../openapi/sessions.ts";
import { type Cluster, type ClusterInput, codeFor, startCluster } from "./cluster.ts";
import { type Answer, PASSWORD } from "./harness.ts";
import { eventually } from "./process.ts";
import { settleStore } from "./store_settling.ts";
import { openStore } from "./store_server.ts";

/** People who use the servers at once. */
const ACTORS = 6;
/** Answers before each kill, and with the victim down. */
const STEPS_BEFORE = 60;
const STEPS_WITHOUT = 15;
/** A mail that a killed server was about to send waits for the end of its lease: nobody here does. */
const CODE_WAIT_MS = 3_000;

/** What the servers have said yes to. */
interface Ledger {
  readonly registered: string[];
  readonly accounts: string[];
  readonly notes: { readonly email: string; readonly id: string }[];
}

interface World {
  readonly cluster: Cluster;
  readonly ledger: Ledger;
  /** Requests that were answered. */
  steps: number;
  lives: number;
  kills: number;
  isVictimDown: boolean;
  isOver: boolean;
}

/** No answer, or none but that the store is away. */
class Interrupted extends Error {}

Deno.test("instances: what was answered holds after kill -9 of each of them, and of the store", async () => {
  await using cluster = await startCluster();
  const ledger: Ledger = { registered: [], accounts: [], notes: [] };
  const world: World = {
    cluster,
    ledger,
    steps: 0,
    lives: 0,
    kills: 0,
    isVictimDown: false,
    isOver: false,
  };
  const actors = Array.from({ length: ACTORS }, () => act(world));
  const killer = killOneAfterTheOther(world).finally(() => world.isOver = true);
  await Promise.all([killer, ...actors]);

  await Promise.all(ledger.accounts.map((email, at) => checkAccount(world, email, at)));
  for (const server of cluster.servers) assert.equal(await server.stop(), 0);
  assert.deepEqual(await settleStore(await openStore(cluster.store.url), cluster.settings), []);
  for (const email of ledger.registered) {
    const copies = cluster.receiver.received.filter(({ recipients }) => recipients.includes(email));
    const codes = copies.filter(({ headers }) => headers.get("subject")?.startsWith("Confirm"));
    const messageIds = new Set(codes.map(({ headers }) => headers.get("message-id")));
    assert.equal(messageIds.size, 1, `${codes.length} mails to ${email}`);
  }
  // Otherwise the test has shown little.
  for (const [what, list] of Object.entries(ledger)) assert(list.length >= 20, `Only ${list.length} ${what}`);
});

async function killOneAfterTheOther(world: World): Promise<void> {
  const { cluster } = world;
  const servers = cluster.servers.map((_, number) => ({
    kill: () => cluster.servers[number]?.kill(),
    restart: () => cluster.restart(number),
    stepsWithout: STEPS_WITHOUT,
  }));
  // Without the store nothing is answered.
  const store = { kill: cluster.store.kill, restart: cluster.store.start, stepsWithout: 0 };
  for (const { kill, restart, stepsWithout } of [...servers.slice(0, 2), store, ...servers.slice(2)]) {
    await stepsFrom(world, STEPS_BEFORE);
    world.isVictimDown = true;
    world.kills++;
    await kill();
    await stepsFrom(world, stepsWithout);
    await restart();
    await eventually("all are ready", async () => {
      const answers = await cluster.callAll(readReadiness);
      return answers.every(({ status }) => status === 200);
    });
    world.isVictimDown = false;
  }
  await stepsFrom(world, STEPS_BEFORE);
}

async function stepsFrom(world: World, count: number): Promise<void> {
  const start = world.steps;
  await eventually(() => `${count} steps; ${world.steps - start} so far`, () => world.steps - start >= count);
}

/** One life after the other, each at several servers; one that is interrupted is left as it is. */
async function act(world: World): Promise<void> {
  while (!world.isOver) {
    try {
      await live(world, world.lives++);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
    }
  }
}

async function live(world: World, life: number): Promise<void> {
  const { ledger, cluster } = world;
  const email = `person-${life}@example.org`;
  const challenge = await ask(world, life, register, { json: { email, password: PASSWORD } }, 202);
  ledger.registered.push(email);
  const code = await codeFor(cluster, email, { limitMs: CODE_WAIT_MS }).catch(() => {
    throw new Interrupted();
  });
  const json = { challenge_id: challenge.body.challenge_id, code };
  const confirmed = await ask(world, life + 1, verifyOtp, { json }, 201);
  ledger.accounts.push(email);
  const refreshed = await ask(
    world,
    life + 2,
    refreshTokens,
    { json: { refresh_token: confirmed.body.refresh_token } },
    200,
  );
  for (let note = 0; note < 3; note++) {
    const token = refreshed.body.access_token;
    const written = await ask(world, life + note, createNote, { token, json: { title: "Milk" } }, 201);
    ledger.notes.push({ email, id: written.body.id });
  }
}

/** Throws Interrupted when there is no answer or a 503, which is a fault unless something was down meanwhile. */
async function ask(
  world: World,
  at: number,
  route: RouteConfig,
  input: ClusterInput,
  expected: number,
): Promise<Answer> {
  const { kills, isVictimDown } = world;
  const wasDown = (): boolean => isVictimDown || world.kills > kills;
  try {
    const answer = await world.cluster.call(at, route, input);
    if (answer.status === 503 && wasDown()) throw new Interrupted();
    assert.equal(answer.status, expected, answer.text);
    world.steps++;
    return answer;
  } catch (error) {
    if (error instanceof TypeError && wasDown()) throw new Interrupted();
    throw error;
  }
}

async function checkAccount({ cluster, ledger }: World, email: string, at: number): Promise<void> {
  const signedIn = await cluster.call(at, login, { json: { email, password: PASSWORD } });
  assert.equal(signedIn.status, 200, `${email}: ${signedIn.text}`);
  const token = signedIn.body.access_token;
  for (const { id } of ledger.notes.filter((note) => note.email === email)) {
    const note = await cluster.call(at, readNote, { token, params: { note_id: id } });
    assert.equal(note.status, 200, `${email}: ${note.text}`);
  }
}
