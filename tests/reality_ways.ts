// How each answer of the document is brought about: a line for each operation and answer, but for the successes that
// stand in operations.ts already, and for what goes wrong everywhere in the same manner (reality_turns.ts).

import assert from "node:assert/strict";
import { requestAccountDeletion } from "../openapi/account.ts";
import { refreshTokens } from "../openapi/sessions.ts";
import { updateUser } from "../openapi/users.ts";
import { createHasher } from "../src/hasher.ts";
import { createMailboxMailer } from "../src/mail/mailbox.ts";
import { OPERATOR } from "../src/store/client.ts";
import { buryMail, claimMail, collectDueMails } from "../src/store/mail_claims.ts";
import { addMail } from "../src/store/mails.ts";
import { replaceUser } from "../src/store/users.ts";
import { MINUTE_MS, PASSWORD, SECOND_MS, UNKNOWN_ID } from "./harness.ts";
import { NOTICE } from "./mail_setup.ts";
import { rows } from "./operations.ts";
import { makeAdmin, overwriteUser, type Person, startReset } from "./person.ts";
import { type Ask, METRICS_TOKEN, type Stage } from "./reality_stage.ts";

/** Sets the stage, and gives the request that the answer is due to. */
export type Way = (stage: Stage) => Ask | Promise<Ask>;

const NEWCOMER = { email: "bob@example.org", password: PASSWORD };

/**
 * Operation → answer → how it comes about. The answer is a status, with the code of a problem, or with the media type
 * or schema where there are several; `: …` tells several ways to one answer apart.
 */
export const ways: Readonly<Record<string, Readonly<Record<string, Way>>>> = {
  register: {
    "409 username_taken": async ({ server, ada }) => {
      await replaceUser(server.deps, ada.id, { username: "ada" }, OPERATOR);
      return { json: { ...NEWCOMER, username: "ADA" } };
    },
    "503 unavailable: no room for a hash": fullOfHashes({ json: NEWCOMER }),
  },
  resendOtp: {
    "410 otp_expired": () => ({ json: { challenge_id: UNKNOWN_ID } }),
    "429 rate_limited: too early": async ({ server, ada }) => ({
      json: { challenge_id: await startReset(server, ada.email) },
    }),
  },
  login: {
    "401 credentials_invalid": () => ({ json: { ...NEWCOMER } }),
    "403 account_disabled": async ({ server, ada }) => {
      await overwriteUser(server, ada, { status: "disabled" });
      return { json: { email: ada.email, password: ada.password } };
    },
    "503 unavailable: no room for a hash": fullOfHashes({ json: NEWCOMER }),
  },
  refreshTokens: {
    "401 refresh_token_invalid": () => ({ json: { refresh_token: "nobody's" } }),
    "401 refresh_token_reused": async ({ server, ada }) => {
      const json = { refresh_token: ada.refreshToken };
      await server.call(refreshTokens, { json });
      server.clock.nowMs += 10 * SECOND_MS;
      return { json };
    },
    "403 account_disabled": async ({ server, ada }) => {
      await overwriteUser(server, ada, { status: "disabled" });
      return { json: { refresh_token: ada.refreshToken } };
    },
  },
  verifyToken: {
    "200 ActiveToken": ({ ada }) => ({ json: { token: ada.accessToken } }),
    "200 InactiveToken": () => ({ json: { token: "nobody's" } }),
  },
  updateMe: {
    "409 username_taken": async ({ server, ada, root }) => {
      await replaceUser(server.deps, root.id, { username: "root" }, OPERATOR);
      return { token: ada.accessToken, json: { username: "ROOT" } };
    },
  },
  requestAccountDeletion: {
    "409 last_admin": ({ root }) => ({ token: root.accessToken, json: {} }),
  },
  confirmAccountDeletion: {
    "409 last_admin": async ({ server, ada, root: { accessToken: token, email } }) => {
      await makeAdmin(server, ada);
      const { body } = await server.call(requestAccountDeletion, { token, json: {} });
      await server.call(updateUser, { token, params: { user_id: ada.id }, json: { role: "user" } });
      return { token, json: { challenge_id: body.challenge_id, code: await server.codeFor(email) } };
    },
  },
  createNote: {
    "409 plan_limit_reached": ({ server, ada, replace }) => {
      replace({ config: { ...server.deps.config, freeNotes: 1 } });
      return { token: ada.accessToken, json: { title: "One more" } };
    },
  },
  updateUser: { "409 last_admin": ({ root }) => ({ ...aboutThemselves(root), json: { role: "user" } }) },
  deleteUser: { "409 last_admin": ({ root }) => aboutThemselves(root) },
  retryMail: {
    "202": async (stage) => ({
      token: stage.root.accessToken,
      params: { mail_id: await addDeadMail(stage) },
      json: {},
    }),
    "404 route_unknown": ({ root }) => ({ token: root.accessToken, params: { mail_id: UNKNOWN_ID } }),
  },
  readHealth: { "200": () => ({}), "500 internal_error": withoutLog },
  readReadiness: { "200": () => ({}), "500 internal_error": withoutLog },
  readMetrics: {
    "200": () => ({ token: METRICS_TOKEN }),
    "404 route_unknown": ({ replace }) => {
      replace({ metrics: null });
      return { token: METRICS_TOKEN };
    },
    "500 internal_error": (stage) => ({ ...withoutLog(stage), token: METRICS_TOKEN }),
  },
  readKeys: { "200": () => ({}) },
  readDocument: { "200": () => ({}), "500 internal_error": withoutLog },
  readDocs: { "200": () => ({}), "500 internal_error": withoutLog },
  readProblem: {
    "200 application/json": () => ({ params: { code: "otp_expired" } }),
    "200 text/html": () => ({ params: { code: "otp_expired" }, headers: { accept: "text/html" } }),
    "404 route_unknown": () => ({ params: { code: "nope" } }),
    "500 internal_error": (stage) => ({ ...withoutLog(stage), params: { code: "otp_expired" } }),
  },
  readMailbox: {
    "200 application/json": withMailbox,
    "200 text/html": async (stage) => ({ ...await withMailbox(stage), headers: { accept: "text/html" } }),
    "404 route_unknown": ({ server, replace }) => {
      replace({ config: { ...server.deps.config, isProduction: true } });
      return {};
    },
  },
};

