// The end of an account against everything that goes on at the same moment, and against how much there is to clear.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import {
  confirmAccountDeletion,
  readMe,
  requestAccountDeletion,
  requestEmailChange,
  updateMe,
} from "../openapi/account.ts";
import { createNote, updateNote } from "../openapi/notes.ts";
import { changePassword } from "../openapi/passwords.ts";
import { login, refreshTokens } from "../openapi/sessions.ts";
import { newId } from "../src/id.ts";
import { runJobs } from "../src/jobs.ts";
import { digest } from "../src/secrets.ts";
import { OPERATOR } from "../src/store/client.ts";
import { removeUser } from "../src/store/deletion.ts";
import { keys } from "../src/store/keys.ts";
import { insertNote } from "../src/store/notes.ts";
import { addSession } from "../src/store/sessions.ts";
import { findUser, replaceUser } from "../src/store/users.ts";
import { assertGone, furnish, NEW_EMAIL, NOTE } from "./belongings.ts";
import { type Answer, HOUR_MS, PASSWORD, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { type Person, signIn, signUp } from "./person.ts";
import { collectBrokenInvariants } from "./store_invariants.ts";
import { watchKv } from "./watched_kv.ts";

const ADA = "ada@example.org";
const NEW_PASSWORD = "granite-otter-58";

/** Asks for the deletion, and gives what confirms it. */
async function begin(server: TestServer, { accessToken: token, email }: Person): Promise<unknown> {
  const { status, body, text } = await server.call(requestAccountDeletion, { token });
  assert.equal(status, 202, text);
  return { challenge_id: body.challenge_id, code: await server.codeFor(email) };
}

function confirm(server: TestServer, { accessToken: token }: Person, proof: unknown): Promise<Answer> {
  return server.call(confirmAccountDeletion, { token, json: proof });
}

/** What is under way when the account is deleted by an admin: admitted, decided, and about to be written. */
const latecomers: readonly {
  readonly route: RouteConfig;
  readonly json: (server: TestServer, ada: Person) => unknown;
  readonly problem: string;
}[] = [
  { route: createNote, json: () => ({ title: NOTE }), problem: "token_invalid" },
  { route: updateNote, json: () => ({ body: NOTE }), problem: "note_not_found" },
  { route: updateMe, json: () => ({ username: "Ada.L2" }), problem: "token_invalid" },
  {
    route: login,
    json: (_, { email, password }) => ({ email, password }),
    problem: "credentials_invalid",
  },
  {
    route: refreshTokens,
    json: (_, { refreshToken }) => ({ refresh_token: refreshToken }),
    problem: "refresh_token_invalid",
  },
  {
    route: changePassword,
    json: (_, { password }) => ({ current_password: password, new_password: NEW_PASSWORD }),
    problem: "password_invalid",
  },
  {
    route: requestEmailChange,
    json: (_, { password }) => ({ new_email: NEW_EMAIL, current_password: password }),
    problem: "token_invalid",
  },
  { route: requestAccountDeletion, json: () => ({}), problem: "token_invalid" },
  { route: confirmAccountDeletion, json: begin, problem: "otp_expired" },
];

Deno.test("account deletion: what was under way at that moment fails, and leaves nothing behind", async (t) => {
  for (const { route, json, problem } of latecomers) {
    await t.step(route.operationId ?? "", async () => {
      const watched = watchKv();
      await using server = await startServer({ env: UNLIMITED, wrapKv: watched.wrap });
      const ada = await signUp(server, { username: "Ada.L" });
      const token = ada.accessToken;
      const note = await server.call(createNote, { token, json: { title: NOTE } });
      const input = { token, params: { note_id: note.body.id }, json: await json(server, ada) };
      watched.beforeNextCommit(async () => {
        assert.equal(await removeUser(server.deps, ada.id, OPERATOR), "removed");
      });
      const answer = await server.call(route, input);
      assert.equal(answer.body.code, problem, answer.text);
      await assertGone(server, {
        ada,
        traces: [ada.id, ADA, digest(ADA), NEW_EMAIL, "Ada.L", "ada.l", NOTE],
      });
    });
  }
});

Deno.test("account deletion: a request that was about to be counted leaves no count behind", async (t) => {
  const counted: readonly [RouteConfig, json?: unknown][] = [
    [readMe],
    [changePassword, { current_password: PASSWORD, new_password: NEW_PASSWORD }],
  ];
  for (const [route, json] of counted) {
    await t.step(route.operationId ?? "", async () => {
      const watched = watchKv();
      await using server = await startServer({ wrapKv: watched.wrap });
      const ada = await signUp(server);
      watched.beforeNextCommit(async () => {
        assert.equal(await removeUser(server.deps, ada.id, OPERATOR), "removed");
      });
      await server.call(route, { token: ada.accessToken, json });
      await server.mails();
      await runJobs(server.deps);
      assert.deepEqual(await collectBrokenInvariants(server.db), []);
    });
  }
});

/** What another request of the owner writes between the deletion's reading and its commit. */
const predecessors: readonly {
  readonly name: string;
  readonly act: (server: TestServer, ada: Person) => Promise<unknown>;
}[] = [
  {
    name: "a new username",
    act: ({ deps }, { id }) => replaceUser(deps, id, { username: "countess" }, OPERATOR),
  },
  { name: "a sign-in", act: (server, ada) => signIn(server, ada) },
  { name: "a note", act: ({ deps }, { id }) => insertNote(deps, id, { title: NOTE, body: null }) },
];

Deno.test("confirmAccountDeletion: takes along what came a moment before it", async (t) => {
  for (const { name, act } of predecessors) {
    await t.step(name, async () => {
      const watched = watchKv();
      await using server = await startServer({ env: UNLIMITED, wrapKv: watched.wrap });
      const ada = await signUp(server, { username: "Ada.L" });
      const proof = await begin(server, ada);
      watched.beforeNextCommit(() => act(server, ada));
      assert.equal((await confirm(server, ada, proof)).status, 204);
      await assertGone(server, { ada, traces: [ada.id, ADA, "Ada.L", "ada.l", "countess", NOTE] });
    });
  }
});

Deno.test("account deletion: nothing that goes on in parallel survives it, or keeps it from ending", async () => {
  await using server = await startServer({ env: { ...UNLIMITED, FREE_NOTES: "100000" } });
  const owner = await furnish(server);
  const { ada, elsewhere } = owner;
  const { accessToken: token, email, password } = ada;
  const proof = await begin(server, ada);
  let refreshToken = elsewhere.refreshToken;
  const lives: (() => Promise<Answer>)[] = [
    () => server.call(createNote, { token, json: { title: NOTE } }),
    () => server.call(login, { json: { email, password } }),
    async () => {
      const answer = await server.call(refreshTokens, { json: { refresh_token: refreshToken } });
      refreshToken = answer.body.refresh_token ?? refreshToken;
      return answer;
    },
    () => server.call(updateMe, { token, json: { username: "Ada.L" } }),
    () =>
      server.call(requestEmailChange, { token, json: { new_email: NEW_EMAIL, current_password: password } }),
  ];
  // Each goes on until it is refused.
  const ends = lives.map(async (live) => {
    let answer = await live();
    while (answer.status < 300) answer = await live();
    return answer.body.code;
  });
  await Promise.all(lives.map((live) => live()));
  assert.equal((await confirm(server, ada, proof)).status, 204);
  const gone = ["token_invalid", "credentials_invalid", "refresh_token_invalid", "password_invalid"];
  for (const end of await Promise.all(ends)) assert(gone.includes(end), end);
  await assertGone(server, owner);
});

Deno.test("account deletion: of an account with 5,000 notes, 50 sessions and 500 used tokens", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const owner = await furnish(server);
  const { ada } = owner;
  await hoard(server, ada.id);
  assert.equal((await confirm(server, ada, await begin(server, ada))).status, 204);
  await server.mails();
  assert.deepEqual(await collectBrokenInvariants(server.db, { nowMs: server.clock.nowMs }), []);
});

