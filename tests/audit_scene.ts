// What the tests of the audit trail share: a server with two admins and a person, one request of somebody, and the events
// that an admin then sees.

import assert from "node:assert/strict";
import { listAuditEvents } from "../openapi/audit.ts";
import type { AuditType } from "../src/store/audit_event.ts";
import { type Answer, type CallInput, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { createFaultyKv, type FaultyKv } from "./faulty_kv.ts";
import { makeAdmin, type Person, signUp } from "./person.ts";
import { type WatchedKv, watchKv } from "./watched_kv.ts";

/** From where whatever is told of happens. */
export const IP = "203.0.113.9";
export const USER_AGENT = "Telescope/2";
export const FROM: Pick<CallInput, "ip" | "headers"> = { ip: IP, headers: { "user-agent": USER_AGENT } };

export interface Scene extends AsyncDisposable {
  readonly server: TestServer;
  readonly watched: WatchedKv;
  readonly faulty: FaultyKv;
  readonly ada: Person;
  readonly admin: Person;
  /** Another admin, who only looks. */
  readonly auditor: Person;
}

/** An event as an admin sees it. */
export interface AuditEventView {
  readonly id: string;
  readonly type: AuditType;
  readonly actor_kind: string;
  readonly actor_id: string | null;
  readonly user_id: string | null;
  readonly cause: string | null;
  readonly details: Readonly<Record<string, string>>;
  readonly ip: string | null;
  readonly user_agent: string | null;
  readonly request_id: string | null;
  readonly created_at: string;
}

/** All limits are off unless `env` says otherwise. */
export async function openScene(env: Readonly<Record<string, string>> = {}): Promise<Scene> {
  const [watched, faulty] = [watchKv(), createFaultyKv()];
  const server = await startServer({
    env: { ...UNLIMITED, ...env },
    wrapKv: (kv) => faulty.wrap(watched.wrap(kv)),
  });
  const ada = await signUp(server, { username: "ada" });
  const admin = await signUp(server, { email: "root@example.org" });
  const auditor = await signUp(server, { email: "auditor@example.org" });
  for (const person of [admin, auditor]) await makeAdmin(server, person);
  await server.mails();
  return { server, watched, faulty, ada, admin, auditor, [Symbol.asyncDispose]: server[Symbol.asyncDispose] };
}

/** Every event that a list has, newest first, read in pages. */
export async function listEvents(
  { server, auditor }: Pick<Scene, "server" | "auditor">,
  query: Readonly<Record<string, string>> = {},
): Promise<AuditEventView[]> {
  const events: AuditEventView[] = [];
  let cursor: string | null = null;
  do {
    const page: Answer = await server.call(listAuditEvents, {
      token: auditor.accessToken,
      query: { ...query, ...(cursor === null ? {} : { cursor }) },
    });
    assert.equal(page.status, 200, page.text);
    events.push(...page.body.data);
    cursor = page.body.next_cursor;
  } while (cursor !== null);
  return events;
}
