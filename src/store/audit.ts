// The audit trail: who did what to whom, when and from where. An event is written in the commit of what it tells. Events
// form chains, so that writers who have nothing to do with each other need not wait for each other: all of one account,
// or of one stranger's network, are in one chain, and the check on its head puts them in order.

import type { Deps } from "../deps.ts";
import { newId } from "../id.ts";
import { digest, randomText } from "../secrets.ts";
import {
  type AuditEventRecord,
  type AuditHeadRecord,
  type AuditOriginRecord,
  type AuditType,
  hashOfEvent,
  hashOfOrigin,
  ownerOfOrigin,
  proofOfHead,
} from "./audit_event.ts";
import type { Actor } from "./client.ts";
import { keys } from "./keys.ts";
import { type Change, isPresent, LOST, untilCommitted } from "./kv.ts";

export interface AuditDeps extends Pick<Deps, "kv" | "secrets"> {
  readonly config: Pick<Deps["config"], "auditRetentionMs">;
}

/** What is to be told. */
export interface AuditDraft {
  readonly type: AuditType;
  readonly actor: Actor;
  /** The account it happens to; null when there is none. */
  readonly userId: string | null;
  /** Why it failed or was withheld, as openapi/audit.ts lists it. */
  readonly cause?: string;
  /** Ids, names of things and counts: never an address, a secret, or what somebody typed. */
  readonly details?: Readonly<Record<string, string>>;
}

/** Stands in an index for those whose account there is none of: an unknown address costs the same. */
const NOBODY = "nobody";

/**
 * Adds events to the commit of what they tell; that commit fails when somebody else has added to their chain
 * meanwhile. Once in a commit, with all of its events; they concern one account at most.
 */
export async function addAuditEvents(
  { kv, secrets, config }: AuditDeps,
  change: Change,
  drafts: readonly AuditDraft[],
): Promise<void> {
  const lead = drafts.find(({ userId }) => userId !== null) ?? drafts[0];
  if (!lead) return;
  const chain = chainOf(lead);
  const ownerId = ownerOfOrigin({ actorId: lead.actor.id, userId: lead.userId }) ?? NOBODY;
  const [head, owner] = await kv.findMany([keys.auditHead(chain), keys.user(ownerId)]);
  // A deletion that comes in between would not find this event: its commit takes the record that is checked here.
  change.check(head, owner);
  const isGone = ownerId !== NOBODY && !isPresent(owner) && lead.type !== "account_created";

  let newest: AuditHeadRecord = head.value ?? EMPTY;
  for (const draft of drafts) {
    const event = follow({ kv, secrets, config }, newest, {
      chain,
      draft,
      origin: isGone ? null : originOf(draft.actor),
    });
    change.set(keys.auditEvent(event.id), event);
    const place = { eventId: event.id, expiresAtMs: event.expiresAtMs };
    change.set(keys.auditEventOn(event.type, event.id), place);
    for (const userId of concerned(event)) change.set(keys.auditEventOf(userId, event.id), place);
    newest = headOf(secrets, event, newest);
  }
  change.set(head.key, newest);
}

/** Writes an event of something that writes nothing else. */
export function insertAuditEvent(deps: AuditDeps, draft: AuditDraft): Promise<true> {
  return untilCommitted(async () => {
    const change = deps.kv.change();
    await addAuditEvents(deps, change, [draft]);
    return await change.commit() || LOST;
  });
}

const EMPTY: AuditHeadRecord = { number: 0, hash: "", newestIdMs: 0, newestExpiresAtMs: 0, proof: "" };

/** The event that comes after `newest`. */
function follow(
  { kv, secrets, config }: AuditDeps,
  newest: AuditHeadRecord,
  { chain, draft, origin }: {
    readonly chain: string;
    readonly draft: AuditDraft;
    readonly origin: AuditOriginRecord | null;
  },
): AuditEventRecord {
  const { type, actor, userId, cause = null, details = {} } = draft;
  const atMs = kv.nowMs();
  const unproved = {
    // Two in one millisecond, or a clock set back, must not change the order of a chain.
    id: newId(idMsAfter(newest, atMs)),
    chain,
    number: newest.number + 1,
    type,
    actorKind: actor.kind,
    actorId: actor.id,
    userId,
    cause,
    details,
    requestId: actor.client?.requestId ?? null,
    atMs,
    origin,
    originHash: origin && hashOfOrigin(origin),
    previousHash: newest.hash,
    previousExpiresAtMs: newest.newestExpiresAtMs,
    expiresAtMs: atMs + config.auditRetentionMs,
  };
  return { ...unproved, hash: hashOfEvent(secrets, unproved) };
}

function headOf(
  secrets: AuditDeps["secrets"],
  { chain, number, hash, atMs, expiresAtMs: newestExpiresAtMs }: AuditEventRecord,
  before: AuditHeadRecord,
): AuditHeadRecord {
  const head = { number, hash, newestIdMs: idMsAfter(before, atMs), newestExpiresAtMs };
  return { ...head, proof: proofOfHead(secrets, chain, head) };
}

function idMsAfter({ newestIdMs }: AuditHeadRecord, atMs: number): number {
  return Math.max(atMs, newestIdMs + 1);
}

function originOf({ client }: Actor): AuditOriginRecord | null {
  return client && { ip: client.address, userAgent: client.userAgent, nonce: randomText(16) };
}

/** Everything about one account is in one chain: writers about it wait for its record in any case. */
function chainOf({ userId, actor }: AuditDraft): string {
  // One of 64 letters, each as likely as any other.
  return digest(userId ?? actor.id ?? actor.client?.networkHash ?? actor.kind).charAt(0);
}

/** Whose events it is among: of who it happened to, and of who did it. */
function concerned({ userId, actorId }: Pick<AuditEventRecord, "userId" | "actorId">): Set<string> {
  return new Set([userId ?? actorId ?? NOBODY, actorId ?? userId ?? NOBODY]);
}
