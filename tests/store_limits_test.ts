// Limits over a real store in memory: exact under any parallelism, over several servers and restarts, and nothing
// written by a refusal. Several `createLimits` over one store are what several servers are.

import assert from "node:assert/strict";
import fc from "fast-check";
import { parsePolicy, type Policy, POLICY_DEFAULTS, type PolicyName } from "../src/policy.ts";
import { createSecrets } from "../src/secrets.ts";
import { keys } from "../src/store/keys.ts";
import { type Change, createKv, type Kv, StoreUnavailable } from "../src/store/kv.ts";
import { createLimits, type Limits, type Subject, type Verdict } from "../src/store/limits.ts";
import { countIn } from "../src/window.ts";

const SECRETS = createSecrets("a-key-of-32-bytes-for-these-limits");
const CLIENT = { address: "192.0.2.1", networkHash: "network-a", userAgent: null, requestId: "request" };
const START_MS = Date.UTC(2026, 10, 21, 9);
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** What the store is asked, and what it answers to a commit instead of the truth. */
interface Watched {
  reads: number;
  commits: number;
  answer: "true" | "lost" | "unknown";
}

interface Scene {
  readonly clock: { nowMs: number };
  readonly kv: Kv;
  readonly watched: Watched;
  /** One server; `texts` are the policies that are not off. */
  start(texts: Partial<Record<PolicyName, string>>): Counting;
}

/** The limits for requests of nobody in particular. */
interface Counting {
  admit(subjects: readonly Named[]): ReturnType<Limits["admit"]>;
}

type Named = Pick<Subject, "policy" | "subject">;

function startLimits(kv: Kv, texts: Partial<Record<PolicyName, string>>): Counting {
  const config = { policies: policiesOf(texts), auditRetentionMs: DAY_MS };
  const limits = createLimits({ kv, secrets: SECRETS, config });
  return {
    admit: (subjects) => limits.admit(subjects.map((subject) => ({ ...subject, userId: null })), CLIENT),
  };
}

/** Runs `play` on an empty store whose clock stands at START_MS. */
async function withStore(play: (scene: Scene) => Promise<void>): Promise<void> {
  const clock = { nowMs: START_MS };
  const watched: Watched = { reads: 0, commits: 0, answer: "true" };
  const kv = watch(createKv(await Deno.openKv(":memory:"), () => clock.nowMs), watched);
  try {
    await play({ clock, kv, watched, start: (texts) => startLimits(kv, texts) });
  } finally {
    kv.close();
  }
}

function watch(kv: Kv, watched: Watched): Kv {
  return {
    ...kv,
    findMany: (keys) => {
      watched.reads++;
      return kv.findMany(keys);
    },
    change: () => watchChange(kv.change(), watched),
  };
}

function watchChange(change: Change, watched: Watched): Change {
  const { commit } = change;
  // The change answers itself from `check` and `set`, so that it has to be altered in place.
  return Object.assign(change, {
    commit: async () => {
      watched.commits++;
      const isCommitted = await commit();
      if (watched.answer === "unknown") throw new StoreUnavailable("The answer got lost");
      if (watched.answer === "true") return isCommitted;
      watched.answer = "true";
      return false;
    },
  });
}

function policiesOf(texts: Partial<Record<PolicyName, string>>): Record<PolicyName, Policy> {
  const policyOf = (name: PolicyName): Policy =>
    parsePolicy(texts[name] ?? "off") ?? assert.fail(texts[name]);
  const names = Object.keys(POLICY_DEFAULTS) as PolicyName[];
  // Object.fromEntries forgets the names, which are all there.
  return Object.fromEntries(names.map((name) => [name, policyOf(name)])) as Record<PolicyName, Policy>;
}

function admittedOf(verdicts: readonly Verdict[]): number {
  return verdicts.filter(({ refusal }) => refusal === null).length;
}

const LOGIN: Named = { policy: "login", subject: "network-a" };
const USER: Named = { policy: "user", subject: "user-1" };

Deno.test("limits: of 200 parallel requests exactly the limit is admitted", async () => {
  await withStore(async ({ start, watched }) => {
    const limits = start({ login: "5/1m" });
    const verdicts = await Promise.all(Array.from({ length: 200 }, () => limits.admit([LOGIN])));
    assert.equal(admittedOf(verdicts), 5);
    assert.equal(watched.commits, 5);
  });
});