/** The success of an operation: its first line in `ways`, or its row in operations.ts. */
export function successOf(operationId: string): Way {
  const row = rows.find(({ route, note }) => route.operationId === operationId && note === undefined);
  const success = Object.entries(ways[operationId] ?? {}).find(([answer]) => answer.startsWith("2"))?.[1];
  const way = success ?? row?.ask;
  assert(way, `${operationId} has a row in tests/operations.ts, or a line in tests/reality_ways.ts`);
  return way;
}

function aboutThemselves({ id, accessToken }: Person): Ask {
  return { token: accessToken, params: { user_id: id } };
}

async function addDeadMail({ server: { deps, kv } }: Stage): Promise<string> {
  const change = kv.change();
  const mailId = addMail(deps, change, { to: "ada@example.org", userId: null, content: NOTICE });
  await change.commit();
  const due = (await collectDueMails(kv, 100)).find((mail) => mail.mailId === mailId);
  const claimed = due && await claimMail(kv, due, { leaseMs: MINUTE_MS });
  assert(claimed && await buryMail(kv, claimed, "550 5.1.1 No such mailbox"));
  return mailId;
}

/** A mailbox with a mail in it. */
async function withMailbox({ server }: Stage): Promise<Ask> {
  const [mail] = await server.mails();
  assert(mail && await createMailboxMailer(server.deps).send(mail));
  return {};
}

/** Every place for a hash is taken, and every place to wait for one. */
function fullOfHashes(ask: Ask): Way {
  return async ({ replace }) => {
    replace({ hasher: await createHasher({ runningMax: 0, waitingMax: 0 }) });
    return ask;
  };
}

/** For what asks neither store nor hasher: all that can fail is the log. */
function withoutLog({ server, replace }: Stage): Ask {
  const info = (): never => {
    throw new Error("A fault of ours");
  };
  replace({ log: { ...server.deps.log, info } });
  return {};
}
