// What a check says of each damage, in exactly these sentences; that it tells of each thing once, and of no address; and
// what mends itself.

import assert from "node:assert/strict";
import { updateMe } from "../openapi/account.ts";
import { keys } from "../src/store/keys.ts";
import { checkStore } from "../src/store_check/check.ts";
import { rulesByKind } from "../src/store_check/kinds.ts";
import { createShares } from "../src/store_check/share.ts";
import { accountDamages, remove } from "./store_check_account_damages.ts";
import { otherDamages } from "./store_check_other_damages.ts";
import { collectAll, findFaults, openScene, withDamage } from "./store_check_scene.ts";

Deno.test("store check: says of each damage what is wrong, and nothing else", async (t) => {
  await using scene = await openScene();
  assert.deepEqual(await findFaults(scene), []);
  for (const [name, act] of Object.entries({ ...accountDamages, ...otherDamages })) {
    await t.step(name, async () => {
      let expected: readonly string[] = [];
      await withDamage(
        scene,
        async () => expected = await act(scene),
        (faults) => {
          assert.deepEqual(faults, expected.toSorted());
          assert.doesNotMatch(faults.join("\n"), /@|Infinity|undefined/);
        },
      );
    });
  }
  assert.deepEqual(await findFaults(scene), [], "every damage was undone");
});

Deno.test("store check: tells of the first hundred faults, and counts the rest", async () => {
  await using scene = await openScene();
  const { server: { clock }, db } = scene;
  for (let index = 0; index < 150; index++) {
    await db.set(keys.credential(`nobody-${index}`).path, { passwordHash: "$" });
  }
  let recordCount = 0;
  for await (const _ of db.list({ prefix: [] })) recordCount++;
  const report = await checkStore(db, { nowMs: () => clock.nowMs });
  assert.equal(report.faultCount, 150);
  assert.equal(new Set(report.faults).size, 100);
  assert.equal(report.recordCount, recordCount);
});

Deno.test("store check: what searching misses comes back when its user changes", async () => {
  await using scene = await openScene();
  const { server, db, owner: { ada } } = scene;
  await remove(db, keys.userByText(ada.email, ada.id));
  assert.equal((await findFaults(scene)).length, 1);
  const answer = await server.call(updateMe, { token: ada.accessToken, json: { name: "Ada" } });
  assert.equal(answer.status, 200);
  assert.deepEqual(await findFaults(scene), []);
});

Deno.test("store check: the share that is done goes up, from nothing to nearly all", async () => {
  await using scene = await openScene();
  const shareOf = createShares(scene.server.kv);
  const shares: number[] = [];
  for (const { key } of await collectAll(scene.db)) shares.push(await shareOf(key));
  assert.deepEqual(shares, shares.toSorted((a, b) => a - b));
  const [first = 1, last = 0] = [shares[0], shares.at(-1)];
  assert(first < 0.1 && last > 0.9 && last <= 1, `from ${first} to ${last}`);
  assert(new Set(shares).size > rulesByKind.size, "it goes up within a kind");
});
