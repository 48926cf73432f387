// What each operation costs: how often it asks the store, and how often it hashes a password or signs a token. The table
// stands in openapi/performance.md; an extra round trip turns this red.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import {
  confirmAccountDeletion,
  confirmEmailChange,
  exportMe,
  readMe,
  requestAccountDeletion,
  requestEmailChange,
  updateMe,
} from "../openapi/account.ts";
import { listAuditEvents } from "../openapi/audit.ts";
import { routes } from "../openapi/document.ts";
import { listMails } from "../openapi/mails.ts";
import { createNote, deleteNote, listNotes, readNote, updateNote } from "../openapi/notes.ts";
import {
  changePassword,
  confirmPasswordReset,
  requestPasswordReset,
  verifyPasswordResetOtp,
} from "../openapi/passwords.ts";
import { register, resendOtp, verifyOtp } from "../openapi/registration.ts";
import {
  endOtherSessions,
  endSession,
  listSessions,
  login,
  logout,
  refreshTokens,
  verifyToken,
} from "../openapi/sessions.ts";
import { readSignInReport } from "../openapi/sign_in_report.ts";
import { deleteUser, endUserSessions, listUsers, readUser, updateUser } from "../openapi/users.ts";
import { createApp } from "../src/app.ts";
import { OPERATOR } from "../src/store/client.ts";
import { createLimits } from "../src/store/limits.ts";
import { replaceUser } from "../src/store/users.ts";
import { callApp, type CallInput, MINUTE_MS, PASSWORD, startServer, type TestServer } from "./harness.ts";
import { type Person, sessionIdOf, signIn, signUp, startReset, takeResetToken } from "./person.ts";
import { watchKv } from "./watched_kv.ts";

const NEW_EMAIL = "ada@lovelace.example";
const NEW_PASSWORD = "amber-kettle-81";

/** Ada has signed in twice and has a note; Root is an admin. */
interface Scene {
  readonly server: TestServer;
  readonly ada: Person;
  readonly root: Person;
  readonly noteId: string;
}

interface Row {
  readonly route: RouteConfig;
  /** When there is more than one row of the operation. */
  readonly note?: string;
  readonly status?: number;
  /** Brings the operation about up to its request. */
  ask(scene: Scene): Promise<CallInput> | CallInput;
}

/** The signed-in operations that need nothing else. */
function own(route: RouteConfig, input: Omit<CallInput, "token"> = {}): Row {
  return { route, ask: ({ ada }) => ({ ...input, token: ada.accessToken }) };
}

function byAdmin(route: RouteConfig, input: Omit<CallInput, "token" | "params"> = {}): Row {
  const takesId = route.path.includes("{user_id}");
  return {
    route,
    ask: ({ root, ada }) => ({
      ...input,
      token: root.accessToken,
      ...(takesId ? { params: { user_id: ada.id } } : {}),
    }),
  };
}

const rows: readonly Row[] = [
  {
    route: register,
    ask: () => ({ json: { email: "bob@example.org", password: PASSWORD, username: "bob" } }),
  },
  {
    route: verifyOtp,
    async ask({ server }) {
      const { body } = await server.call(register, {
        json: { email: "bob@example.org", password: PASSWORD },
      });
      return { json: { challenge_id: body.challenge_id, code: await server.codeFor("bob@example.org") } };
    },
  },
  {
    route: resendOtp,
    async ask({ server, ada }) {
      const challengeId = await startReset(server, ada.email);
      server.clock.nowMs += MINUTE_MS;
      return { json: { challenge_id: challengeId } };
    },
  },
  { route: login, ask: ({ ada: { email, password } }) => ({ json: { email, password } }) },
  {
    route: login,
    note: "wrong password",
    status: 401,
    ask: ({ ada: { email } }) => ({ json: { email, password: "wrong" } }),
  },
  {
    route: login,
    note: "refused by a limit",
    status: 429,
    async ask({ server, ada: { email } }) {
      const json = { email, password: "wrong" };
      for (let attempts = 0; attempts < 5; attempts++) await server.call(login, { json });
      return { json };
    },
  },
  { route: refreshTokens, ask: ({ ada }) => ({ json: { refresh_token: ada.refreshToken } }) },
  { route: verifyToken, ask: ({ ada }) => ({ json: { token: ada.accessToken } }) },
  own(logout, { json: {} }),
  own(listSessions),
  {
    route: endSession,
    ask: ({ ada }) => ({ token: ada.accessToken, params: { session_id: sessionIdOf(ada) } }),
  },
  own(endOtherSessions),
  { route: requestPasswordReset, ask: ({ ada: { email } }) => ({ json: { email } }) },
  {
    route: verifyPasswordResetOtp,
    async ask({ server, ada: { email } }) {
      const challengeId = await startReset(server, email);
      return { json: { challenge_id: challengeId, code: await server.codeFor(email) } };
    },
  },
  {
    route: confirmPasswordReset,
    ask: async ({ server, ada: { email } }) => ({
      json: { reset_token: await takeResetToken(server, email), new_password: NEW_PASSWORD },
    }),
  },
  own(changePassword, { json: { current_password: PASSWORD, new_password: NEW_PASSWORD } }),
  own(readMe),
  own(updateMe, { json: { name: "Countess of Lovelace" } }),
  own(requestEmailChange, { json: { new_email: NEW_EMAIL, current_password: PASSWORD } }),
  {
    route: confirmEmailChange,
    async ask({ server, ada: { accessToken: token, password } }) {
      const json = { new_email: NEW_EMAIL, current_password: password };
      const { body } = await server.call(requestEmailChange, { token, json });
      return { token, json: { challenge_id: body.challenge_id, code: await server.codeFor(NEW_EMAIL) } };
    },
  },
  own(exportMe),
  own(requestAccountDeletion, { json: {} }),
  {
    route: confirmAccountDeletion,
    async ask({ server, ada: { accessToken: token, email } }) {
      server.clock.nowMs += 1;
      const { body } = await server.call(requestAccountDeletion, { token, json: {} });
      return { token, json: { challenge_id: body.challenge_id, code: await server.codeFor(email) } };
    },
  },
  own(listNotes),
  own(createNote, { json: { title: "A note" } }),
  { route: readNote, ask: ({ ada, noteId }) => ({ token: ada.accessToken, params: { note_id: noteId } }) },
  {
    route: updateNote,
    ask: ({ ada, noteId }) => ({
      token: ada.accessToken,
      params: { note_id: noteId },
      json: { title: "Another" },
    }),
  },
  { route: deleteNote, ask: ({ ada, noteId }) => ({ token: ada.accessToken, params: { note_id: noteId } }) },
  byAdmin(listUsers),
  byAdmin(readUser),
  byAdmin(updateUser, { json: { plan: "premium" } }),
  byAdmin(deleteUser),
  byAdmin(endUserSessions),
  byAdmin(readSignInReport),
  byAdmin(listMails),
  byAdmin(listAuditEvents),
];

