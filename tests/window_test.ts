// Sliding windows against brute force: random requests and clock steps, judged by the plain list of what was
// admitted. Time here is what a stopwatch shows; `clock` may be set back, which the stopwatch does not follow.

import assert from "node:assert/strict";
import fc from "fast-check";
import { parsePolicy, type Policy, POLICY_DEFAULTS, type Window } from "../src/policy.ts";
import type { WindowRecord } from "../src/store/keys.ts";
import {
  type Admission,
  admitOne,
  charge,
  countIn,
  recordOne,
  refund,
  slotMsOf,
  weigh,
} from "../src/window.ts";

const START_MS = Date.UTC(2026, 10, 21, 9);
const SECOND_MS = 1_000;
const HOUR_MS = 3_600 * SECOND_MS;
const DAY_MS = 24 * HOUR_MS;

function policyOf(text: string): Policy {
  return parsePolicy(text) ?? assert.fail(`${text} is no policy`);
}

/** Admitted moments within the window that ends at `nowMs`: at exactly `windowMs` ago it has left. */
function heldBy({ windowMs }: Window, admittedMs: readonly number[], nowMs: number): number {
  return admittedMs.filter((ms) => ms > nowMs - windowMs && ms <= nowMs).length;
}

/** The second that Retry-After names is admitted, the one before is not. */
function assertHonest(
  policy: Policy,
  record: WindowRecord | null,
  { nowMs, retryAfterSeconds }: { readonly nowMs: number; readonly retryAfterSeconds: number },
): void {
  assert.ok(weigh(policy, record, nowMs + retryAfterSeconds * SECOND_MS).free > 0);
  assert.equal(weigh(policy, record, nowMs + (retryAfterSeconds - 1) * SECOND_MS).free, 0);
}

function assertNeverOver(policy: Policy, admittedMs: readonly number[]): void {
  for (const window of policy) {
    for (const ms of admittedMs) assert.ok(heldBy(window, admittedMs, ms) <= window.limit);
  }
}

/** One request as a store would see it: the record of the one before goes in, the next comes out. */
function createSubject(
  policy: Policy,
): { ask(nowMs: number): Admission; record(): WindowRecord | null } {
  let record: WindowRecord | null = null;
  return {
    record: () => record,
    ask(nowMs): Admission {
      const current = record && nowMs < record.expiresAtMs ? record : null;
      const admission = admitOne(policy, current, nowMs);
      record = admission.record ?? record;
      return admission;
    },
  };
}

/** How long a client waits: mostly short, some long, some until the very moment when a permit comes free. */
const wait: fc.Arbitrary<number | "until_free"> = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.integer({ min: 0, max: 20_000 }),
  fc.constant("until_free" as const),
);

const waits = fc.array(wait, { maxLength: 120, size: "max" });

function freesAtMs(policy: Policy, record: WindowRecord | null, nowMs: number): number {
  return Math.min(...weigh(policy, record, nowMs).windows.map((window) => window.freesAtMs ?? nowMs));
}

const smallPolicy: fc.Arbitrary<Policy> = fc.array(
  fc.record({
    limit: fc.integer({ min: 1, max: 8 }),
    windowMs: fc.constantFrom(1_000, 3_000, 10_000, 60_000),
  }),
  { minLength: 1, maxLength: 3 },
);

const mixedPolicy: fc.Arbitrary<Policy> = fc.array(
  fc.record({
    limit: fc.constantFrom(5, 101, 101, 150, 400),
    windowMs: fc.constantFrom(1_000, 7_000, 60_000, HOUR_MS),
  }),
  { minLength: 1, maxLength: 3 },
);

