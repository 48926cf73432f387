// GET /audit-events: who may look, what the filters find, and that pages neither repeat nor skip anything while the trail
// grows.

import assert from "node:assert/strict";
import { listAuditEvents } from "../openapi/audit.ts";
import { changePassword } from "../openapi/passwords.ts";
import { login, logout } from "../openapi/sessions.ts";
import { updateUser } from "../openapi/users.ts";
import { addAuditEvents, insertAuditEvent } from "../src/store/audit.ts";
import type { AuditType } from "../src/store/audit_event.ts";
import { anyone, OPERATOR } from "../src/store/client.ts";
import { replaceUser } from "../src/store/users.ts";
import { NEW_PASSWORD, STRANGER, WRONG_PASSWORD } from "./audit_acts.ts";
import { type AuditEventView, listEvents, openScene, type Scene } from "./audit_scene.ts";
import { DAY_MS, PASSWORD, type TestServer, UNKNOWN_ID } from "./harness.ts";
import { signIn } from "./person.ts";

const CLIENT = { address: "192.0.2.1", networkHash: "network", userAgent: null, requestId: "request" };

/** Tells of a sign-in that failed, from a network of its own. */
async function tell({ deps }: TestServer, networkHash: string): Promise<void> {
  const actor = anyone({ ...CLIENT, networkHash });
  await insertAuditEvent(deps, { type: "sign_in_failed", actor, userId: null, cause: "account_unknown" });
}

function idsOf(events: readonly Pick<AuditEventView, "id">[]): string[] {
  return events.map(({ id }) => id);
}

Deno.test("listAuditEvents: is for admins only, and refuses others before it looks at the request", async () => {
  await using scene = await openScene();
  const { server, ada, admin } = scene;
  const refusals = async (token?: string): Promise<string> => {
    const codes: unknown[] = [];
    for (const query of [{}, { limit: "0" }, { cursor: "x" }]) {
      const answer = await server.call(listAuditEvents, { query, ...(token === undefined ? {} : { token }) });
      codes.push(answer.body.code);
    }
    return codes.join();
  };
  const thrice = (code: string): string => [code, code, code].join();
  assert.equal(await refusals(), thrice("token_missing"));
  assert.equal(await refusals("a.b.c"), thrice("token_invalid"));
  assert.equal(await refusals(ada.accessToken), thrice("role_insufficient"));
  await replaceUser(server.deps, admin.id, { role: "user" }, OPERATOR);
  assert.equal(await refusals(admin.accessToken), thrice("role_insufficient"));
  await replaceUser(server.deps, admin.id, { status: "disabled" }, OPERATOR);
  assert.equal(await refusals(admin.accessToken), thrice("account_disabled"));
  const seen = await server.call(listAuditEvents, { token: scene.auditor.accessToken });
  assert.deepEqual([seen.status, seen.headers.get("cache-control")], [200, "no-store"]);
});

/** Ada comes, tries, changes and goes; an admin acts on her; a stranger fails. */
async function live({ server, ada, admin }: Scene): Promise<void> {
  const later = (): void => void server.clock.nowMs++;
  for (const email of [ada.email, admin.email, STRANGER]) {
    later();
    await server.call(login, { json: { email, password: WRONG_PASSWORD } });
  }
  later();
  const other = await signIn(server, ada);
  later();
  await server.call(changePassword, {
    token: ada.accessToken,
    json: { current_password: PASSWORD, new_password: NEW_PASSWORD },
  });
  later();
  await server.call(logout, { token: other.accessToken });
  for (const plan of ["premium", "free"]) {
    later();
    const token = admin.accessToken;
    await server.call(updateUser, { token, params: { user_id: ada.id }, json: { plan } });
  }
}

const filters: readonly {
  readonly name: string;
  readonly query: (scene: Scene) => Record<string, string>;
  readonly isWanted: (event: AuditEventView, scene: Scene) => boolean;
  readonly count: number;
}[] = [
  {
    name: "who it happened to",
    query: ({ ada }) => ({ user_id: ada.id }),
    isWanted: ({ user_id }, { ada }) => user_id === ada.id,
    count: 6,
  },
  {
    name: "who did it",
    query: ({ admin }) => ({ user_id: admin.id }),
    isWanted: ({ user_id, actor_id }, { admin }) => [user_id, actor_id].includes(admin.id),
    count: 5,
  },
  {
    name: "nobody that there is",
    query: () => ({ user_id: UNKNOWN_ID }),
    isWanted: () => false,
    count: 0,
  },
  {
    name: "a type",
    query: () => ({ type: "sign_in_failed" }),
    isWanted: ({ type }) => type === "sign_in_failed",
    count: 3,
  },
  {
    name: "a type that did not happen",
    query: () => ({ type: "refresh_token_reused" }),
    isWanted: () => false,
    count: 0,
  },
  {
    name: "an account and a type",
    query: ({ ada }) => ({ user_id: ada.id, type: "plan_changed" }),
    isWanted: ({ type }) => type === "plan_changed",
    count: 2,
  },
];