Deno.test("limits: several servers together admit exactly the limit", async () => {
  await withStore(async ({ start }) => {
    const servers = Array.from({ length: 4 }, () => start({ login: "5/1m" }));
    const verdicts = await Promise.all(
      Array.from({ length: 80 }, (_, index) => servers[index % 4]?.admit([LOGIN]) ?? assert.fail()),
    );
    assert.equal(admittedOf(verdicts), 5);
  });
});

Deno.test("limits: a restart forgets nothing", async () => {
  await withStore(async ({ start, clock }) => {
    for (let index = 0; index < 5; index++) {
      assert.equal((await start({ login: "5/1m" }).admit([LOGIN])).refusal, null);
      clock.nowMs += SECOND_MS;
    }
    assert.deepEqual((await start({ login: "5/1m" }).admit([LOGIN])).refusal, {
      policy: "login",
      retryAfterSeconds: 55,
    });
  });
});

Deno.test("limits: a refusal writes nothing, and takes nothing from the subjects that had room", async () => {
  await withStore(async ({ start, watched }) => {
    const limits = start({ login: "1/1m", anonymous: "100/1d", user: "1000/1d" });
    const other: Named = { policy: "login", subject: "account-b" };
    const anonymous: Named = { policy: "anonymous", subject: "network-a" };
    await limits.admit([LOGIN]);
    const before = watched.commits;
    for (let index = 0; index < 20; index++) {
      const { refusal, quotas } = await limits.admit([other, anonymous, USER, LOGIN]);
      assert.deepEqual(refusal, { policy: "login", retryAfterSeconds: 60 });
      assert.deepEqual(quotas.map(({ policy, remaining }) => [policy, remaining]), [
        ["login", 0],
        ["anonymous", 100],
        ["user", 1000],
      ]);
    }
    assert.equal(watched.commits, before);
    assert.equal((await limits.admit([other, anonymous, USER])).refusal, null);
  });
});

Deno.test("limits: all subjects of a request cost one read and one commit", async () => {
  await withStore(async ({ start, watched }) => {
    const limits = start({ login: "5/1m", anonymous: "100/1d", user: "1000/1d" });
    await limits.admit([LOGIN, { policy: "login", subject: "account-b" }, {
      policy: "anonymous",
      subject: "n",
    }, USER]);
    assert.deepEqual([watched.reads, watched.commits], [1, 1]);
  });
});

Deno.test("limits: a subject that is named twice counts once", async () => {
  await withStore(async ({ start }) => {
    const limits = start({ login: "2/1m" });
    assert.equal((await limits.admit([LOGIN, LOGIN])).quotas[0]?.remaining, 1);
  });
});

Deno.test("limits: policies that are off cost nothing and say nothing", async () => {
  await withStore(async ({ start, watched }) => {
    assert.deepEqual(await start({}).admit([LOGIN, USER]), { refusal: null, quotas: [] });
    assert.deepEqual([watched.reads, watched.commits], [0, 0]);
  });
});

Deno.test("limits: the quotas tell each window, and of two subjects the tighter one", async () => {
  await withStore(async ({ start, clock }) => {
    const limits = start({ login: "5/1m", mail: "10/1h,30/1d" });
    const account: Named = { policy: "login", subject: "account-b" };
    await limits.admit([account]);
    clock.nowMs += 10 * SECOND_MS;
    const { quotas } = await limits.admit([LOGIN, account, { policy: "mail", subject: "address" }]);
    assert.deepEqual(quotas, [
      { policy: "login", limit: 5, windowSeconds: 60, remaining: 3, resetSeconds: 50 },
      { policy: "mail", limit: 10, windowSeconds: 3_600, remaining: 9, resetSeconds: 3_600 },
      { policy: "mail", limit: 30, windowSeconds: 86_400, remaining: 29, resetSeconds: 86_400 },
    ]);
  });
});

Deno.test("limits: of several refusing subjects the longest wait is told, and is honest", async () => {
  await withStore(async ({ start, clock }) => {
    const limits = start({ login: "1/1m", otp: "1/90s" });
    const otp: Named = { policy: "otp", subject: "challenge" };
    await limits.admit([otp]);
    clock.nowMs += 12_345;
    await limits.admit([LOGIN]);
    const { refusal } = await limits.admit([LOGIN, otp]);
    assert.deepEqual(refusal, { policy: "otp", retryAfterSeconds: 78 });
    clock.nowMs += 77 * SECOND_MS;
    assert.deepEqual((await limits.admit([LOGIN, otp])).refusal, { policy: "otp", retryAfterSeconds: 1 });
    clock.nowMs += SECOND_MS;
    assert.equal((await limits.admit([LOGIN, otp])).refusal, null);
  });
});

