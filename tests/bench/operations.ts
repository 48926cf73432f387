// What is measured of the server. Each operation is asked the way clients ask it, and every answer must be the one that
// was asked for: a refusal is quick, and would look like speed.

import type { RouteConfig } from "@hono/zod-openapi";
import { readMe } from "../../openapi/account.ts";
import { listAuditEvents } from "../../openapi/audit.ts";
import { createNote, listNotes } from "../../openapi/notes.ts";
import { register } from "../../openapi/registration.ts";
import { login, refreshTokens } from "../../openapi/sessions.ts";
import { readSignInReport } from "../../openapi/sign_in_report.ts";
import { listUsers, updateUser } from "../../openapi/users.ts";
import { type CallInput, PASSWORD } from "../harness.ts";
import { type BenchAnswer, connect, type Connection, encodeRequest } from "./connection.ts";
import type { LimitName } from "./machine_limits.ts";
import type { Lane } from "./measure.ts";
import { COMMON_PREFIX, LANES_MAX, type People, type Person, teamPrefix } from "./people.ts";

export interface Operation {
  readonly name: string;
  /** What it cannot do without, and so never be faster than. */
  readonly limit: LimitName;
  readonly ask: (connection: Connection, turn: Turn) => Promise<void>;
}

/** One request of a lane. */
interface Turn {
  readonly people: People;
  readonly lane: number;
  /** Which of its requests it is, from 0. */
  readonly number: number;
}

/**
 * In the order in which they are measured, so that each finds the same: the server's memory as it is after the start at
 * the first, the one event of each resident at the report.
 */
export const OPERATIONS: readonly Operation[] = [
  {
    name: "login",
    limit: "argon2id",
    async ask(connection, turn) {
      await call(connection, login, { json: { email: oneOf("visitors", turn).email, password: PASSWORD } });
    },
  },
  {
    name: "login, wrong password",
    limit: "argon2id",
    async ask(connection, turn) {
      const json = { email: oneOf("visitors", turn).email, password: `${PASSWORD}!` };
      await call(connection, login, { json }, 401);
    },
  },
  {
    name: "readMe",
    limit: "ed25519",
    async ask(connection, turn) {
      await call(connection, readMe, { token: oneOf("residents", turn).accessToken });
    },
  },
  {
    name: "refreshTokens",
    limit: "kvCommit",
    async ask(connection, turn) {
      const person = oneOf("residents", turn);
      const answer = await call(connection, refreshTokens, {
        json: { refresh_token: person.refreshToken },
      });
      person.refreshToken = JSON.parse(answer.text()).refresh_token;
    },
  },
  {
    name: "createNote",
    limit: "kvCommit",
    async ask(connection, turn) {
      const json = { title: "Shopping", body: "Bread, butter, and something green." };
      await call(connection, createNote, { token: oneOf("residents", turn).accessToken, json }, 201);
    },
  },
  {
    name: "listNotes",
    limit: "ed25519",
    async ask(connection, turn) {
      await call(connection, listNotes, { token: oneOf("residents", turn).accessToken });
    },
  },
  {
    name: "listUsers",
    limit: "ed25519",
    async ask(connection, turn) {
      await call(connection, listUsers, { token: oneOf("admins", turn).accessToken });
    },
  },
  {
    name: "listUsers, search",
    limit: "ed25519",
    async ask(connection, turn) {
      const query = { q: teamPrefix(turn.lane) };
      await call(connection, listUsers, { token: oneOf("admins", turn).accessToken, query });
    },
  },
  {
    // Of a million more fit than are looked at: the one thing that grows.
    name: "listUsers, 1 in 10 fits",
    limit: "ed25519",
    async ask(connection, turn) {
      const query = { q: COMMON_PREFIX };
      await call(connection, listUsers, { token: oneOf("admins", turn).accessToken, query });
    },
  },
  {
    name: "listAuditEvents",
    limit: "ed25519",
    async ask(connection, turn) {
      await call(connection, listAuditEvents, { token: oneOf("admins", turn).accessToken });
    },
  },
  {
    name: "readSignInReport",
    limit: "ed25519",
    async ask(connection, turn) {
      const params = { user_id: oneOf("residents", turn).id };
      await call(connection, readSignInReport, { token: oneOf("admins", turn).accessToken, params });
    },
  },
  {
    name: "updateUser, plan",
    limit: "kvCommit",
    async ask(connection, turn) {
      const person = oneOf("visitors", turn);
      person.plan = person.plan === "free" ? "premium" : "free";
      await call(connection, updateUser, {
        token: oneOf("admins", turn).accessToken,
        params: { user_id: person.id },
        json: { plan: person.plan },
      });
    },
  },
  {
    name: "register",
    limit: "argon2id",
    async ask(connection) {
      const json = { email: `${crypto.randomUUID()}@example.org`, password: PASSWORD };
      await call(connection, register, { json }, 202);
    },
  },
];

/** A lane with a connection of its own, which asks for `operation` at the server on `port`. */
export async function openLane(
  { port, people }: { readonly port: number; readonly people: People },
  { ask }: Operation,
  lane: number,
): Promise<Lane> {
  const connection = await connect(port);
  let number = 0;
  return {
    ask: () => ask(connection, { people, lane, number: number++ }),
    [Symbol.dispose]: () => connection[Symbol.dispose](),
  };
}

/** Each lane has people of its own: two requests at once are never of the same person. */
function oneOf(group: keyof People, { people, lane, number }: Turn): Person {
  const person = people[group][(lane + number * LANES_MAX) % people[group].length];
  if (!person) throw new Error("There is nobody");
  return person;
}

async function call(
  connection: Connection,
  { method, path, operationId }: RouteConfig,
  { token, json, params = {}, query }: Omit<CallInput, "headers" | "ip">,
  status = 200,
): Promise<BenchAnswer> {
  const target = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params[name] ?? "");
  const answer = await connection.ask(encodeRequest({
    method,
    path: query ? `${target}?${new URLSearchParams(query)}` : target,
    ...(token === undefined ? {} : { token }),
    ...(json === undefined ? {} : { json }),
  }));
  if (answer.status !== status) throw new Error(`${operationId} answered ${answer.status}: ${answer.text()}`);
  return answer;
}
