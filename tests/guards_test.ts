// The table of guards (`deno task guards`), held fresh: each row can still be taken out, and names a test that there is.
// And that the task tells a guard that is missed from one that is not.

import assert from "node:assert/strict";
import { guards } from "./guards/all.ts";
import { type Guard, removalsOf, StaleGuard, takeOut } from "./guards/guard.ts";
import { proveGuards } from "./guards/proof.ts";
import { REPOSITORY } from "./process.ts";
import { isTest } from "./test_names.ts";

Deno.test("guards: what each row takes out stands once in its file, and its going changes something", async () => {
  const stale: string[] = [];
  for (const guard of guards) {
    for (const removal of removalsOf(guard)) {
      const text = await Deno.readTextFile(`${REPOSITORY}${removal.file}`);
      try {
        assert.notEqual(takeOut(text, removal), text, guard.name);
      } catch (error) {
        if (!(error instanceof StaleGuard)) throw error;
        stale.push(`${guard.name}: ${error.message}`);
      }
    }
  }
  assert.deepEqual(stale, []);
});

Deno.test("guards: every test that a row names is there, and no two rows have one name", async () => {
  const missing: string[] = [];
  for (const { red: [file, test] } of guards) if (!await isTest(file, test)) missing.push(`${file}: ${test}`);
  assert.deepEqual(missing, []);
  const names = guards.map(({ name }) => name);
  assert.deepEqual(names.filter((name, index) => names.indexOf(name) !== index), []);
});

/** Made up: the first is missed, the second is not. */
const examples: readonly Guard[] = [
  {
    name: "a limit of zero",
    file: "src/policy.ts",
    find: "([1-9]\\d{0,9})",
    put: "(\\d{1,10})",
    red: ["window_test.ts", 'policy: refuses "0/1m"'],
  },
  {
    name: "a limit that is larger than any",
    file: "src/policy.ts",
    find: "const LIMIT_MAX = 1_000_000_000;",
    put: "const LIMIT_MAX = 999_999_999;",
    red: ["window_test.ts", 'policy: refuses "0/1m"'],
  },
  {
    name: "code that cannot run",
    file: "src/policy.ts",
    find: "return windows.every(",
    put: "return wimdows.every(",
    red: ["window_test.ts", 'policy: refuses "0/1m"'],
  },
  {
    name: "a row that is out of date",
    file: "src/policy.ts",
    find: "there was something here once",
    put: "",
    red: ["window_test.ts", 'policy: refuses "0/1m"'],
  },
  {
    name: "a test that there is not",
    file: "src/policy.ts",
    find: "const LIMIT_MAX = 1_000_000_000;",
    put: "const LIMIT_MAX = 0;",
    red: ["window_test.ts", "policy: refuses nothing"],
  },
];

Deno.test("guards: one that a test misses is seen red; whatever else happens is none", async () => {
  const before = await Deno.readTextFile(`${REPOSITORY}src/policy.ts`);
  const { signal } = new AbortController();
  const proofs = await Array.fromAsync(proveGuards(examples, { lanesMax: 2, signal }));
  assert.deepEqual(
    Object.fromEntries(proofs.map(({ guard, isRed, reason }) => [guard.name, isRed || reason.slice(0, 40)])),
    {
      "a limit of zero": true,
      "a limit that is larger than any": "nothing was missed",
      "code that cannot run": "it judged nothing: ReferenceError: wimdo",
      "a row that is out of date": "In src/policy.ts this stands 0 times: th",
      "a test that there is not": "its test is not green to begin with: it ",
    },
  );
  assert.equal(await Deno.readTextFile(`${REPOSITORY}src/policy.ts`), before);
});