Deno.test("limits: a clock set back an hour locks nobody out for an hour", async () => {
  await withStore(async ({ start, clock, watched }) => {
    const limits = start({ login: "1/1m" });
    await limits.admit([LOGIN]);
    clock.nowMs -= HOUR_MS;
    assert.equal((await limits.admit([LOGIN])).refusal?.retryAfterSeconds, 60);
    clock.nowMs += 59 * SECOND_MS;
    const before = watched.commits;
    assert.equal((await limits.admit([LOGIN])).refusal?.retryAfterSeconds, 1);
    assert.equal(watched.commits, before);
    clock.nowMs += SECOND_MS;
    assert.equal((await limits.admit([LOGIN])).refusal, null);
  });
});

Deno.test("limits: a burst under a large limit takes permits in blocks, and never more than the limit", async () => {
  await withStore(async ({ start, watched }) => {
    const limits = start({ user: "1000/1d" });
    for (let used = 1; used <= 1_000; used++) {
      const { refusal, quotas } = await limits.admit([USER]);
      assert.equal(refusal, null);
      assert.equal(quotas[0]?.remaining, 1_000 - used);
    }
    assert.equal((await limits.admit([USER])).refusal?.policy, "user");
    assert.ok(watched.commits < 250, `${watched.commits} commits`);
  });
});

Deno.test("limits: an admission from a lease asks the store nothing", async () => {
  await withStore(async ({ start, watched }) => {
    const limits = start({ user: "1000000/1d" });
    const costs: number[] = [];
    for (let index = 0; index < 256; index++) {
      const before = watched.reads + watched.commits;
      await limits.admit([USER]);
      costs.push(watched.reads + watched.commits - before);
    }
    assert.equal(costs.filter((cost) => cost === 2).length, 10);
    assert.equal(costs.filter((cost) => cost === 0).length, 246);
  });
});

Deno.test("limits: who asks once in ten minutes is charged what was used", async () => {
  await withStore(async ({ start, clock, kv }) => {
    const limits = start({ user: "1000/1d" });
    for (let index = 0; index < 100; index++) {
      await limits.admit([USER]);
      clock.nowMs += 10 * MINUTE_MS;
    }
    const { value } = await kv.find(keys.window("user", "user-1"));
    assert.equal(countIn({ limit: 1_000, windowMs: DAY_MS }, value, clock.nowMs), 100);
  });
});

Deno.test("limits: what a burst left unused is given back with the next commit", async () => {
  await withStore(async ({ start, clock, kv }) => {
    const window = { limit: 100_000, windowMs: DAY_MS };
    const limits = start({ user: "100000/1d" });
    for (let used = 1; used <= 33; used++) await limits.admit([USER]);
    const during = await kv.find(keys.window("user", "user-1"));
    assert.equal(countIn(window, during.value, clock.nowMs), 64);
    clock.nowMs += 10 * MINUTE_MS;
    assert.equal((await limits.admit([USER])).quotas[0]?.remaining, 100_000 - 34);
    const after = await kv.find(keys.window("user", "user-1"));
    assert.equal(countIn(window, after.value, clock.nowMs), 34);
    await limits.admit([USER]);
    const later = await kv.find(keys.window("user", "user-1"));
    assert.equal(countIn(window, later.value, clock.nowMs), 35);
  });
});

Deno.test("limits: a request that is refused elsewhere uses up no leased permit", async () => {
  await withStore(async ({ start }) => {
    const limits = start({ user: "1000/1d", password: "1/1m" });
    const password: Named = { policy: "password", subject: "user-1" };
    await limits.admit([password]);
    for (let used = 1; used <= 7; used++) await limits.admit([USER]);
    for (let index = 0; index < 10; index++) {
      const { refusal, quotas } = await limits.admit([USER, password]);
      assert.equal(refusal?.policy, "password");
      assert.equal(quotas[0]?.remaining, 993);
    }
    assert.equal((await limits.admit([USER])).quotas[0]?.remaining, 992);
  });
});