Deno.test("policy: reads limits, several windows, and off", () => {
  assert.deepEqual(parsePolicy("5/1m"), [{ limit: 5, windowMs: 60_000 }]);
  assert.deepEqual(parsePolicy("4/3s"), [{ limit: 4, windowMs: 3_000 }]);
  assert.deepEqual(parsePolicy("10/1h, 30/1d"), [{ limit: 10, windowMs: HOUR_MS }, {
    limit: 30,
    windowMs: DAY_MS,
  }]);
  assert.deepEqual(parsePolicy("1000000000/1d"), [{ limit: 1e9, windowMs: DAY_MS }]);
  assert.deepEqual(parsePolicy("off"), []);
  for (const text of Object.values(POLICY_DEFAULTS)) assert.notEqual(parsePolicy(text), null);
});

for (
  const text of [
    ..."0/1m|5/0s|5/1|5|/1m|5/m|-5/1m|5.5/1m|5/1.5m|5e3/1m|05/1m|5/1w|5/1M| 5/1m x|5/1m,|,5/1m|5/1m,off"
      .split("|"),
    ..."OFF|none|unlimited|NaN/1m|Infinity/1d|1000000001/1d|5/99999d|1/1s,1/2s,1/3s,1/4s,1/5s|٥/1m".split(
      "|",
    ),
    "",
  ]
) {
  Deno.test(`policy: refuses "${text}"`, () => assert.equal(parsePolicy(text), null));
}

Deno.test("window: the limit-th is admitted, the next is not, and comes in the moment the first leaves", () => {
  const subject = createSubject(policyOf("3/1m"));
  for (const ms of [0, 1, 20_000]) assert.ok(subject.ask(START_MS + ms).isAdmitted);
  assert.deepEqual(subject.ask(START_MS + 20_000), {
    isAdmitted: false,
    record: null,
    retryAfterSeconds: 40,
  });
  assert.ok(!subject.ask(START_MS + 59_999).isAdmitted);
  assert.ok(subject.ask(START_MS + 60_000).isAdmitted);
  assert.equal(subject.ask(START_MS + 60_000).retryAfterSeconds, 1);
  assert.ok(subject.ask(START_MS + 60_001).isAdmitted);
});

Deno.test("window: off admits and writes nothing", () => {
  assert.deepEqual(admitOne([], null, START_MS), { isAdmitted: true, record: null, retryAfterSeconds: 0 });
  assert.equal(weigh([], null, START_MS).free, Infinity);
});

Deno.test("window: tells what remains and when it grows", () => {
  const policy = policyOf("10/1h,30/1d");
  assert.deepEqual(
    weigh(policy, null, START_MS).windows.map(({ remaining, freesAtMs }) => [remaining, freesAtMs]),
    [
      [10, null],
      [30, null],
    ],
  );
  const record = charge(policy, charge(policy, null, START_MS), START_MS + 5_000);
  assert.deepEqual(
    weigh(policy, record, START_MS + 6_000).windows.map((window) => [window.remaining, window.freesAtMs]),
    [
      [8, START_MS + HOUR_MS],
      [28, START_MS + DAY_MS],
    ],
  );
  assert.equal(record.expiresAtMs, START_MS + 5_000 + DAY_MS);
});

Deno.test("window: a lowered limit refuses until all that are too many have left", () => {
  const record = [0, 1_000, 2_000, 3_000].reduce<WindowRecord | null>(
    (before, ms) => charge(policyOf("5/1m"), before, START_MS + ms),
    null,
  );
  const { free, retryAfterSeconds } = weigh(policyOf("2/1m"), record, START_MS + 3_000);
  assert.deepEqual({ free, retryAfterSeconds }, { free: 0, retryAfterSeconds: 59 });
});

Deno.test("window: small limits are exact to the millisecond, and Retry-After to the second", () => {
  fc.assert(fc.property(smallPolicy, waits, (policy, waited) => {
    const subject = createSubject(policy);
    const admittedMs: number[] = [];
    let nowMs = START_MS;
    for (const step of waited) {
      nowMs = step === "until_free" ? freesAtMs(policy, subject.record(), nowMs) : nowMs + step;
      const { isAdmitted, record, retryAfterSeconds } = subject.ask(nowMs);
      const isFull = policy.some((window) => heldBy(window, admittedMs, nowMs) >= window.limit);
      assert.equal(isAdmitted, !isFull);
      if (isAdmitted) {
        admittedMs.push(nowMs);
        continue;
      }
      assert.equal(record, null);
      assertHonest(policy, subject.record(), { nowMs, retryAfterSeconds });
    }
    assertNeverOver(policy, admittedMs);
  }));
});

