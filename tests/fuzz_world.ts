// The world that made-up requests meet: a server, somebody signed in and an admin, whatever the answers so far told,
// and a bystander to whom nobody may come near.

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { createNote, readNote } from "../openapi/notes.ts";
import { listSessions } from "../openapi/sessions.ts";
import { resolve } from "./contract_document.ts";
import { type Answer, operations } from "./document_judge.ts";
import { committed } from "./document_schemas.ts";
import { fill, type Request } from "./fuzz_filling.ts";
import { createMemory } from "./fuzz_memory.ts";
import type { Draft, Sender } from "./fuzz_request.ts";
import { PASSWORD, SECOND_MS, startServer } from "./harness.ts";
import { type Person, sessionIdOf, signIn, signUp, signUpAdmin } from "./person.ts";
import { METRICS_TOKEN, settingsFor } from "./reality_stage.ts";

export interface World extends AsyncDisposable {
  /** Fills in what is known, and asks. */
  ask(draft: Draft): Promise<{ readonly request: Request; readonly answer: Answer }>;
  /** Texts that stand in no answer to this sender. */
  secretsFrom(sender: Sender): readonly string[];
  /** Fails when anything of the bystander is not as it was. */
  requireUntouched(): Promise<void>;
}

const CANARY = "canary7f3a";

/** Members of requests that hold a password. */
const passwordNames = operations.flatMap(({ bodySchema }) =>
  Object.entries(bodySchema ? resolve(bodySchema, committed).properties ?? {} : {})
    .filter(([, { format }]) => format === "password").map(([name]) => name)
);

/** A world in which nothing has been asked yet. */
export async function createWorld(): Promise<World> {
  const server = await startServer({ env: settingsFor(1_000_000) });
  const bystander = await signUp(server, {
    email: `${CANARY}@example.org`,
    username: `${CANARY}-name`,
    password: `${CANARY}-password`,
  });
  const note = await server.call(createNote, {
    token: bystander.accessToken,
    json: { title: CANARY, body: CANARY },
  });
  const sessionId = sessionIdOf(bystander);
  const seen = createMemory([CANARY, bystander.id, bystander.accessToken, bystander.refreshToken]);
  seen.plant("note_id", note.body.id);
  seen.plant("session_id", sessionId);
  for (const name of passwordNames) seen.plant(name, PASSWORD);
  const people = new Map<Sender, Person>();
  let made = 0;

  /** The token of somebody who is what `sender` says, whatever earlier requests did to them. */
  async function tokenOf(sender: "user" | "admin"): Promise<string> {
    const person = people.get(sender);
    if (person) {
      const { status, body } = await server.call(readMe, { token: person.accessToken });
      if (status === 200 && body.role === sender) return person.accessToken;
    }
    const email = `${sender}${made++}@example.org`;
    const next = sender === "admin" ? await signUpAdmin(server, email) : await signUp(server, { email });
    people.set(sender, next);
    return next.accessToken;
  }

  async function headersOf({ sender, headers }: Draft): Promise<Record<string, string>> {
    if (sender === "anonymous") return headers;
    if (sender === "operator") return { ...headers, authorization: `Bearer ${METRICS_TOKEN}` };
    if (sender !== "junk token") return { ...headers, authorization: `Bearer ${await tokenOf(sender)}` };
    const junk = [
      "Bearer a.b.c",
      "Basic YTpi",
      "Bearer",
      "",
      `Bearer ${await tokenOf("user")}x`,
      "bearer  \u00E9",
    ];
    return { ...headers, authorization: junk[made++ % junk.length] ?? "" };
  }

  return {
    async ask(draft) {
      server.clock.nowMs += SECOND_MS;
      const request = fill(draft, { headers: await headersOf(draft), recall: seen.recall });
      const response = await server.request(request.url, {
        method: request.method,
        headers: request.headers,
        ...request.bytes && { body: request.bytes },
      });
      const { status, headers } = response;
      const answer = { method: request.method, status, headers, text: await response.text() };
      await seen.learn(request.operation, answer, async () => (await server.mails()).at(-1)?.code ?? null);
      return { request, answer };
    },
    secretsFrom(sender) {
      const ofNobodysBusiness = [
        note.body.id,
        bystander.accessToken,
        bystander.refreshToken,
        `${CANARY}-password`,
      ];
      // Admins see accounts, and the ids of sessions in the audit trail.
      return sender === "admin" ? ofNobodysBusiness : [...ofNobodysBusiness, CANARY, bystander.id, sessionId];
    },
    async requireUntouched() {
      // Long enough has passed for the first token to end.
      const { accessToken: token } = await signIn(server, bystander);
      const still = await server.call(readNote, { token, params: { note_id: note.body.id } });
      assert.deepEqual(still.body, note.body);
      const { body } = await server.call(readMe, { token });
      assert.deepEqual([body.username, body.role, body.plan], [`${CANARY}-name`, "user", "free"]);
      const sessions = await server.call(listSessions, { token });
      assert(sessions.body.data.some(({ id }: { readonly id: string }) => id === sessionId));
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
