// One request of every operation that asks the store, with all that it needs: for tests that look at what the operations
// have in common.

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
import {
  type CallInput,
  MINUTE_MS,
  PASSWORD,
  type ServerOptions,
  startServer,
  type TestServer,
} from "./harness.ts";
import { makeAdmin, type Person, sessionIdOf, signIn, signUp, startReset, takeResetToken } from "./person.ts";

const NEW_EMAIL = "ada@lovelace.example";
const NEW_PASSWORD = "amber-kettle-81";

/** Ada has signed in twice and has a note; Root is an admin. */
export interface Scene {
  readonly server: TestServer;
  readonly ada: Person;
  readonly root: Person;
  readonly noteId: string;
}

export interface Row {
  readonly route: RouteConfig;
  /** When there is more than one row of the operation. */
  readonly note?: string;
  readonly status?: number;
  /** Brings the operation about up to its request. */
  ask(scene: Scene): Promise<CallInput> | CallInput;
  /** What the same request answers once more, when the first one happened; like the first, unless it says so. */
  readonly again?: string;
}

/** What the request of a signed-in operation takes besides its token. */
type Extras = Omit<CallInput, "token" | "params"> & Pick<Row, "again">;

/** The operations of who is signed in that need nothing else. */
function own(route: RouteConfig, { again, ...input }: Extras = {}): Row {
  return { route, ...(again && { again }), ask: ({ ada }) => ({ ...input, token: ada.accessToken }) };
}

function byAdmin(route: RouteConfig, { again, ...input }: Extras = {}): Row {
  const takesId = route.path.includes("{user_id}");
  return {
    route,
    ...(again && { again }),
    ask: ({ root, ada }) => ({
      ...input,
      token: root.accessToken,
      ...(takesId ? { params: { user_id: ada.id } } : {}),
    }),
  };
}

export const rows: readonly Row[] = [
  {
    route: register,
    ask: () => ({ json: { email: "bob@example.org", password: PASSWORD, username: "bob" } }),
  },
  {
    route: verifyOtp,
    again: "410 otp_expired",
    async ask({ server }) {
      const { body } = await server.call(register, {
        json: { email: "bob@example.org", password: PASSWORD },
      });
      return { json: { challenge_id: body.challenge_id, code: await server.codeFor("bob@example.org") } };
    },
  },
  {
    route: resendOtp,
    again: "429 rate_limited",
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
  own(logout, { json: {}, again: "401 token_invalid" }),
  own(listSessions),
  {
    route: endSession,
    again: "401 token_invalid",
    ask: ({ ada }) => ({ token: ada.accessToken, params: { session_id: sessionIdOf(ada) } }),
  },
  own(endOtherSessions),
  { route: requestPasswordReset, ask: ({ ada: { email } }) => ({ json: { email } }) },
  {
    route: verifyPasswordResetOtp,
    again: "410 otp_expired",
    async ask({ server, ada: { email } }) {
      const challengeId = await startReset(server, email);
      return { json: { challenge_id: challengeId, code: await server.codeFor(email) } };
    },
  },
  {
    route: confirmPasswordReset,
    again: "410 otp_expired",
    ask: async ({ server, ada: { email } }) => ({
      json: { reset_token: await takeResetToken(server, email), new_password: NEW_PASSWORD },
    }),
  },
  own(changePassword, {
    json: { current_password: PASSWORD, new_password: NEW_PASSWORD },
    again: "401 password_invalid",
  }),
  own(readMe),
  own(updateMe, { json: { name: "Countess of Lovelace" } }),
  own(requestEmailChange, { json: { new_email: NEW_EMAIL, current_password: PASSWORD } }),
  {
    route: confirmEmailChange,
    again: "410 otp_expired",
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
    again: "401 token_invalid",
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
  {
    route: deleteNote,
    again: "404 note_not_found",
    ask: ({ ada, noteId }) => ({ token: ada.accessToken, params: { note_id: noteId } }),
  },
  byAdmin(listUsers),
  byAdmin(readUser),
  byAdmin(updateUser, { json: { plan: "premium" } }),
  byAdmin(deleteUser, { again: "404 user_not_found" }),
  byAdmin(endUserSessions),
  byAdmin(readSignInReport),
  byAdmin(listMails),
  byAdmin(listAuditEvents),
];

/** What a scene was when it was set, but for its server. */
interface Picture extends Omit<Scene, "server"> {
  readonly entries: readonly Deno.KvEntry<unknown>[];
  readonly nowMs: number;
}

/** By the environment. Setting a scene hashes four passwords, and there are hundreds of them. */
const pictures = new Map<string, Promise<Picture>>();

/** Everybody is there, and a minute has passed. Nothing of it is in the server's memory. */
export async function setScene(options: ServerOptions = {}): Promise<Scene> {
  const id = JSON.stringify(options.env);
  const picture = pictures.get(id) ?? takePicture(options.env);
  pictures.set(id, picture);
  const { entries, nowMs, ...people } = await picture;
  const server = await startServer({ ...options, entries });
  server.clock.nowMs = nowMs;
  return { server, ...people };
}

async function takePicture(env: ServerOptions["env"] = {}): Promise<Picture> {
  await using server = await startServer({ env });
  const root = await signUp(server, { email: "root@example.org", ip: "198.51.100.7" });
  await makeAdmin(server, root);
  const ada = await signIn(server, await signUp(server));
  const note = await server.call(createNote, { token: ada.accessToken, json: { title: "A note" } });
  server.clock.nowMs += MINUTE_MS;
  return {
    ada,
    root: await signIn(server, root),
    noteId: note.body.id,
    entries: await Array.fromAsync(server.db.list({ prefix: [] })),
    nowMs: server.clock.nowMs,
  };
}
