// Leases: how large a block may be, what is served from one, and how many are kept.

import assert from "node:assert/strict";
import { blockSize, createLeases, isUsable, type Lease, renew, standingOf, useOne } from "../src/lease.ts";
import { parsePolicy, type Policy } from "../src/policy.ts";
import { slotEndMs, slotMsOf } from "../src/window.ts";

const NOW_MS = Date.UTC(2026, 10, 21, 9);

function policyOf(text: string): Policy {
  return parsePolicy(text) ?? assert.fail(text);
}

function leaseOf(policy: Policy, { charged = 1, unused = 0 }): Lease {
  return { stampMs: slotEndMs(policy, NOW_MS), charged, unused, windows: [] };
}

const sizeCases = [
  { name: "as much as the slot has used", policy: "1000000/1d", charged: 4, free: 1_000_000, size: 4 },
  { name: "64 at most", policy: "1000000/1d", charged: 500, free: 1_000_000, size: 64 },
  { name: "a 128th of the limit at most", policy: "1000/1d", charged: 500, free: 1_000, size: 7 },
  { name: "a 128th of the smallest limit", policy: "1000000/1d,300/1h", charged: 500, free: 300, size: 2 },
  { name: "a 16th of what is free at most", policy: "1000/1d", charged: 500, free: 64, size: 4 },
  { name: "one by one near the limit", policy: "1000/1d", charged: 500, free: 15, size: 1 },
  { name: "the last one", policy: "1000/1d", charged: 500, free: 1, size: 1 },
  { name: "one by one under small limits", policy: "100/1d", charged: 50, free: 50, size: 1 },
] as const;

for (const { name, policy: text, charged, free, size } of sizeCases) {
  Deno.test(`lease: block of ${size}: ${name}`, () => {
    const policy = policyOf(text);
    assert.equal(blockSize(policy, leaseOf(policy, { charged }), { free, nowMs: NOW_MS }), size);
  });
}

Deno.test("lease: without a lease, and in another slot than the last, blocks start with one", () => {
  const policy = policyOf("1000000/1d");
  const nextMs = NOW_MS + slotMsOf(policy);
  const last = leaseOf(policy, { charged: 32 });
  assert.equal(blockSize(policy, null, { free: 1e6, nowMs: NOW_MS }), 1);
  assert.equal(blockSize(policy, last, { free: 1e6, nowMs: nextMs }), 1);
  assert.equal(renew(policy, last, { permits: 8, windows: [], nowMs: NOW_MS })?.charged, 40);
  assert.equal(renew(policy, last, { permits: 1, windows: [], nowMs: nextMs })?.charged, 1);
  assert.equal(renew(policyOf("100/1d"), null, { permits: 1, windows: [], nowMs: NOW_MS }), null);
});

Deno.test("lease: serves while a permit is left and the slot lasts", () => {
  const policy = policyOf("1000/1d");
  const lease = leaseOf(policy, { charged: 2, unused: 1 });
  assert.equal(standingOf(lease).free, 1);
  assert.ok(isUsable(policy, lease, NOW_MS));
  assert.ok(isUsable(policy, lease, lease.stampMs));
  assert.ok(!isUsable(policy, lease, lease.stampMs + 1));
  assert.ok(!isUsable(policy, lease, NOW_MS - slotMsOf(policy)));
  assert.ok(!isUsable(policy, useOne(lease), NOW_MS));
});

Deno.test("lease: beyond the bound the one that was asked for longest ago goes", () => {
  const leases = createLeases({ leasesMax: 2 });
  const lease = leaseOf(policyOf("1000/1d"), {});
  leases.put("a", lease);
  leases.put("b", lease);
  leases.put("a", leases.take("a") ?? assert.fail());
  leases.put("c", lease);
  assert.equal(leases.take("b"), null);
  assert.equal(leases.take("a"), lease);
  assert.equal(leases.take("a"), null);
  assert.equal(leases.take("c"), lease);
});
