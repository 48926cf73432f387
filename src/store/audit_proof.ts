// The proof that no event of the audit trail was altered, taken out or put in. Each chain must go on without a gap to its
// head; events may be missing only where they have ended. Whoever rolls a whole chain back, head and all, is found by an
// anchor: the heads of an earlier proof, kept where the store's intruder does not come.

import type { Secrets } from "../secrets.ts";
import {
  type AuditEventRecord,
  type AuditHeadRecord,
  hashOfEvent,
  hashOfOrigin,
  ownerOfOrigin,
  proofOfHead,
} from "./audit_event.ts";
import { keys } from "./keys.ts";
import { isPresent, type Kv, type Page } from "./kv.ts";

/** How far each chain had come. It holds no secret, and nothing of the events. */
export type AuditAnchor = Readonly<Record<string, { readonly number: number; readonly hash: string }>>;

export interface AuditProof {
  readonly eventCount: number;
  /** A sentence for each thing that is wrong, at most a hundred; none when the trail is whole. */
  readonly faults: readonly string[];
  /** For the next proof. */
  readonly anchor: AuditAnchor;
}

const HEADS_MAX = 1_000;
const STEP = 500;
const FAULTS_MAX = 100;

/** How far the proof of a chain has come. */
type Link = Pick<AuditEventRecord, "number" | "hash">;

/**
 * Looks at every event that was there when it was called; what a running server adds meanwhile is left for the next
 * proof. Writes nothing.
 */
export async function proveAudit(
  kv: Kv,
  secrets: Secrets,
  { anchor = {} }: { readonly anchor?: AuditAnchor } = {},
): Promise<AuditProof> {
  const heads = await collectHeads(kv);
  const links = new Map<string, Link>();
  const faults: string[] = [];
  const isGone = createGoneCheck(kv);
  let eventCount = 0;

  for await (const { id, event } of allEvents(kv)) {
    const head = heads.get(event.chain);
    if (head && event.number > head.number) continue;
    eventCount++;
    const link = links.get(event.chain);
    faults.push(
      ...(head ? [] : [`Event ${id} is in chain ${event.chain}, which has no head`]),
      ...alterations(secrets, { id, event }),
      ...gaps({ id, event, link }, kv.nowMs()),
      ...(anchor[event.chain]?.number === event.number && anchor[event.chain]?.hash !== event.hash
        ? [`Event ${id} is not the one that the anchor knows`]
        : []),
    );
    if (event.origin === null && event.originHash !== null && !await isGone(ownerOfOrigin(event))) {
      faults.push(`Event ${id} has lost its origin, though its account is there`);
    }
    links.set(event.chain, event);
    if (faults.length >= FAULTS_MAX) break;
  }
  if (faults.length < FAULTS_MAX) {
    for (const [chain, head] of heads) {
      faults.push(...headFaults(secrets, { chain, head, link: links.get(chain) }, kv.nowMs()));
    }
    for (const [chain, { number }] of Object.entries(anchor)) {
      const reached = heads.get(chain)?.number ?? 0;
      if (reached < number) {
        faults.push(
          `Chain ${chain} ends at ${reached}, and the anchor has seen ${number}: it was rolled back`,
        );
      }
    }
  }
  return {
    eventCount,
    faults: faults.slice(0, FAULTS_MAX),
    anchor: Object.fromEntries([...heads].map(([chain, { number, hash }]) => [chain, { number, hash }])),
  };
}

function alterations(
  secrets: Secrets,
  { id, event }: { readonly id: string; readonly event: AuditEventRecord },
): string[] {
  const { origin, originHash, hash } = event;
  const isAsWritten = event.id === id && hashOfEvent(secrets, event) === hash;
  if (!isAsWritten) return [`Event ${id} was altered, or not written by this server`];
  return origin !== null && hashOfOrigin(origin) !== originHash
    ? [`The origin of event ${id} was altered`]
    : [];
}

/** An event follows the one before it, unless that one has ended. */
function gaps(
  { id, event, link }: {
    readonly id: string;
    readonly event: AuditEventRecord;
    readonly link: Link | undefined;
  },
  nowMs: number,
): string[] {
  const { chain, number, previousHash, previousExpiresAtMs } = event;
  const before = link ?? { number: 0, hash: "" };
  if (number === before.number + 1 && previousHash === before.hash) return [];
  if (number > before.number + 1 && previousExpiresAtMs <= nowMs) return [];
  return [
    `Chain ${chain} does not lead from event ${before.number} to ${number} (${id}): what stood there is not`,
  ];
}

function headFaults(
  secrets: Secrets,
  { chain, head, link }: {
    readonly chain: string;
    readonly head: AuditHeadRecord;
    readonly link: Link | undefined;
  },
  nowMs: number,
): string[] {
  if (proofOfHead(secrets, chain, head) !== head.proof) return [`The head of chain ${chain} was altered`];
  const isLastSeen = link?.number === head.number && link.hash === head.hash;
  if (isLastSeen || head.newestExpiresAtMs <= nowMs) return [];
  return [`Chain ${chain} ends at event ${link?.number ?? 0} of ${head.number}: the newest were taken out`];
}

async function collectHeads(kv: Kv): Promise<Map<string, AuditHeadRecord>> {
  const { entries } = await kv.collect(keys.auditHeads(), { limit: HEADS_MAX });
  return new Map(entries.map(({ key, value }) => [String(key.path.at(-1)), value]));
}

/** Oldest first: within a chain ids go up. */
async function* allEvents(
  kv: Kv,
): AsyncGenerator<{ readonly id: string; readonly event: AuditEventRecord }> {
  let cursor: string | null = null;
  do {
    const page: Page<AuditEventRecord> = await kv.collect(keys.auditEvents(), { limit: STEP, cursor });
    for (const { key, value } of page.entries) yield { id: String(key.path.at(-1)), event: value };
    cursor = page.cursor;
  } while (cursor !== null);
}

/** Whether an account is not there; asked once for each. */
function createGoneCheck(kv: Kv): (userId: string | null) => Promise<boolean> {
  const known = new Map<string, boolean>();
  return async (userId) => {
    if (userId === null) return false;
    const isGone = known.get(userId) ?? !isPresent(await kv.find(keys.user(userId)));
    known.set(userId, isGone);
    return isGone;
  };
}
