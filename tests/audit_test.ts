// The audit trail, act by act: exactly what happened is told, once, with who, whom, when, from where and in which request,
// whatever becomes of the commit.

import assert from "node:assert/strict";
import { AuditEvent } from "../openapi/audit.ts";
import { accountActs } from "./audit_account_acts.ts";
import type { Act, Plan, Told } from "./audit_acts.ts";
import { limitActs } from "./audit_limit_acts.ts";
import { operatorActs, readTrail } from "./audit_operator_acts.ts";
import {
  type AuditEventView,
  FROM,
  IP,
  listEvents,
  openScene,
  type Scene,
  USER_AGENT,
} from "./audit_scene.ts";
import { signInActs } from "./audit_sign_in_acts.ts";
import type { Answer } from "./harness.ts";
import { createSite } from "./process.ts";
import { requireTask } from "./tool_run.ts";

const acts = [...signInActs, ...accountActs, ...limitActs];

/** The one request, from a place that nobody else is at. */
function perform({ server }: Scene, { route, input }: Plan): Promise<Answer> {
  return server.call(route, { ...FROM, ...input });
}

/** What is in the trail besides. */
async function eventsSince(scene: Scene, before: readonly AuditEventView[]): Promise<AuditEventView[]> {
  const known = new Set(before.map(({ id }) => id));
  return (await listEvents(scene)).filter(({ id }) => !known.has(id));
}

/** Events of one moment in two chains have no order. */
function sorted(events: readonly Omit<AuditEventView, "id">[]): Omit<AuditEventView, "id">[] {
  return events.toSorted((a, b) => orderOf(a) < orderOf(b) ? -1 : 1);
}

function orderOf({ type, cause, user_id, details }: Omit<AuditEventView, "id">): string {
  return JSON.stringify([type, cause, user_id, details]);
}

function eventOf(
  { isWiped = false, ...told }: Told,
  { headers }: Answer,
  atMs: number,
): Omit<AuditEventView, "id"> {
  return {
    ...told,
    ip: isWiped ? null : IP,
    user_agent: isWiped ? null : USER_AGENT,
    request_id: headers.get("x-request-id"),
    created_at: new Date(atMs).toISOString(),
  };
}

/** Performs an act, and sees that exactly what it should is told. */
async function prove(
  { status, env, plan }: Act,
  { isLosing }: { readonly isLosing: boolean },
): Promise<readonly Told[]> {
  await using scene = await openScene(env);
  const { server: { clock }, watched } = scene;
  const planned = await plan(scene);
  // Mails of one millisecond have no order.
  clock.nowMs += 1;
  const before = await listEvents(scene);
  watched.isLosing = isLosing;
  const answer = await perform(scene, planned);
  watched.isLosing = false;
  assert.equal(answer.status, status, answer.text);
  const told = typeof planned.told === "function" ? await planned.told(answer) : planned.told;
  assert.deepEqual(
    sorted((await eventsSince(scene, before)).map(({ id: _, ...event }) => event)),
    sorted(told.map((event) => eventOf(event, answer, clock.nowMs))),
  );
  return told;
}

Deno.test("audit: every type of event comes about as the tables say, and is told as it was", async (t) => {
  const seen = new Set<string>();
  for (const act of acts) {
    await t.step(act.name, async () => {
      for (const { type } of await prove(act, { isLosing: false })) seen.add(type);
    });
  }
  await using site = await createSite();
  let before = 0;
  for (const { task, args, stdin, told } of await operatorActs(site)) {
    await t.step([task, ...args.map((arg) => arg.replace(site.folder, ""))].join(" "), async () => {
      const expected = told(await requireTask(site, task, args, stdin === undefined ? {} : { stdin }));
      const { events, userIds } = await readTrail(site, expected);
      for (const { type } of expected) seen.add(type);
      const { length } = events;
      if (task === "restore") before = length - expected.length;
      assert.deepEqual(
        events.slice(before).map((
          { type, actorKind, actorId, userId, cause, details, requestId, origin },
        ) => (
          { type, actorKind, actorId, userId, cause, details, requestId, origin }
        )),
        expected.map(({ type, details = {} }, index) => ({
          type,
          actorKind: "operator",
          actorId: null,
          userId: userIds[index],
          cause: null,
          details,
          requestId: null,
          origin: null,
        })),
      );
      before = length;
    });
  }
  await t.step("none is missing", () => {
    assert.deepEqual([...seen].sort(), [...AuditEvent.shape.type.options].sort());
  });
});

Deno.test("audit: what has to be written anew because others were faster is told once", async (t) => {
  for (const act of acts) await t.step(act.name, async () => void await prove(act, { isLosing: true }));
});

Deno.test("audit: an act and its events are written both or not at all, though nobody hears of it", async (t) => {
  for (const act of acts.filter(({ isRace }) => !isRace)) {
    await t.step(act.name, async () => {
      for (const isWritten of [false, true]) {
        await using scene = await openScene(act.env);
        const planned = await act.plan(scene);
        const isSilent = Array.isArray(planned.told) && planned.told.length === 0;
        if (isSilent) return;
        const before = await listEvents(scene);
        scene.faulty.breakDown({ at: 1, isWritten });
        const answer = await perform(scene, planned);
        assert(scene.faulty.repair());
        assert.equal(answer.status, 503, answer.text);
        const told = await eventsSince(scene, before);
        assert.equal(told.length > 0, isWritten, told.map(({ type }) => type).join());
      }
    });
  }
});

Deno.test("audit: a request that a limit refuses writes nothing", async (t) => {
  for (const { name, env, plan } of limitActs) {
    await t.step(name, async () => {
      await using scene = await openScene(env);
      const planned = await plan(scene);
      await perform(scene, planned);
      const before = await listEvents(scene);
      const commits = scene.watched.commits;
      assert.equal((await perform(scene, planned)).status, 429);
      assert.equal(scene.watched.commits, commits);
      assert.deepEqual(await eventsSince(scene, before), []);
    });
  }
});