for (const answer of ["lost", "unknown"] as const) {
  Deno.test(`limits: a commit that happened, its answer ${answer}, gives nothing back twice`, async () => {
    await withStore(async ({ start, clock, watched }) => {
      const limits = start({ user: "2000/10s" });
      // The fifth block is of eight permits, and seven of them are left.
      let admitted = admittedOf(await Promise.all(Array.from({ length: 9 }, () => limits.admit([USER]))));
      clock.nowMs += SECOND_MS;
      watched.answer = answer;
      const next = limits.admit([USER]);
      if (answer === "unknown") await assert.rejects(next, StoreUnavailable);
      else admitted += admittedOf([await next]);
      watched.answer = "true";
      while ((await limits.admit([USER])).refusal === null) admitted++;
      assert.ok(admitted <= 2_000 && admitted >= 1_999, `${admitted} admitted`);
    });
  });
}

Deno.test("limits: several servers under a large limit are never over it, and waste under 1 % each", async () => {
  await withStore(async ({ clock, start }) => {
    const limit = 1_000;
    const windowMs = 10 * SECOND_MS;
    const texts = { user: "1000/10s" };
    const servers = [start(texts), start(texts), start(texts)];
    const admittedMs: number[] = [];
    let seed = 1;
    const random = (below: number): number => (seed = seed * 48_271 % 2_147_483_647) % below;
    for (let index = 0; index < 12_000; index++) {
      clock.nowMs += random(4);
      // A server that restarts takes its leases with it.
      if (random(2_000) === 0) servers[0] = start(texts);
      const server = servers[random(10) === 0 ? 1 : random(2) * 2] ?? assert.fail();
      if ((await server.admit([USER])).refusal === null) admittedMs.push(clock.nowMs);
    }
    const heldAt = admittedMs.map((ms, index) =>
      index + 1 - admittedMs.findIndex((other) => other > ms - windowMs)
    );
    assert.ok(Math.max(...heldAt) <= limit);
    assert.ok(Math.max(...heldAt) >= limit * 0.97, `${Math.max(...heldAt)} at most`);
  });
});

Deno.test("limits: one server under a large limit refuses at most 1 % wrongly, leases and refunds included", async () => {
  await withStore(async ({ clock, start }) => {
    const windowMs = 10 * SECOND_MS;
    const limits = start({ user: "500/10s" });
    const admittedMs: number[] = [];
    let wronglyRefused = 0;
    let asked = 0;
    const wave = [0, 0, 0, 1, 2, 5, 30, 90];
    for (; asked < 6_000; asked++) {
      clock.nowMs += wave[asked % 97 % wave.length] ?? 0;
      const oldest = admittedMs.findIndex((ms) => ms > clock.nowMs - windowMs);
      const held = oldest === -1 ? 0 : admittedMs.length - oldest;
      const { refusal } = await limits.admit([USER]);
      if (refusal === null) {
        assert.ok(held < 500);
        admittedMs.push(clock.nowMs);
      } else if (held < 500) wronglyRefused++;
    }
    assert.ok(admittedMs.length < asked, "nothing was refused");
    assert.ok(wronglyRefused <= asked / 100, `${wronglyRefused} of ${asked}`);
  });
});

Deno.test("limits: random requests to several servers are admitted exactly as one list would", async () => {
  await withStore(async ({ clock, start }) => {
    let run = 0;
    const policy = fc.record({
      limit: fc.integer({ min: 1, max: 6 }),
      seconds: fc.integer({ min: 1, max: 20 }),
    });
    const requests = fc.array(
      fc.record({
        waitMs: fc.oneof(fc.nat(3), fc.nat(8_000)),
        server: fc.nat(2),
        subjects: fc.subarray(["a", "b", "c"], { minLength: 1 }),
      }),
      { maxLength: 40, size: "max" },
    );
    await fc.assert(
      fc.asyncProperty(policy, requests, async ({ limit, seconds }, schedule) => {
        run++;
        const servers = [0, 1, 2].map(() => start({ otp: `${limit}/${seconds}s` }));
        const admittedMs: Record<string, number[]> = { a: [], b: [], c: [] };
        for (const { waitMs, server, subjects } of schedule) {
          clock.nowMs += waitMs;
          const isFull = subjects.some((subject) =>
            (admittedMs[subject] ?? []).filter((ms) => ms > clock.nowMs - seconds * SECOND_MS).length >= limit
          );
          const asked = subjects.map((subject): Named => ({ policy: "otp", subject: `${run} ${subject}` }));
          const verdict = await servers[server]?.admit(asked);
          assert.equal(verdict?.refusal !== null, isFull);
          if (!isFull) { for (const subject of subjects) admittedMs[subject]?.push(clock.nowMs); }
        }
      }),
      { numRuns: 40 },
    );
  });
});