/** They ask the store nothing, or need what no request brings about. */
const WITHOUT_ROW = /^(retryMail|read(Health|Readiness|Metrics|Keys|Document|Docs|Problem|Mailbox))$/;

async function setScene(): Promise<Scene> {
  const server = await startServer();
  const root = await signUp(server, { email: "root@example.org", ip: "198.51.100.7" });
  await replaceUser(server.deps, root.id, { role: "admin" }, OPERATOR);
  const ada = await signIn(server, await signUp(server));
  const note = await server.call(createNote, { token: ada.accessToken, json: { title: "A note" } });
  server.clock.nowMs += MINUTE_MS;
  return { server, ada, root: await signIn(server, root), noteId: note.body.id };
}

/** One line of the table: the operation once, on a server that has answered this client before. */
async function measure({ route, note, status, ask }: Row): Promise<string> {
  const scene = await setScene();
  await using server = scene.server;
  const input = await ask(scene);
  await server.mails();
  const watched = watchKv();
  const kv = watched.wrap(server.kv);
  const { deps } = server;
  const { secrets, config, hasher, accessTokens } = deps;
  let hashes = 0;
  let signatures = 0;
  const app = createApp({
    ...deps,
    kv,
    limits: createLimits({ kv, secrets, config }),
    hasher: {
      ...hasher,
      hash: (...args) => (hashes++, hasher.hash(...args)),
      verify: (...args) => (hashes++, hasher.verify(...args)),
    },
    accessTokens: { ...accessTokens, issue: (...args) => (signatures++, accessTokens.issue(...args)) },
  });
  // Permits of a day are taken in blocks by who is busy: after three requests there is one in memory.
  const { token } = input;
  for (let requests = 0; token !== undefined && requests < 3; requests++) {
    await callApp(app, readMe, { token });
  }
  Object.assign(watched, { reads: 0, commits: 0 });
  const answer = await callApp(app, route, input);
  assert(status === undefined ? answer.status < 300 : answer.status === status, answer.text);
  const name = `\`${route.operationId}\`${note ? `, ${note}` : ""}`;
  return `| ${[name, watched.reads, watched.commits, hashes, signatures].join(" | ")} |`;
}

Deno.test("costs: the table of openapi/performance.md is what each operation costs", async () => {
  const lines: string[] = [];
  for (const row of rows) lines.push(await measure(row));
  const page = await Deno.readTextFile(new URL("../openapi/performance.md", import.meta.url));
  const table = page.split("\n").filter((line) => line.startsWith("| `")).map((line) =>
    line.replaceAll(/ +\|/g, " |")
  );
  assert.deepEqual(table, lines);
});

Deno.test("costs: the table has every operation that asks the store", () => {
  const named = new Set(rows.map(({ route }) => route.operationId));
  const missing = routes.map(({ operationId = "" }) => operationId)
    .filter((name) => !named.has(name) && !WITHOUT_ROW.test(name));
  assert.deepEqual(missing, []);
});
