// What the admin's view of users costs with many of them, against the same with 1,000. Both stores are made in files by
// the store's own functions, measured one after the other, and removed.
//
//   deno run -A tests/bench/users_bench.ts [--users 1000000]

import { parseArgs } from "node:util";
import { createSecrets } from "../../src/secrets.ts";
import { OPERATOR } from "../../src/store/client.ts";
import { createKv, type Kv, untilCommitted } from "../../src/store/kv.ts";
import { collectUsers, type UserFilter } from "../../src/store/user_index.ts";
import { addUser, findUser, type NewUser, replaceUser, type UserPatch } from "../../src/store/users.ts";

const USERS_FEW = 1_000;
const USERS_MAX = 1_000_000;
/** A commit takes ten checks: each user costs two. */
const USERS_A_COMMIT = 5;
const COMMITS_AT_ONCE = 16;
const ROUNDS = 200;
const LIMIT = 20;
const AUDIT = {
  secrets: createSecrets("a-key-of-32-bytes-for-this-bench-0"),
  config: { auditRetentionMs: 86_400_000 },
};
const NAMES = ["ada", "bob", "cleo", "dora", "emil", "fred", "gina", "hugo", "ida", "jan"];

interface Store {
  readonly kv: Kv;
  readonly ids: readonly string[];
}

interface Operation {
  readonly name: string;
  readonly run: (store: Store, round: number) => Promise<unknown>;
}

const operations: readonly Operation[] = [
  { name: "read one", run: ({ kv, ids }, round) => findUser(kv, idAt(ids, round * 7919)) },
  { name: "list, first page", run: ({ kv }) => list(kv, {}) },
  {
    name: "list, a page in the middle",
    run: ({ kv, ids }, round) => list(kv, {}, idAt(ids, ids.length / 2 + round)),
  },
  { name: "list ?plan=premium (one in 10)", run: ({ kv }) => list(kv, { plan: "premium" }) },
  { name: "list ?status=disabled (one in 20)", run: ({ kv }) => list(kv, { status: "disabled" }) },
  {
    name: "list ?role=user&status=active&plan=free",
    run: ({ kv }) => list(kv, { role: "user", status: "active", plan: "free" }),
  },
  { name: "search, one fits", run: ({ kv }, round) => list(kv, { q: newUser(round).email }) },
  { name: "search, ten fit", run: ({ kv }, round) => list(kv, { q: `team-${round % 100}.` }) },
  { name: "search, one in 10 fits", run: ({ kv }, round) => list(kv, { q: `${NAMES[round % 10]}` }) },
  {
    name: "search, one in 10 fits, one in 20 of them disabled",
    run: ({ kv }, round) => list(kv, { q: `${NAMES[round % 10]}`, status: "disabled" }),
  },
  {
    name: "change of the plan",
    run: ({ kv, ids }, round) =>
      replaceUser(
        { ...AUDIT, kv },
        idAt(ids, round * 7919),
        { plan: round % 2 ? "free" : "premium" },
        OPERATOR,
      ),
  },
];

if (import.meta.main) await compare(readUsers());

async function compare(users: number): Promise<void> {
  const few = await measure(USERS_FEW);
  const many = await measure(users);
  say(["", `${USERS_FEW} users`, `${users} users`, "ratio"]);
  for (const [index, { name }] of operations.entries()) {
    const [fewMs = 0, manyMs = 0] = [few[index], many[index]];
    say([name, `${fewMs.toFixed(2)} ms`, `${manyMs.toFixed(2)} ms`, (manyMs / fewMs).toFixed(2)]);
  }
}

/** The median of each operation over a store of its own, in milliseconds. */
async function measure(users: number): Promise<number[]> {
  const folder = await Deno.makeTempDir();
  const clock = { nowMs: Date.UTC(2026, 0, 1) };
  const kv = createKv(await Deno.openKv(`${folder}/bench.kv`), () => clock.nowMs);
  try {
    const store = { kv, ids: await seed(kv, clock, users) };
    const medians: number[] = [];
    for (const { run } of operations) {
      const tookMs: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const startedAtMs = performance.now();
        await run(store, round);
        tookMs.push(performance.now() - startedAtMs);
      }
      medians.push(tookMs.sort((a, b) => a - b)[ROUNDS / 2] ?? 0);
    }
    return medians;
  } finally {
    kv.close();
    await Deno.remove(folder, { recursive: true });
  }
}

async function seed(kv: Kv, clock: { nowMs: number }, users: number): Promise<string[]> {
  const ids: string[] = [];
  const startedAtMs = performance.now();
  while (ids.length < users) {
    const firsts = Array.from({ length: COMMITS_AT_ONCE }, (_, index) => ids.length + index * USERS_A_COMMIT);
    const batches = await Promise.all(
      firsts.filter((first) => first < users).map((first) => insertBatch(kv, clock, first)),
    );
    ids.push(...batches.flat());
    if (ids.length % 100_000 < COMMITS_AT_ONCE * USERS_A_COMMIT) {
      say([`${ids.length} users`, `${((performance.now() - startedAtMs) / 1000).toFixed(0)} s`]);
    }
  }
  return ids;
}

async function insertBatch(kv: Kv, clock: { nowMs: number }, first: number): Promise<string[]> {
  const numbers = Array.from({ length: USERS_A_COMMIT }, (_, index) => first + index);
  const ids = await untilCommitted(async () => {
    const change = kv.change();
    const added: string[] = [];
    for (const number of numbers) {
      clock.nowMs++;
      const user = await addUser(kv, change, { newUser: newUser(number) });
      if (user) added.push(user.id);
    }
    return await change.commit() ? added : [];
  });
  for (const [index, id] of ids.entries()) {
    const patch = patchOf(first + index);
    if (patch) await replaceUser({ ...AUDIT, kv }, id, patch, OPERATOR);
  }
  return ids;
}

function newUser(number: number): NewUser {
  const name = NAMES[number % NAMES.length];
  return {
    email: `${name}.${number}@example.org`,
    username: `team-${Math.floor(number / NAMES.length)}.${name}`,
    name: `${name} ${number}`,
    locale: null,
    passwordHash:
      "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
  };
}

/** One in 10 is premium, one in 20 disabled, whatever the name. */
function patchOf(number: number): UserPatch | null {
  const team = Math.floor(number / NAMES.length);
  if (team % 20 === 7) return { status: "disabled" };
  return team % 10 === 3 ? { plan: "premium" } : null;
}

function list(kv: Kv, filter: UserFilter, startId: string | null = null): Promise<unknown> {
  return collectUsers(kv, filter, { limit: LIMIT, startId });
}

function idAt(ids: readonly string[], index: number): string {
  return ids[Math.floor(index) % ids.length] ?? "";
}

function readUsers(): number {
  const { values } = parseArgs({ options: { users: { type: "string", default: "100000" } } });
  const users = Number(values.users);
  if (Number.isInteger(users) && users > USERS_FEW && users <= USERS_MAX) return users;
  throw new RangeError(`--users takes a whole number from ${USERS_FEW + 1} to ${USERS_MAX}`);
}

function say(columns: readonly string[]): void {
  // deno-lint-ignore no-console -- the answer of a command-line tool.
  console.log(columns.map((column, index) => index === 0 ? column.padEnd(52) : column.padStart(16)).join(""));
}
