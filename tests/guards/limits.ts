// Guards around counting: no window holds more than its limit, no wait is a lie, and no work piles up.

import type { Guard } from "./guard.ts";

const LIMITS = "src/store/limits.ts";
const WINDOW = "src/window.ts";
const HASHER = "src/hasher.ts";

export const limits: readonly Guard[] = [
  {
    name: "of requests at the same moment no more are admitted than the limit, on several servers too",
    file: LIMITS,
    find: "change.check(entry).set(entry.key, outcome.written);",
    put: "change.set(entry.key, outcome.written);",
    red: ["store_limits_test.ts", "limits: several servers together admit exactly the limit"],
  },
  {
    name: "a window that is full admits nobody",
    file: LIMITS,
    find: "const refusal = refusalOf(sights);",
    put: "const refusal = refusalOf([]);",
    red: ["store_limits_test.ts", "limits: of 200 parallel requests exactly the limit is admitted"],
  },
  {
    name: "a request that one limit refuses takes nothing from another",
    file: LIMITS,
    find: "sights.map((sight) => refusal ? leave(sight) : take(sight, nowMs));",
    put: "sights.map((sight) => refusal && sight.standing.free === 0 ? leave(sight) : take(sight, nowMs));",
    red: [
      "store_limits_test.ts",
      "limits: a refusal writes nothing, and takes nothing from the subjects that had room",
    ],
  },
  {
    name: "the wait that is told is that of the limit that lasts longest",
    file: LIMITS,
    find: ".sort((a, b) => b.retryAfterSeconds - a.retryAfterSeconds);",
    put: ".sort((a, b) => a.retryAfterSeconds - b.retryAfterSeconds);",
    red: [
      "store_limits_test.ts",
      "limits: of several refusing subjects the longest wait is told, and is honest",
    ],
  },
  {
    name: "the second that is told is one that is admitted",
    file: WINDOW,
    find: "retryAfterSeconds: Math.ceil((admitsAtMs - nowMs) / 1000),",
    put: "retryAfterSeconds: Math.floor((admitsAtMs - nowMs) / 1000),",
    red: [
      "window_test.ts",
      "window: small limits are exact to the millisecond, and Retry-After to the second",
    ],
  },
  {
    name: "a request counts for the whole of its window: no double rate at an edge",
    file: WINDOW,
    find: "return endOfSlot(stampMs, windowSlotMs(window)) + window.windowMs;",
    put: "return Math.ceil(stampMs / window.windowMs) * window.windowMs;",
    red: [
      "window_test.ts",
      "window: small limits are exact to the millisecond, and Retry-After to the second",
    ],
  },
  {
    name: "a clock that is set back locks nobody out",
    file: WINDOW,
    find: "const latestMs = isAhead(policy, stamps, nowMs) ? slotEndMs(policy, nowMs) : Infinity;",
    put: "const latestMs = Infinity;",
    red: [
      "window_test.ts",
      "window: a clock set back never lets more in, and never locks out for longer than a window",
    ],
  },
  {
    name: "a record of requests stays small, however many there are",
    file: WINDOW,
    find: "const kept = newest(stamps, Math.max(...policy.map(({ limit }) => limit)));",
    put: "const kept = stamps;",
    red: [
      "window_test.ts",
      "window: counting goes on past the limit, keeps the newest, and ends with the window",
    ],
  },
  {
    name: "a block of permits is a small share of what is left",
    file: "src/lease.ts",
    find: "limit * SHARE_OF_LIMIT, free * SHARE_OF_FREE)",
    put: "limit)",
    red: ["lease_test.ts", "lease: block of 7: a 128th of the limit at most"],
  },
  {
    name: "a block of permits serves only the slot that it was taken in",
    file: "src/lease.ts",
    find: "lease.unused > 0 && lease.stampMs === slotEndMs(policy, nowMs)",
    put: "lease.unused > 0",
    red: ["lease_test.ts", "lease: serves while a permit is left and the slot lasts"],
  },
  {
    name: "permits are given back once, though an answer of the store got lost",
    file: LIMITS,
    find: "lease: one.lease && { ...one.lease, unused: 0 }",
    put: "lease: one.lease",
    red: [
      "store_limits_test.ts",
      "limits: a commit that happened, its answer lost, gives nothing back twice",
    ],
  },
  {
    name: "a limit of zero stops the start",
    file: "src/policy.ts",
    find: "/^([1-9]\\d{0,9})\\/(\\w+)$/",
    put: "/^(\\d{1,10})\\/(\\w+)$/",
    red: ["config_test.ts", 'config: refuses THROTTLE_LOGIN="0/1m"'],
  },
  {
    name: "a queue of hashes that is full refuses the next",
    file: HASHER,
    find: "if (waiting.length >= waitingMax) throw",
    put: "if (waiting.length < 0) throw",
    red: ["hasher_test.ts", "the queue holds 512 by default, refuses the next, and takes more afterwards"],
  },
  {
    name: "only so many hashes run at once",
    file: HASHER,
    find: "if (running < runningMax) {",
    put: "if (running >= 0) {",
    red: ["hasher_test.ts", "hashes run as many at once as allowed, first come first served"],
  },
  {
    name: "an imported hash that costs too much to verify is not read",
    file: "src/argon2.ts",
    find: "  if (!isPayable(cost)) return null;\n",
    put: "",
    red: ["hasher_test.ts", "verify refuses eleven passes, for the price of one hash"],
  },
  {
    name: "who asks whether the server is ready costs no write each",
    file: "src/store/readiness.ts",
    find: "return running ??= proveWrite(kv)",
    put: "return running = proveWrite(kv)",
    red: ["http_test.ts", "readReadiness: many who ask at once cost one write"],
  },
  {
    name: "calls that wait for their turn are bounded",
    file: "src/turns.ts",
    find: "if (calls >= WAITING_MAX) throw",
    put: "if (calls < 0) throw",
    red: ["turns_test.ts", "turns: the ten-thousand-and-first call is refused, and room comes back"],
  },
];
