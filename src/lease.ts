// Permits in blocks: under a large limit a commit per request is too dear, so a process charges several permits at
// once and hands them out from memory, within the slot they are stamped with. What is left when the slot ends is
// refunded with the subject's next commit. A block is never larger than what the slot has used so far, nor than a
// small share of the limit and of what remains: what several processes hold back stays under 1 % each, and near the
// limit all go one by one.

import type { Policy } from "./policy.ts";
import { slotEndMs, slotMsOf, type Standing, type WindowStanding } from "./window.ts";

/** Permits of one subject that this process has charged within one slot. */
export interface Lease {
  /** The slot's end: what they are stamped with in the record. */
  readonly stampMs: number;
  readonly charged: number;
  readonly unused: number;
  /** As they stood when the last block was charged. */
  readonly windows: readonly WindowStanding[];
}

/** Leases by subject, bounded: the one that was asked for longest ago goes first, its permits stay charged. */
export interface Leases {
  /** The lease, which is the caller's until it is put back. */
  take(subjectKey: string): Lease | null;
  put(subjectKey: string, lease: Lease): void;
}

const BLOCK_MAX = 64;
const SHARE_OF_LIMIT = 1 / 128;
const SHARE_OF_FREE = 1 / 16;

/** No leases yet, and never more than `leasesMax`. */
export function createLeases({ leasesMax }: { readonly leasesMax: number }): Leases {
  // A map keeps the order of insertion, and every use takes out and puts back.
  const leases = new Map<string, Lease>();
  return {
    take(subjectKey): Lease | null {
      const lease = leases.get(subjectKey) ?? null;
      leases.delete(subjectKey);
      return lease;
    },
    put(subjectKey, lease): void {
      leases.set(subjectKey, lease);
      const [oldest] = leases.keys();
      if (leases.size > leasesMax && oldest !== undefined) leases.delete(oldest);
    },
  };
}

/** True when a request at `nowMs` can be served from the lease: a permit is left, and its stamp is not in the past. */
export function isUsable(policy: Policy, lease: Lease, nowMs: number): boolean {
  return lease.unused > 0 && lease.stampMs === slotEndMs(policy, nowMs);
}

/** The lease with one permit used. */
export function useOne(lease: Lease): Lease {
  return { ...lease, unused: lease.unused - 1 };
}

/** How a subject stands whose request can be served from the lease. */
export function standingOf({ unused, windows }: Lease): Standing {
  return {
    free: unused,
    retryAfterSeconds: 0,
    windows: windows.map((window) => ({ ...window, remaining: window.remaining + unused })),
    correction: null,
  };
}

/** How many permits to charge at once when `free`, at least one, could be taken. */
export function blockSize(policy: Policy, last: Lease | null, { free, nowMs }: {
  readonly free: number;
  readonly nowMs: number;
}): number {
  const isSameSlot = last?.stampMs === slotEndMs(policy, nowMs);
  if (!isSameSlot || slotMsOf(policy) === 1) return 1;
  const limit = Math.min(...policy.map((window) => window.limit));
  return Math.max(
    1,
    Math.floor(Math.min(last.charged, BLOCK_MAX, limit * SHARE_OF_LIMIT, free * SHARE_OF_FREE)),
  );
}

/** What is known once `permits` were charged for a request, which uses one of them; null when leases do not pay. */
export function renew(policy: Policy, last: Lease | null, { permits, windows, nowMs }: {
  readonly permits: number;
  readonly windows: readonly WindowStanding[];
  readonly nowMs: number;
}): Lease | null {
  if (slotMsOf(policy) === 1) return null;
  const stampMs = slotEndMs(policy, nowMs);
  const chargedBefore = last?.stampMs === stampMs ? last.charged : 0;
  return { stampMs, charged: chargedBefore + permits, unused: permits - 1, windows };
}