Deno.test("window: large limits are never over, and refuse too long by less than a slot", () => {
  const bursts = fc.array(fc.constantFrom(1, 2, 40, 90), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(mixedPolicy, waits, bursts, (policy, waited, sizes) => {
      const subject = createSubject(policy);
      const admittedMs: number[] = [];
      let nowMs = START_MS;
      for (const [index, step] of waited.entries()) {
        nowMs = step === "until_free" ? freesAtMs(policy, subject.record(), nowMs) : nowMs + step;
        for (let asked = 0; asked < (sizes[index % sizes.length] ?? 1); asked++) {
          const { isAdmitted, retryAfterSeconds } = subject.ask(nowMs);
          if (isAdmitted) {
            admittedMs.push(nowMs);
            continue;
          }
          const isFull = policy.some((window) => {
            const windowMs = window.windowMs + slotMsOf([window]) - 1;
            return heldBy({ ...window, windowMs }, admittedMs, nowMs) >= window.limit;
          });
          assert.ok(isFull, "refused although the window had room for longer than a slot");
          assertHonest(policy, subject.record(), { nowMs, retryAfterSeconds });
          break;
        }
      }
      assertNeverOver(policy, admittedMs);
    }),
    { numRuns: 60 },
  );
});

Deno.test("window: joining stamps changes no count, at no later moment", () => {
  const leavesAtMs = (window: Window, ms: number): number => {
    const slotMs = slotMsOf([window]);
    return Math.ceil(ms / slotMs) * slotMs + window.windowMs;
  };
  fc.assert(
    fc.property(mixedPolicy, waits, (policy, waited) => {
      const chargedMs: number[] = [];
      let record: WindowRecord | null = null;
      let nowMs = START_MS;
      for (const step of waited) {
        nowMs = step === "until_free" ? freesAtMs(policy, record, nowMs) : nowMs + step;
        record = charge(policy, record, nowMs);
        chargedMs.push(nowMs);
      }
      for (const leaveMs of policy.flatMap((window) => chargedMs.map((ms) => leavesAtMs(window, ms)))) {
        for (const atMs of [leaveMs - 1, leaveMs]) {
          if (atMs < nowMs) continue;
          const expected = policy.map((window) => {
            const used = chargedMs.filter((ms) => atMs < leavesAtMs(window, ms)).length;
            return Math.max(0, window.limit - used);
          });
          assert.deepEqual(weigh(policy, record, atMs).windows.map(({ remaining }) => remaining), expected);
        }
      }
    }),
    { numRuns: 30 },
  );
});

Deno.test("window: a slot is a power of two, so that slots nest, and at most a 256th of its window", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1_000, max: 3650 * DAY_MS }), fc.integer({ min: 1 }), (windowMs, limit) => {
      const slotMs = slotMsOf([{ limit, windowMs }]);
      assert.ok(
        limit <= 100 ? slotMs === 1 : Number.isInteger(Math.log2(slotMs)) && slotMs <= windowMs / 256,
      );
    }),
  );
});

Deno.test("window: a record stays small however many it counts", () => {
  const policy = policyOf("100/1s,3000/1m,1000000/1h,1000000000/30d");
  let record: WindowRecord | null = null;
  let nowMs = START_MS;
  for (let index = 0; index < 6_000; index++) {
    nowMs += index % 50 === 0 ? HOUR_MS : index % 7 * 40;
    record = charge(policy, record, nowMs);
  }
  assert.ok(record);
  assert.ok(record.stampsMs.length <= 100 + 3 * 512, `${record.stampsMs.length} stamps`);
  assert.equal(countIn({ limit: 1e9, windowMs: 30 * DAY_MS }, record, nowMs), 6_000);
});