Deno.test("listAuditEvents: finds, newest first and in pages of any size", async (t) => {
  await using scene = await openScene();
  await live(scene);
  const all = await listEvents(scene);
  assert.deepEqual(idsOf(all), idsOf(all).toSorted().toReversed());
  for (const { name, query, isWanted, count } of filters) {
    await t.step(name, async () => {
      const wanted = idsOf(all.filter((event) => isWanted(event, scene)));
      assert.equal(wanted.length, count);
      for (const limit of ["1", "2", "3", "100"]) {
        assert.deepEqual(idsOf(await listEvents(scene, { ...query(scene), limit })), wanted);
      }
    });
  }
});

Deno.test("listAuditEvents: refuses what it does not know, and a cursor of another list", async (t) => {
  await using scene = await openScene();
  const { server, ada, auditor, admin } = scene;
  await live(scene);
  const token = auditor.accessToken;
  const query = { user_id: ada.id, type: "plan_changed", limit: "1" };
  const { body: { next_cursor: cursor } } = await server.call(listAuditEvents, { token, query });
  const same = { ...query, cursor };
  const rows: readonly { name: string; query: Record<string, string>; pointer: string; token?: string }[] = [
    { name: "a limit of 101", query: { limit: "101" }, pointer: "/query/limit" },
    { name: "an account that is no id", query: { user_id: "ada" }, pointer: "/query/user_id" },
    { name: "a type that there is not", query: { type: "signed_up" }, pointer: "/query/type" },
    { name: "two types in one", query: { type: "signed_in,signed_out" }, pointer: "/query/type" },
    { name: "a filter that there is not", query: { cause: "wrong" }, pointer: "/query/cause" },
    { name: "a cursor that was altered", query: { ...same, cursor: `${cursor}A` }, pointer: "/query/cursor" },
    { name: "a cursor without its filters", query: { cursor }, pointer: "/query/cursor" },
    { name: "a cursor of another type", query: { ...same, type: "role_changed" }, pointer: "/query/cursor" },
    { name: "a cursor of another account", query: { ...same, user_id: admin.id }, pointer: "/query/cursor" },
    { name: "another admin's cursor", query: same, pointer: "/query/cursor", token: admin.accessToken },
  ];
  for (const { name, query, pointer, token: other } of rows) {
    await t.step(name, async () => {
      const answer = await server.call(listAuditEvents, { token: other ?? token, query });
      assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [422, pointer]);
    });
  }
  await t.step("but not its own cursor with another limit", async () => {
    const answer = await server.call(listAuditEvents, { token, query: { ...same, limit: "7" } });
    assert.deepEqual([answer.status, answer.body.data.length], [200, 1]);
  });
});

Deno.test("listAuditEvents: while events are added pages show each older one once", async () => {
  await using scene = await openScene();
  const { server } = scene;
  for (let event = 0; event < 30; event++) await tell(server, `network${event}`);
  const before = idsOf(await listEvents(scene));
  const shown: string[] = [];
  let cursor: string | null = null;
  do {
    const { body } = await server.call(listAuditEvents, {
      token: scene.auditor.accessToken,
      query: { limit: "4", ...(cursor === null ? {} : { cursor }) },
    });
    shown.push(...idsOf(body.data));
    cursor = body.next_cursor;
    server.clock.nowMs++;
    await Promise.all(Array.from({ length: 8 }, (_, index) => tell(server, `late${index}`)));
  } while (cursor !== null);
  assert.equal(new Set(shown).size, shown.length);
  // What comes meanwhile may show, when its chain was behind.
  assert.deepEqual(shown.filter((id) => before.includes(id)), before);
});

Deno.test("listAuditEvents: a page that looked at thousands in vain is short, and leads on", async () => {
  await using scene = await openScene();
  const { server: { kv, deps, clock }, ada, auditor } = scene;
  const token = auditor.accessToken;
  const profileChanged = { type: "profile_changed" as AuditType, actor: OPERATOR, userId: ada.id };
  for (let commit = 0; commit < 60; commit++) {
    const change = kv.change();
    await addAuditEvents(deps, change, Array.from({ length: 100 }, () => profileChanged));
    assert(await change.commit());
  }
  const query = { user_id: ada.id, type: "account_created" };
  const { body } = await scene.server.call(listAuditEvents, { token, query });
  assert.deepEqual(body.data, []);
  assert.notEqual(body.next_cursor, null);
  assert.equal((await listEvents(scene, query)).length, 1);
  // What has ended is not shown, and pages lead past it.
  clock.nowMs += 365 * DAY_MS;
  const again = await signIn(scene.server, auditor);
  const anew = { ...scene, auditor: again };
  assert.deepEqual((await listEvents(anew)).map(({ type }) => type), ["signed_in"]);
});
