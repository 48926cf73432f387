// The proof that no event of the audit trail was altered, taken out, put in or hidden. Each chain must go on without a
// gap to its head; events may be missing only where they have ended. Whoever puts a whole chain back to what it was, head
// and all, is found by an anchor: the heads of an earlier proof, kept where the store's intruder does not come.

import type { Secrets } from "../secrets.ts";
import {
  type AuditEventRecord,
  type AuditHeadRecord,
  hashOfEvent,
  hashOfOrigin,
  ownerOfOrigin,
  proofOfHead,
} from "./audit_event.ts";
import { findMissingPlaces, findStrayPlaces } from "./audit_places.ts";
import { keys } from "./keys.ts";
import { isPresent, type Kv, type Present } from "./kv.ts";
import { pagesOf } from "./page.ts";

/** How far each chain had come. It holds no secret, and nothing of the events. */
export type AuditAnchor = Readonly<Record<string, { readonly number: number; readonly hash: string }>>;

export interface AuditProof {
  readonly eventCount: number;
  /** A sentence for each thing that is wrong, at most a hundred; none when the trail is whole. */
  readonly faults: readonly string[];
  /** For the next proof. */
  readonly anchor: AuditAnchor;
}

const STEP = 500;
const FAULTS_MAX = 100;

/** What was seen on the way. */
interface Walk {
  readonly heads: ReadonlyMap<string, AuditHeadRecord>;
  readonly anchor: AuditAnchor;
  /** By chain, the event that the next one has to follow. */
  readonly links: Map<string, AuditEventRecord>;
  /** By chain, the last event beyond the head that was read at first. */
  readonly beyond: Map<string, AuditEventRecord>;
  /** Accounts whose deletion is told. */
  readonly deletedIds: Set<string>;
  /** By account, an event whose origin is wiped. */
  readonly wiped: Map<string, string>;
}

/**
 * Looks at every event that was there when it was called; of what a running server adds meanwhile it is left to the next
 * proof whether it goes on without a gap. An origin may be wiped where its account was deleted. Writes nothing.
 */
export async function proveAudit(
  kv: Kv,
  secrets: Secrets,
  { anchor = {} }: { readonly anchor?: AuditAnchor } = {},
): Promise<AuditProof> {
  const { heads, altered } = await collectHeads(kv, secrets);
  const faults = altered.map((chain) => `The head of chain ${chain} was altered`);
  const walk: Walk = {
    heads,
    anchor,
    links: new Map(),
    beyond: new Map(),
    deletedIds: new Set(),
    wiped: new Map(),
  };
  let eventCount = 0;
  // Oldest first: within a chain ids go up.
  for await (const entries of pagesOf(kv, keys.auditEvents(), STEP)) {
    const events: AuditEventRecord[] = [];
    for (const entry of entries) {
      if (isGenuine(secrets, entry)) events.push(entry.value);
      else faults.push(`Event ${nameOf(entry)} was altered, or not written by this server`);
    }
    for (const event of events) faults.push(...look(walk, event, kv.nowMs()));
    faults.push(...await findMissingPlaces(kv, events));
    eventCount += events.length;
    if (faults.length >= FAULTS_MAX) break;
  }
  for (const index of [keys.auditPlacesByUser(), keys.auditPlacesByType()]) {
    for await (const places of pagesOf(kv, index, STEP)) {
      faults.push(...await findStrayPlaces(kv, places));
      if (faults.length >= FAULTS_MAX) break;
    }
  }
  faults.push(...findEarlyEnds(walk, { altered, nowMs: kv.nowMs() }));
  faults.push(...await findOverruns(kv, secrets, walk));
  faults.push(...await findLostOrigins(kv, walk));
  return {
    eventCount,
    faults: faults.slice(0, FAULTS_MAX),
    anchor: Object.fromEntries([...heads].map(([chain, { number, hash }]) => [chain, { number, hash }])),
  };
}

