// The store breaks down at one commit after the other, with the commit or without it, while an account comes to be,
// moves to another address or ends: nothing ever happens by half, and whoever tries again gets there.

import assert from "node:assert/strict";
import {
  confirmAccountDeletion,
  confirmEmailChange,
  readMe,
  requestAccountDeletion,
  requestEmailChange,
} from "../openapi/account.ts";
import { createNote } from "../openapi/notes.ts";
import { verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { login, refreshTokens } from "../openapi/sessions.ts";
import { runJobs } from "../src/jobs.ts";
import { digest } from "../src/secrets.ts";
import { keys } from "../src/store/keys.ts";
import { collectSessions } from "../src/store/sessions.ts";
import { assertGone, furnish, NOTE } from "./belongings.ts";
import { type Breakdown, createFaultyKv } from "./faulty_kv.ts";
import { type Answer, MINUTE_MS, PASSWORD, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { type Person, signIn, signUp } from "./person.ts";
import { collectBrokenInvariants } from "./store_invariants.ts";

const ADA = "ada@example.org";
const NEW = "ada@lovelace.example";

const breakdowns: readonly (Omit<Breakdown, "at"> & { readonly name: string })[] = [
  { name: "the store is gone from one call on", among: "calls" },
  { name: "the answer to a commit is lost", isWritten: true },
];

/** One request that the breakdown meets. */
interface Trial {
  readonly request: () => Promise<Answer>;
  /** A restart and a minute later: tries again, and sees that it ends well. */
  readonly review: () => Promise<void>;
}

/** By operation: its status when all goes well, and what it takes. */
const trials: readonly {
  readonly name: string;
  readonly status: number;
  readonly prepare: (server: TestServer) => Promise<Trial>;
}[] = [
  {
    name: "register",
    status: 202,
    prepare(server) {
      const request = (): Promise<Answer> =>
        server.call(register, { json: { email: ADA, password: PASSWORD, name: "Ada" } });
      const review = async (): Promise<void> => {
        const json = await proofOf(server, await request(), ADA);
        assert.equal((await server.call(verifyOtp, { json })).status, 201);
      };
      return Promise.resolve({ request, review });
    },
  },
  {
    name: "verifyOtp",
    status: 201,
    async prepare(server) {
      const pending = await server.call(register, {
        json: { email: ADA, password: PASSWORD, username: "ada" },
      });
      const json = await proofOf(server, pending, ADA);
      const request = (): Promise<Answer> => server.call(verifyOtp, { json });
      const review = async (): Promise<void> => {
        const isThere = await canSignIn(server, ADA);
        assert.equal((await request()).status, isThere ? 410 : 201);
        assert(await canSignIn(server, ADA));
      };
      return { request, review };
    },
  },
  {
    name: "requestEmailChange",
    status: 202,
    async prepare(server) {
      const ada = await signUp(server);
      const request = (): Promise<Answer> => startChange(server, ada);
      const review = async (): Promise<void> => {
        const json = await proofOf(server, await request(), NEW);
        const { status } = await server.call(confirmEmailChange, { token: ada.accessToken, json });
        assert.equal(status, 200);
      };
      return { request, review };
    },
  },
  {
    name: "confirmEmailChange",
    status: 200,
    async prepare(server) {
      const ada = await signUp(server, { username: "ada" });
      const json = await proofOf(server, await startChange(server, ada), NEW);
      const request = (): Promise<Answer> =>
        server.call(confirmEmailChange, { token: ada.accessToken, json });
      const review = async (): Promise<void> => {
        const isChanged = await canSignIn(server, NEW);
        assert.equal(await canSignIn(server, ADA), !isChanged);
        assert.equal((await request()).status, isChanged ? 410 : 200);
        assert.deepEqual([await canSignIn(server, NEW), await canSignIn(server, ADA)], [true, false]);
      };
      return { request, review };
    },
  },
  {
    name: "requestAccountDeletion",
    status: 202,
    async prepare(server) {
      const { accessToken: token } = await signUp(server);
      const request = (): Promise<Answer> => server.call(requestAccountDeletion, { token });
      const review = async (): Promise<void> => {
        const json = await proofOf(server, await request(), ADA);
        assert.equal((await server.call(confirmAccountDeletion, { token, json })).status, 204);
      };
      return { request, review };
    },
  },
  {
    name: "confirmAccountDeletion",
    status: 204,
    async prepare(server) {
      const owner = await furnish(server);
      const { accessToken: token } = owner.ada;
      const json = await proofOf(server, await server.call(requestAccountDeletion, { token }), ADA);
      const request = (): Promise<Answer> => server.call(confirmAccountDeletion, { token, json });
      const review = async (): Promise<void> => {
        const isThere = await canSignIn(server, ADA);
        assert.equal((await request()).status, isThere ? 204 : 401);
        assert(!await canSignIn(server, ADA));
        await assertGone(server, owner);
      };
      return { request, review };
    },
  },
];

function startChange(server: TestServer, { accessToken: token }: Person): Promise<Answer> {
  const json = { new_email: NEW, current_password: PASSWORD };
  return server.call(requestEmailChange, { token, json });
}

/** What an answered challenge takes: its id, and the code that was mailed. */
async function proofOf(server: TestServer, { status, body, text }: Answer, email: string): Promise<unknown> {
  assert.equal(status, 202, text);
  return { challenge_id: body.challenge_id, code: await server.codeFor(email) };
}

async function canSignIn(server: TestServer, email: string): Promise<boolean> {
  // From a network of its own, so that it counts under no limit of the trial.
  const { status, text } = await server.call(login, {
    json: { email, password: PASSWORD },
    ip: "203.0.113.200",
  });
  assert([200, 401].includes(status), text);
  return status === 200;
}

for (const { name, status, prepare } of trials) {
  for (const breakdown of breakdowns) {
    Deno.test(`${name}: all or nothing when ${breakdown.name}, and trying again ends well`, async () => {
      let at = 0;
      for (let hasStruck = true; hasStruck;) {
        at++;
        const faults = createFaultyKv();
        await using server = await startServer({ wrapKv: faults.wrap });
        const { request, review } = await prepare(server);
        faults.breakDown({ ...breakdown, at });
        const answer = await request();
        hasStruck = faults.repair();
        assert(answer.status === status || hasStruck && answer.status === 503, answer.text);
        await server.restart();
        await assertWhole(server);
        server.clock.nowMs += MINUTE_MS;
        await review();
        await assertWhole(server);
      }
      assert(at > 2, "there was something to break down");
    });
  }
}

async function assertWhole(server: TestServer): Promise<void> {
  await server.mails();
  await runJobs(server.deps);
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
}

Deno.test("account deletion: once it is decided nobody is let in, though nothing is cleared away yet", async () => {
  const faults = createFaultyKv();
  await using server = await startServer({ env: UNLIMITED, wrapKv: faults.wrap });
  const owner = await furnish(server);
  const { ada, reset } = owner;
  const { accessToken: token } = ada;
  const json = await proofOf(server, await server.call(requestAccountDeletion, { token }), ADA);
  // The first commit decides; the second would begin to clear away.
  faults.breakDown({ at: 2 });
  assert.equal((await server.call(confirmAccountDeletion, { token, json })).status, 204);
  assert(faults.repair());
  assert.equal((await server.kv.find(keys.noteCount(ada.id))).value?.count, 3, "it is still there");
  assert.deepEqual(await collectSessions(server.kv, ada.id), [], "but for the sessions");
  assert.match(server.logged.join("\n"), /deletion to be resumed/);

  assert.equal((await server.call(readMe, { token })).status, 401);
  assert.equal((await server.call(createNote, { token, json: { title: NOTE } })).status, 401);
  const refreshed = await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
  assert.equal(refreshed.body.code, "refresh_token_invalid");
  assert(!await canSignIn(server, ADA));
  assert.equal((await server.call(verifyPasswordResetOtp, { json: reset })).status, 410);

  // Somebody else may move in already, and is not cleared away with it.
  const next = await signUp(server, { username: "Ada.L" });
  await server.call(createNote, { token: next.accessToken, json: { title: "Mine" } });
  // The jobs are cut off as well, again and again.
  for (let at = 1, hasStruck = true; hasStruck; at++) {
    faults.breakDown({ at, among: "calls" });
    await runJobs(server.deps);
    hasStruck = faults.repair();
  }
  assert.equal((await server.call(readMe, { token: next.accessToken })).body.username, "Ada.L");
  await signIn(server, next);
  const theirs = [ADA, digest(ADA), "ada.l", "Ada.L"];
  await assertGone(server, { ...owner, traces: owner.traces.filter((trace) => !theirs.includes(trace)) });
});
