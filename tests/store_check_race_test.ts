// A check beside a server that goes on writing: what happens after records were read, and before they are examined, looks
// wrong and is not taken for a fault. What is wrong stays one.

import assert from "node:assert/strict";
import {
  confirmEmailChange,
  requestAccountDeletion,
  requestEmailChange,
  updateMe,
} from "../openapi/account.ts";
import { deleteNote, listNotes } from "../openapi/notes.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { refreshTokens } from "../openapi/sessions.ts";
import { OPERATOR } from "../src/store/client.ts";
import { removeUser } from "../src/store/deletion.ts";
import { hashEmail, keys } from "../src/store/keys.ts";
import type { Key, Kv } from "../src/store/kv.ts";
import { insertNote } from "../src/store/notes.ts";
import { replaceUser } from "../src/store/users.ts";
import { checkStore } from "../src/store_check/check.ts";
import { createRuleExaminer, type Suspect } from "../src/store_check/examiner.ts";
import { rulesByKind } from "../src/store_check/kinds.ts";
import { createNoteCountExaminer } from "../src/store_check/notes.ts";
import { createServiceExaminer } from "../src/store_check/service.ts";
import { walkStore } from "../src/store_check/walk.ts";
import { HOUR_MS, PASSWORD } from "./harness.ts";
import { remove } from "./store_check_account_damages.ts";
import { openScene, requireRecord, type Scene } from "./store_check_scene.ts";

/** By name: prepares something, and returns what then happens all at once. */
const acts: Readonly<
  Record<string, (scene: Scene) => (() => Promise<unknown>) | Promise<() => Promise<unknown>>>
> = {
  "a username changes": ({ server, owner: { ada: { accessToken: token } } }) => () =>
    server.call(updateMe, { token, json: { username: "countess" } }),
  async "an address changes"({ server, owner: { ada: { accessToken: token } } }) {
    const email = "countess@example.org";
    const asked = await server.call(requestEmailChange, {
      token,
      json: { new_email: email, current_password: PASSWORD },
    });
    const json = { challenge_id: asked.body.challenge_id, code: await server.codeFor(email) };
    return () => server.call(confirmEmailChange, { token, json });
  },
  async "a registration is confirmed"({ server }) {
    const email = "second@example.org";
    const pending = await server.call(register, { json: { email, username: "second", password: PASSWORD } });
    const json = { challenge_id: pending.body.challenge_id, code: await server.codeFor(email) };
    return () => server.call(verifyOtp, { json });
  },
  "a challenge is replaced": ({ server, owner: { ada: { accessToken: token } } }) => () =>
    server.call(requestAccountDeletion, { token, json: {} }),
  "a refresh token is exchanged": ({ server, owner: { ada } }) => () =>
    server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } }),
  async "the last note is deleted"({ server, owner: { ada: { accessToken: token } } }) {
    const { body } = await server.call(listNotes, { token });
    const ids: string[] = body.data.map(({ id }: { readonly id: string }) => id);
    const deleteOne = (id = ""): Promise<unknown> =>
      server.call(deleteNote, { token, params: { note_id: id } });
    await deleteOne(ids.pop());
    return () => Promise.all(ids.map(deleteOne));
  },
  "a mail leaves": ({ server }) => async () => {
    server.clock.nowMs += HOUR_MS;
    await server.mails();
  },
  "an account is disabled": ({ server, owner: { ada } }) => () =>
    replaceUser(server.deps, ada.id, { status: "disabled" }, OPERATOR),
  "an admin comes": ({ server, bob }) => () => replaceUser(server.deps, bob.id, { role: "admin" }, OPERATOR),
  "an account is deleted": ({ server, owner: { ada } }) => () => removeUser(server.deps, ada.id, OPERATOR),
};

for (const [name, prepare] of Object.entries(acts)) {
  Deno.test(`store check: no false alarm when ${name} meanwhile`, async () => {
    await using scene = await openScene();
    const suspects = await walkDuring(scene, await prepare(scene));
    assert.notEqual(suspects.length, 0, "something looked wrong");
    for (const suspect of suspects) {
      assert.deepEqual(await suspect.lookAgain(), [], suspect.faults.join("; "));
    }
    assert.deepEqual(await walkDuring(scene, () => Promise.resolve()), []);
  });
}

