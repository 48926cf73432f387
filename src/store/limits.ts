// Limits on requests: all subjects of a request are admitted in one checked commit, or none is and nothing is
// written. Calls of one process that share a subject take turns; between processes the checks decide, and whoever
// loses reads again. Under large limits most requests are served from a lease and ask the store nothing.

import { blockSize, createLeases, isUsable, type Lease, renew, standingOf, useOne } from "../lease.ts";
import type { Policy, PolicyName } from "../policy.ts";
import { createTurns } from "../turns.ts";
import { charge, refund, type Standing, weigh, type WindowStanding } from "../window.ts";
import { addAuditEvents, type AuditDeps, type AuditDraft } from "./audit.ts";
import { NOBODY } from "./audit_places.ts";
import { anyone, type Client, owner } from "./client.ts";
import { keys, type WindowRecord } from "./keys.ts";
import { isPresent, LOST, untilCommitted } from "./kv.ts";

/** Who counts under a policy. `subject` becomes part of a key: an id, or a hash of an address or network. */
export interface Subject {
  readonly policy: PolicyName;
  readonly subject: string;
  /** The account it stands for; null when that is a network or a challenge, or nobody's address. */
  readonly userId: string | null;
  /** Whoever asks has only named it, and is told when it refuses, but never how much others have left of it. */
  readonly isOnlyNamed?: boolean;
}

/** The answer to one request. */
export interface Verdict {
  /** Null when the request is admitted. */
  readonly refusal: Refusal | null;
  /**
   * One for each window of each policy, in the order asked; of several subjects the one with the least room, and none of
   * those that are only named.
   */
  readonly quotas: readonly Quota[];
}

/** Of several refusing subjects the one that takes longest: after `retryAfterSeconds` all have room. */
export interface Refusal {
  readonly policy: PolicyName;
  readonly retryAfterSeconds: number;
}

/** What the RateLimit headers tell of one window. */
export interface Quota {
  readonly policy: PolicyName;
  readonly limit: number;
  readonly windowSeconds: number;
  readonly remaining: number;
  /** Until `remaining` next grows; 0 when nothing is used. */
  readonly resetSeconds: number;
}

/** The one question that a gate has. */
export interface Limits {
  /**
   * Admits a request of `client` for all its subjects, or refuses it and takes nothing from any. Policies that are off
   * admit. At most four subjects; three, if one is an account itself. Who takes the last permit of a window is in the
   * audit trail, once in that window. Throws StoreUnavailable when the store does not decide: nothing is admitted then.
   */
  admit(subjects: readonly Subject[], client: Client): Promise<Verdict>;
}

type LimitDeps = AuditDeps & {
  readonly config: { readonly policies: Readonly<Record<PolicyName, Policy>> };
};

const LEASES_MAX = 50_000;

/** The limits of one process. Several over one store, as several servers are, never admit more than one would. */
export function createLimits(deps: LimitDeps): Limits {
  const { kv, config: { policies } } = deps;
  const takeTurns = createTurns();
  const leases = createLeases({ leasesMax: LEASES_MAX });

  return {
    admit(subjects, client): Promise<Verdict> {
      const named = nameOnce(subjects, policies);
      return takeTurns(named.map(({ id }) => id), async () => {
        // Taken out, so that after a commit whose outcome nobody knows no lease is left that it may have refunded.
        const asked = named.map((one) => ({ ...one, lease: leases.take(one.id) }));
        const decision = decideFromLeases(asked, kv.nowMs()) ?? await decideInStore(deps, asked, client);
        for (const { id, lease } of decision.outcomes) if (lease) leases.put(id, lease);
        return decision.verdict;
      });
    },
  };
}

/** A subject under a policy that is not off. */
interface Named {
  readonly id: string;
  readonly name: PolicyName;
  readonly userId: string | null;
  readonly isOnlyNamed: boolean;
  readonly policy: Policy;
  readonly key: ReturnType<typeof keys.window>;
}

/** With the lease that this process has for it. */
interface Asked extends Named {
  readonly lease: Lease | null;
}

/** How it stands before the request; `record` is what the store holds, with the permits nobody used given back. */
interface Sight extends Asked {
  readonly record: WindowRecord | null;
  readonly standing: Standing;
}

/** How it stands after it. `written` is null when the store keeps what it has. */
interface Outcome extends Asked {
  readonly written: WindowRecord | null;
  /** Whether this took the last permit, for the first time in that window. */
  readonly isReached?: boolean;
  readonly windows: readonly WindowStanding[];
}

interface Decision {
  readonly verdict: Verdict;
  readonly outcomes: readonly Outcome[];
}

/** A subject that is named twice counts once. */
function nameOnce(subjects: readonly Subject[], policies: Readonly<Record<PolicyName, Policy>>): Named[] {
  const named = new Map<string, Named>();
  for (const { policy: name, subject, userId, isOnlyNamed = false } of subjects) {
    const id = `${name} ${subject}`;
    const policy = policies[name];
    const key = keys.window(name, subject);
    if (policy.length > 0) named.set(id, { id, name, userId, isOnlyNamed, policy, key });
  }
  return [...named.values()];
}

/** Null when the store must be asked for at least one subject. */
function decideFromLeases(asked: readonly Asked[], nowMs: number): Decision | null {
  const isServed = asked.every(({ policy, lease }) => lease && isUsable(policy, lease, nowMs));
  return isServed ? decide(asked.map((one) => see(one, null, nowMs)), nowMs) : null;
}

