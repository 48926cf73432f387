// Exact sliding windows: no half-open interval of a window's length holds more than its limit. An admission at s
// counts at t while t < s + windowMs. Up to 100 in a window s is the very millisecond; above, time is cut into at
// least 256 slots a window and s is the end of its slot: never over the limit, refused too long by under half a
// percent of the window. Slots are powers of two ms: they nest, so that joining stamps changes no count. A clock set
// back leaves stamps ahead of it; they are moved to now and leave a window later. One set forward ends windows early.

import type { Policy, Window } from "./policy.ts";
import type { WindowRecord } from "./store/keys.ts";

/** What a policy says of one subject at one moment. */
export interface Standing {
  /** Permits that can be taken now; Infinity when the policy is off. */
  readonly free: number;
  /** Whole seconds until one can be taken, and not a second too many; 0 when one is free. */
  readonly retryAfterSeconds: number;
  readonly windows: readonly WindowStanding[];
  /** The record to write although nothing is taken: stamps ahead of the clock were moved. Usually null. */
  readonly correction: WindowRecord | null;
}

/** One window of the policy; `freesAtMs` is when `remaining` next grows, null when it is whole. */
export interface WindowStanding extends Window {
  readonly remaining: number;
  readonly freesAtMs: number | null;
}

/** The answer to one request under one policy. */
export interface Admission {
  readonly isAdmitted: boolean;
  /** To be written with a check on the entry that was read, admitted or not; null: nothing to write. */
  readonly record: WindowRecord | null;
  readonly retryAfterSeconds: number;
}

const EXACT_LIMIT_MAX = 100;
const SLOTS_MIN = 256;
/** The clocks of two servers may differ by this much before a stamp counts as ahead of the clock. */
const CLOCK_SKEW_MS = 1_000;

/** Admits one request, or refuses it; `record` is what stands in the store. For limits decided in another commit. */
export function admitOne(policy: Policy, record: WindowRecord | null, nowMs: number): Admission {
  if (policy.length === 0) return { isAdmitted: true, record: null, retryAfterSeconds: 0 };
  const { free, retryAfterSeconds, correction } = weigh(policy, record, nowMs);
  if (free === 0) return { isAdmitted: false, record: correction, retryAfterSeconds };
  return { isAdmitted: true, record: charge(policy, record, nowMs), retryAfterSeconds };
}

/** The record with one more, full or not: for what is only counted. It never holds more than the window's limit. */
export function recordOne(window: Window, record: WindowRecord | null, nowMs: number): WindowRecord {
  return charge([window], record, nowMs);
}

/** How many the window holds now, at most its limit when they were counted with `recordOne`. */
export function countIn(window: Window, record: WindowRecord | null, nowMs: number): number {
  return countOf(stampsOf(record).filter(({ atMs }) => nowMs < leavesAtMs(window, atMs)));
}

/** How much room there is, and when there is more. Changes nothing. */
export function weigh(policy: Policy, record: WindowRecord | null, nowMs: number): Standing {
  const stored = stampsOf(record);
  const stamps = tidy(policy, stored, nowMs);
  const windows = policy.map((window) => weighWindow(window, stamps, nowMs));
  const blocked = windows.filter(({ remaining }) => remaining === 0);
  const admitsAtMs = Math.max(nowMs, ...blocked.map(({ freesAtMs }) => freesAtMs ?? nowMs));
  return {
    free: Math.min(...windows.map(({ remaining }) => remaining)),
    retryAfterSeconds: Math.ceil((admitsAtMs - nowMs) / 1000),
    windows,
    correction: isAhead(policy, stored, nowMs) ? toRecord(policy, stamps) : null,
  };
}

/**
 * The record with `permits` more, taken now. The policy is not off. Does not ask whether there is room; beyond the
 * largest limit the oldest are forgotten, which shortens no wait and bounds the record.
 */
export function charge(
  policy: Policy,
  record: WindowRecord | null,
  nowMs: number,
  permits = 1,
): WindowRecord {
  const stamps = stampsOf(record);
  const atMs = Math.max(slotEndMs(policy, nowMs), stamps.at(-1)?.atMs ?? 0);
  return toRecord(policy, tidy(policy, [...stamps, { atMs, count: permits }], nowMs));
}

/**
 * The record without `permits` that were charged at `stampMs` and that nobody used. Unchanged when that stamp is not
 * there any more: they stay charged then, on the safe side.
 */
export function refund(
  record: WindowRecord | null,
  { stampMs, permits }: { readonly stampMs: number; readonly permits: number },
): WindowRecord | null {
  const index = record?.stampsMs.indexOf(stampMs) ?? -1;
  const count = record?.counts[index];
  if (record === null || count === undefined || count < permits) return record;
  return { ...record, counts: record.counts.with(index, count - permits) };
}