Deno.test("window: a clock set back never lets more in, and never locks out for longer than a window", () => {
  const backMs = fc.oneof(fc.constant(0), fc.constant(0), fc.nat(1_500), fc.nat(7_200_000));
  const schedules = fc.array(fc.tuple(wait, backMs), { maxLength: 100, size: "max" });
  fc.assert(fc.property(fc.oneof(smallPolicy, mixedPolicy), schedules, (policy, schedule) => {
    const subject = createSubject(policy);
    const admittedMs: number[] = [];
    const longestMs = Math.max(...policy.map(({ windowMs }) => windowMs));
    let clockMs = START_MS;
    let lostMs = 0;
    for (const [step, backMs] of schedule) {
      clockMs = step === "until_free" ? freesAtMs(policy, subject.record(), clockMs) : clockMs + step;
      clockMs -= backMs;
      lostMs += backMs;
      const { isAdmitted, retryAfterSeconds } = subject.ask(clockMs);
      if (isAdmitted) {
        admittedMs.push(clockMs + lostMs);
        continue;
      }
      assert.ok(retryAfterSeconds * SECOND_MS <= longestMs * 1.01 + 2 * SECOND_MS);
      assertHonest(policy, subject.record(), { nowMs: clockMs, retryAfterSeconds });
    }
    assertNeverOver(policy, admittedMs);
  }));
});

Deno.test("window: stamps stay in order when the clock goes back by less than servers may differ", () => {
  const policy = policyOf("5/1m");
  const record = charge(policy, charge(policy, null, START_MS), START_MS - 900);
  assert.deepEqual(record, { stampsMs: [START_MS], counts: [2], expiresAtMs: START_MS + 60_000 });
});

Deno.test("window: refused an hour in the past, the wait counts down from there", () => {
  const subject = createSubject(policyOf("1/1m"));
  subject.ask(START_MS);
  const back = subject.ask(START_MS - HOUR_MS);
  assert.equal(back.retryAfterSeconds, 60);
  assert.notEqual(back.record, null);
  assert.equal(subject.ask(START_MS - HOUR_MS + 20_000).retryAfterSeconds, 40);
  assert.ok(subject.ask(START_MS - HOUR_MS + 60_000).isAdmitted);
});

Deno.test("window: counting goes on past the limit, keeps the newest, and ends with the window", () => {
  const window: Window = { limit: 10, windowMs: DAY_MS };
  let record: WindowRecord | null = null;
  for (let index = 0; index < 25; index++) record = recordOne(window, record, START_MS + index * SECOND_MS);
  assert.equal(record?.stampsMs.length, 10);
  assert.equal(countIn(window, record, START_MS + 25_000), 10);
  assert.equal(countIn(window, record, START_MS + 15_000 + DAY_MS), 9);
  assert.equal(countIn(window, record, START_MS + 24_000 + DAY_MS), 0);
  assert.equal(countIn(window, null, START_MS), 0);
});

Deno.test("window: a refund takes back what was charged at its stamp, and nothing else", () => {
  const policy = policyOf("1000/1d");
  const record = charge(policy, charge(policy, null, START_MS, 8), START_MS + HOUR_MS, 4);
  const [firstMs, secondMs] = record.stampsMs;
  assert.ok(firstMs && secondMs);
  assert.deepEqual(refund(record, { stampMs: secondMs, permits: 3 })?.counts, [8, 1]);
  assert.deepEqual(refund(record, { stampMs: firstMs, permits: 8 })?.counts, [0, 4]);
  assert.deepEqual(refund(record, { stampMs: firstMs, permits: 9 }), record);
  assert.deepEqual(refund(record, { stampMs: firstMs + 1, permits: 1 }), record);
  assert.deepEqual(refund(record, { stampMs: firstMs + 1, permits: 0 }), record);
  assert.equal(refund(null, { stampMs: firstMs, permits: 1 }), null);
});