function decideInStore(deps: LimitDeps, asked: readonly Asked[], client: Client): Promise<Decision> {
  const { kv } = deps;
  const accountId = asked.find(isAccount)?.userId ?? NOBODY;
  let current = asked;
  return untilCommitted(async () => {
    const [account, ...entries] = await kv.findMany([
      keys.user(accountId),
      ...current.map(({ key }) => key),
    ]);
    const nowMs = kv.nowMs();
    const decision = decide(
      current.map((one, index) => see(one, entries[index]?.value ?? null, nowMs)),
      nowMs,
    );
    const change = kv.change();
    // A deletion that came in between has removed the counts of its account already: there must be none after it.
    const isThere = isPresent(account);
    if (isThere) change.check(account);
    let isWritten = false;
    for (const [index, outcome] of decision.outcomes.entries()) {
      const entry = entries[index];
      if (!outcome.written || !entry || isAccount(outcome) && !isThere) continue;
      change.check(entry).set(entry.key, outcome.written);
      isWritten = true;
    }
    await addAuditEvents(deps, change, decision.outcomes.flatMap((outcome) => eventsOf(outcome, client)));
    if (!isWritten || await change.commit()) return decision;
    // A network store may call a commit lost that happened. What it refunded must not be refunded again.
    current = current.map((one) => ({ ...one, lease: one.lease && { ...one.lease, unused: 0 } }));
    return LOST;
  });
}

/** Whether its count is kept by the id of an account, and so goes with it. A request has one account at most. */
function isAccount({ userId, key }: Named): boolean {
  return userId !== null && key.path.at(-1) === userId;
}

function see(asked: Asked, stored: WindowRecord | null, nowMs: number): Sight {
  const { policy, lease } = asked;
  if (lease && isUsable(policy, lease, nowMs)) {
    return { ...asked, record: stored, standing: standingOf(lease) };
  }
  const record = lease ? refund(stored, { stampMs: lease.stampMs, permits: lease.unused }) : stored;
  return { ...asked, record, standing: weigh(policy, record, nowMs) };
}

function decide(sights: readonly Sight[], nowMs: number): Decision {
  const refusal = refusalOf(sights);
  const outcomes = sights.map((sight) => refusal ? leave(sight) : take(sight, nowMs));
  return { outcomes, verdict: { refusal, quotas: quotasOf(outcomes, nowMs) } };
}

function refusalOf(sights: readonly Sight[]): Refusal | null {
  const refusals = sights.filter(({ standing }) => standing.free === 0)
    .map(({ name, standing }) => ({ policy: name, retryAfterSeconds: standing.retryAfterSeconds }))
    .sort((a, b) => b.retryAfterSeconds - a.retryAfterSeconds);
  return refusals[0] ?? null;
}

/** A refusal writes nothing, unless the clock was set back: a wait that is not written down would never end. */
function leave({ standing, ...sight }: Sight): Outcome {
  const { correction, windows } = standing;
  return { ...sight, windows, written: correction, lease: correction ? null : sight.lease };
}

function take({ standing, ...sight }: Sight, nowMs: number): Outcome {
  const { policy, lease, record } = sight;
  if (lease && isUsable(policy, lease, nowMs)) {
    const used = useOne(lease);
    return { ...sight, windows: standingOf(used).windows, written: null, lease: used };
  }
  const permits = blockSize(policy, lease, { free: standing.free, nowMs });
  const charged = charge(policy, record, nowMs, permits);
  const { windows } = weigh(policy, charged, nowMs);
  const renewed = renew(policy, lease, { permits, windows, nowMs });
  const isReached = isNewlyFull(windows, record, nowMs);
  const toldAtMs = isReached ? nowMs : record?.toldAtMs;
  const written = toldAtMs === undefined ? charged : { ...charged, toldAtMs };
  return {
    ...sight,
    windows: renewed ? standingOf(renewed).windows : windows,
    written,
    isReached,
    lease: renewed,
  };
}

/** A subject that stays at its limit is told of once in the length of the window, not with every permit that frees. */
function isNewlyFull(
  windows: readonly WindowStanding[],
  record: WindowRecord | null,
  nowMs: number,
): boolean {
  const full = windows.filter(({ remaining }) => remaining === 0);
  const sinceToldMs = Math.abs(nowMs - (record?.toldAtMs ?? -Infinity));
  return full.some(({ windowMs }) => sinceToldMs >= windowMs);
}

/**
 * The last permit is told of rather than the first refusal, so that a refused request writes nothing: from then on
 * requests are refused until a permit frees.
 */
function eventsOf({ name, userId, windows, isReached = false }: Outcome, client: Client): AuditDraft[] {
  if (!isReached) return [];
  const seconds = windows.filter(({ remaining }) => remaining === 0).map(({ windowMs }) => windowMs / 1000);
  // Under the others an account is only named: whoever names it has not shown to be it.
  const isProven = userId !== null && (name === "user" || name === "password");
  return [{
    type: "limit_reached",
    actor: isProven ? owner(userId, client) : anyone(client),
    userId,
    cause: name,
    details: { window_seconds: seconds.join(" ") },
  }];
}

function quotasOf(outcomes: readonly Outcome[], nowMs: number): Quota[] {
  const tightest = new Map<string, Quota>();
  for (const { name, windows } of outcomes.filter(({ isOnlyNamed }) => !isOnlyNamed)) {
    for (const { limit, windowMs, remaining, freesAtMs } of windows) {
      const quota = {
        policy: name,
        limit,
        windowSeconds: windowMs / 1000,
        remaining,
        resetSeconds: Math.max(0, Math.ceil(((freesAtMs ?? nowMs) - nowMs) / 1000)),
      };
      const id = `${name} ${windowMs}`;
      const rival = tightest.get(id);
      if (!rival || isTighter(quota, rival)) tightest.set(id, quota);
    }
  }
  return [...tightest.values()];
}

function isTighter(a: Quota, b: Quota): boolean {
  return a.remaining === b.remaining ? a.resetSeconds > b.resetSeconds : a.remaining < b.remaining;
}