/** The end of the slot that `nowMs` lies in, which is what a request is stamped with: now itself for small limits. */
export function slotEndMs(policy: Policy, nowMs: number): number {
  return endOfSlot(nowMs, slotMsOf(policy));
}

/** The width of the slots in which a request is stamped; 1 ms for small limits. */
export function slotMsOf(policy: Policy): number {
  return Math.min(...policy.map(windowSlotMs));
}

interface Stamp {
  readonly atMs: number;
  readonly count: number;
}

function weighWindow(window: Window, stamps: readonly Stamp[], nowMs: number): WindowStanding {
  const counting = stamps.filter(({ atMs }) => nowMs < leavesAtMs(window, atMs));
  const used = countOf(counting);
  // One, unless the limit was lowered since: then all that are too many have to leave before it.
  const leaving = stampOfNth(counting, Math.max(1, used - window.limit + 1));
  return {
    ...window,
    remaining: Math.max(0, window.limit - used),
    freesAtMs: leaving === null ? null : leavesAtMs(window, leaving.atMs),
  };
}

/** The stamp of the n-th oldest admission. */
function stampOfNth(stamps: readonly Stamp[], n: number): Stamp | null {
  let seen = 0;
  for (const stamp of stamps) {
    seen += stamp.count;
    if (seen >= n) return stamp;
  }
  return null;
}

/**
 * The stamps that still count, oldest first, none ahead of the clock. Neighbours are joined when every window that
 * counts them has them in one slot: this bounds a record to about 512 stamps a window.
 */
function tidy(policy: Policy, stamps: readonly Stamp[], nowMs: number): Stamp[] {
  const latestMs = isAhead(policy, stamps, nowMs) ? slotEndMs(policy, nowMs) : Infinity;
  const tidied: Stamp[] = [];
  for (const { atMs: stampMs, count } of stamps) {
    const atMs = Math.min(stampMs, latestMs);
    const counting = policy.filter((window) => nowMs < leavesAtMs(window, atMs));
    if (counting.length === 0) continue;
    // Slots nest: who shares the narrowest shares all, and leaves every window together.
    const slotMs = slotMsOf(counting);
    const last = tidied.at(-1);
    const isJoined = last !== undefined && endOfSlot(last.atMs, slotMs) === endOfSlot(atMs, slotMs);
    if (isJoined) tidied.pop();
    tidied.push({ atMs, count: isJoined ? last.count + count : count });
  }
  return tidied;
}

/** `stamps` are tidy and at least one, so that the record ends when the last of them has left every window. */
function toRecord(policy: Policy, stamps: readonly Stamp[]): WindowRecord {
  const kept = newest(stamps, Math.max(...policy.map(({ limit }) => limit)));
  const lastMs = kept.at(-1)?.atMs ?? 0;
  return {
    stampsMs: kept.map(({ atMs }) => atMs),
    counts: kept.map(({ count }) => count),
    expiresAtMs: Math.max(...policy.map((window) => leavesAtMs(window, lastMs))),
  };
}

/** The newest stamps that hold `count`, or all. */
function newest(stamps: readonly Stamp[], count: number): readonly Stamp[] {
  const surplus = countOf(stamps) - count;
  let seen = 0;
  return stamps.filter((stamp) => {
    seen += stamp.count;
    return seen > surplus;
  });
}

function stampsOf(record: WindowRecord | null): Stamp[] {
  return record?.stampsMs.map((atMs, index) => ({ atMs, count: record.counts[index] ?? 0 })) ?? [];
}

function countOf(stamps: readonly Stamp[]): number {
  return stamps.reduce((sum, { count }) => sum + count, 0);
}

/** True when the clock was set back since the last of them. */
function isAhead(policy: Policy, stamps: readonly Stamp[], nowMs: number): boolean {
  const lastMs = stamps.at(-1)?.atMs ?? 0;
  return lastMs > slotEndMs(policy, nowMs) + CLOCK_SKEW_MS;
}

function leavesAtMs(window: Window, stampMs: number): number {
  return endOfSlot(stampMs, windowSlotMs(window)) + window.windowMs;
}

function endOfSlot(ms: number, slotMs: number): number {
  return Math.ceil(ms / slotMs) * slotMs;
}

function windowSlotMs({ limit, windowMs }: Window): number {
  if (limit <= EXACT_LIMIT_MAX) return 1;
  return 2 ** Math.floor(Math.log2(windowMs / SLOTS_MIN));
}