Deno.test("account deletion: the jobs finish however many were cut off", async () => {
  await using server = await startServer({ env: UNLIMITED });
  for (let step = 0; step < 3; step++) {
    const change = server.kv.change();
    for (let accounts = 0; accounts < 100; accounts++) {
      const userId = newId(server.clock.nowMs);
      change.set(keys.noteCount(userId), { count: 0, newestIdMs: 0 });
      change.set(keys.tombstone(userId), { userId, addressHash: userId });
    }
    await change.commit();
  }
  await runJobs(server.deps);
  assert.deepEqual(await collectBrokenInvariants(server.db), []);
});

/** Writes past every rule and limit, since nobody wants to wait for five thousand requests. */
async function hoard({ kv, deps, clock }: TestServer, userId: string): Promise<void> {
  const user = await findUser(kv, userId);
  assert(user);
  for (let step = 0; step < 25; step++) {
    const change = kv.change();
    for (let notes = 0; notes < 200; notes++) {
      const id = newId(clock.nowMs);
      const times = { createdAtMs: clock.nowMs, updatedAtMs: clock.nowMs };
      change.set(keys.note(userId, id), { id, title: NOTE, body: null, ...times });
    }
    await change.set(keys.noteCount(userId), { count: 5_003, newestIdMs: clock.nowMs }).commit();
  }
  for (let sessions = 0; sessions < 48; sessions++) {
    const change = kv.change();
    const client = {
      address: "192.0.2.1",
      networkHash: `network${sessions}`,
      userAgent: null,
      requestId: "r",
    };
    addSession(deps, change, { user: user.value, client });
    await change.commit();
  }
  // More than one step of them has expired, is not swept yet, and comes first.
  for (const [name, expiresAtMs] of [["a", clock.nowMs], ["b", clock.nowMs + HOUR_MS]] as const) {
    const change = kv.change();
    for (let tokens = 0; tokens < 250; tokens++) {
      change.set(keys.usedRefreshToken(userId, `${name}${tokens}`), {
        userId,
        sessionId: userId,
        rotatedAtMs: clock.nowMs,
        successorNonce: "",
        successorExpiresAtMs: expiresAtMs,
        expiresAtMs,
      });
    }
    await change.commit();
  }
}