Deno.test("store check: tells only of what is wrong when looked at again, though it goes on changing", async () => {
  await using scene = await openScene();
  const { server: { clock, deps }, db, owner: { ada }, bob } = scene;
  await remove(db, keys.userIdByEmail(hashEmail(bob.email)));
  let isOver = false;
  const rename = async (userId: string): Promise<number> => {
    let rounds = 0;
    for (; !isOver; rounds++) {
      const patch = { username: `${userId.slice(-8)}-${rounds}` };
      assert.equal((await replaceUser(deps, userId, patch, OPERATOR)).outcome, "changed");
    }
    return rounds;
  };
  const living = Promise.all([ada.id, bob.id].map(rename));
  try {
    const { faults } = await checkStore(db, { nowMs: () => clock.nowMs });
    assert.deepEqual(faults, [`users/${bob.id} is not found by its address`]);
  } finally {
    isOver = true;
    for (const rounds of await living) assert(rounds > 50, `${rounds} changes`);
  }
});

const DISTURBANCES = 3;

/** Looks of several reads, and what happens between those. */
const looks: Readonly<
  Record<
    string,
    (scene: Scene, disturb: (kind: string, act: () => Promise<unknown>) => Kv) => Promise<Suspect[]>
  >
> = {
  async "a record and the others that it must agree with"({ server: { deps }, db, bob }, disturb) {
    const record = await requireRecord(db, keys.user(bob.id));
    let rounds = 0;
    const kv = disturb("users", () => replaceUser(deps, bob.id, { username: `bob-${rounds++}` }, OPERATOR));
    await replaceUser(deps, bob.id, { username: "robert" }, OPERATOR);
    return await createRuleExaminer(kv, rulesByKind).examine([record]);
  },
  async "notes and their count"({ server: { deps }, db, owner: { ada } }, disturb) {
    const record = await requireRecord(db, keys.noteCount(ada.id));
    const write = (): Promise<unknown> => insertNote(deps, ada.id, { title: "Milk", body: null });
    await write();
    const kv = disturb("notes", write);
    return await createNoteCountExaminer(kv).examine([record]);
  },
  async "active admins and their count"({ server: { deps }, bob }, disturb) {
    const roles = ["admin", "user"] as const;
    let rounds = 0;
    const kv = disturb("users", () => replaceUser(deps, bob.id, { role: roles[rounds++ % 2] }, OPERATOR));
    return await createServiceExaminer(kv).conclude?.() ?? [];
  },
};

for (const [name, look] of Object.entries(looks)) {
  Deno.test(`store check: sees ${name} as they were at one moment`, async () => {
    await using scene = await openScene();
    const { kv } = scene.server;
    let disturbances = 0;
    const suspects = await look(scene, (kind, act) => {
      /** Acts after each of the first few readings of the kind. */
      const disturbed = async <Result>({ path }: Key<unknown>, reading: Promise<Result>): Promise<Result> => {
        const result = await reading;
        if (path[0] === kind && disturbances++ < DISTURBANCES) await act();
        return result;
      };
      return {
        ...kv,
        find: (key) => disturbed(key, kv.find(key)),
        collect: (prefix, options) => disturbed(prefix, kv.collect(prefix, options)),
      };
    });
    for (const suspect of suspects) {
      assert.deepEqual(await suspect.lookAgain(), [], suspect.faults.join("; "));
    }
    assert(disturbances >= DISTURBANCES, "something happened in between");
  });
}

/** What a walk suspects when `act` happens between its first reading and its look at what was read. */
async function walkDuring({ server: { clock }, db }: Scene, act: () => Promise<unknown>): Promise<Suspect[]> {
  let isDone = false;
  const walk = walkStore(db, {
    nowMs: () => clock.nowMs,
    sweepMs: Infinity,
    async onPage() {
      if (isDone) return;
      isDone = true;
      await act();
    },
  });
  return await Array.fromAsync(walk);
}