/** Looks at an event that nobody has altered: is it where it belongs, and is its origin as it was? */
function look(walk: Walk, event: AuditEventRecord, nowMs: number): string[] {
  const { id, chain, number, hash, type, userId, origin, originHash } = event;
  const faults: string[] = [];
  if (type === "account_deleted" && userId !== null) walk.deletedIds.add(userId);
  if (origin !== null && !holds(() => hashOfOrigin(origin) === originHash)) {
    faults.push(`The origin of event ${id} was altered`);
  }
  if (origin === null && originHash !== null) {
    const ownerId = ownerOfOrigin(event);
    if (ownerId === null) faults.push(`Event ${id} has lost its origin`);
    else walk.wiped.set(ownerId, id);
  }
  const head = walk.heads.get(chain);
  if (!head || number > head.number) {
    walk.beyond.set(chain, event);
    return faults;
  }
  const known = walk.anchor[chain];
  if (known?.number === number && known.hash !== hash) {
    faults.push(`Event ${id} is not the one that the anchor knows as event ${number} of chain ${chain}`);
  }
  const before = walk.links.get(chain) ?? { number: 0, hash: "" };
  if (!isNext(event, before, nowMs)) {
    faults.push(
      `Chain ${chain} does not lead from event ${before.number} to event ${number} (${id}): something was taken out`,
    );
  }
  walk.links.set(chain, event);
  return faults;
}

/** An event follows the one before it, unless that one has ended; those of a chain end in its order. */
function isNext(
  { number, previousHash, previousExpiresAtMs }: AuditEventRecord,
  before: Pick<AuditEventRecord, "number" | "hash">,
  nowMs: number,
): boolean {
  if (number === before.number + 1) return previousHash === before.hash;
  return number > before.number + 1 && previousExpiresAtMs <= nowMs;
}

/** Chains that do not come as far as their heads say, or as they once came. */
function findEarlyEnds(
  { heads, links, anchor }: Walk,
  { altered, nowMs }: { readonly altered: readonly string[]; readonly nowMs: number },
): string[] {
  const faults: string[] = [];
  for (const [chain, { number, hash, newestExpiresAtMs }] of heads) {
    const last = links.get(chain) ?? { number: 0, hash: "" };
    if (last.hash === hash || newestExpiresAtMs <= nowMs) continue;
    faults.push(
      `Chain ${chain} ends at event ${last.number}, and had come to ${number}: the newest were taken out`,
    );
  }
  for (const [chain, { number }] of Object.entries(anchor)) {
    const reached = heads.get(chain)?.number ?? 0;
    if (reached >= number || altered.includes(chain)) continue;
    faults.push(
      `Chain ${chain} has come to event ${reached}, and the anchor knows event ${number}: it was put back`,
    );
  }
  return faults;
}

/** Events that no head knows: a server writes both in one commit. */
async function findOverruns(kv: Kv, secrets: Secrets, { beyond }: Walk): Promise<string[]> {
  if (beyond.size === 0) return [];
  // Read anew, because a running server goes on.
  const { heads, altered } = await collectHeads(kv, secrets);
  const reachedBy = (chain: string): number => heads.get(chain)?.number ?? 0;
  return [...beyond]
    .filter(([chain, { number }]) => number > reachedBy(chain) && !altered.includes(chain))
    .map(([chain, { id, number }]) =>
      `Event ${id} is event ${number} of chain ${chain}, whose head has only come to ${reachedBy(chain)}`
    );
}

async function findLostOrigins(kv: Kv, { wiped, deletedIds }: Walk): Promise<string[]> {
  const faults: string[] = [];
  for (const [ownerId, id] of wiped) {
    // Whoever was deleted may be there again, imported under the same id.
    if (deletedIds.has(ownerId) || !isPresent(await kv.find(keys.user(ownerId)))) continue;
    faults.push(`Event ${id} has lost its origin, though its account is there`);
  }
  return faults;
}

async function collectHeads(
  kv: Kv,
  secrets: Secrets,
): Promise<{ readonly heads: ReadonlyMap<string, AuditHeadRecord>; readonly altered: readonly string[] }> {
  const heads = new Map<string, AuditHeadRecord>();
  const altered: string[] = [];
  for await (const entries of pagesOf(kv, keys.auditHeads(), STEP)) {
    for (const entry of entries) {
      const chain = nameOf(entry);
      const isAsWritten = holds(() => {
        const { proof, ...head } = entry.value;
        return proofOfHead(secrets, chain, head) === proof;
      });
      if (isAsWritten) heads.set(chain, entry.value);
      else altered.push(chain);
    }
  }
  return { heads, altered };
}

function isGenuine(secrets: Secrets, entry: Present<AuditEventRecord>): boolean {
  return holds(() => {
    const { hash, ...event } = entry.value;
    return event.id === nameOf(entry) && hashOfEvent(secrets, event) === hash;
  });
}

/** What somebody else has written can have any form: what throws does not hold. */
function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}

function nameOf({ key: { path } }: Present<unknown>): string {
  return path.slice(1).join("/");
}
