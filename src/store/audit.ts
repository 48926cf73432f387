// The audit trail: who did what to whom, when and from where. An event is written in the commit of what it tells. Events
// form chains, so that writers who have nothing to do with each other need not wait for each other: the check on the
// head of a chain puts its events in order.

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
import { NOBODY, placeOf, placesOf } from "./audit_places.ts";
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

/**
 * Adds events to the commit of what they tell; that commit fails when somebody else has added to their chain
 * meanwhile. Once in a commit, with all of its events: they take one check for the chain (a stranger's two), and one for
 * each account (or nobody) that they came from.
 */
export async function addAuditEvents(
  { kv, secrets, config }: AuditDeps,
  change: Change,
  drafts: readonly AuditDraft[],
): Promise<void> {
  const [first] = drafts;
  if (!first) return;
  const { chain, otherChain, lifeMs } = placeInTrail(drafts, first, config);
  const [head, otherHead, ...owners] = await kv.findMany([
    keys.auditHead(chain),
    keys.auditHead(otherChain),
    ...ownersOf(drafts).map(keys.user),
  ]);
  // A deletion that comes in between would not find these events: its commit takes the records that are checked here.
  change.check(head, ...owners);
  if (otherChain !== chain) change.check(otherHead);
  const ownersThere = new Set(owners.filter(isPresent).map(({ value }) => value.id));

  let newest: AuditHeadRecord = head.value ?? EMPTY;
  for (const draft of drafts) {
    const ownerId = ownerOf(draft);
    const isTraced = ownerId === null || ownersThere.has(ownerId) || draft.type === "account_created";
    const origin = isTraced ? originOf(draft.actor) : null;
    const event = follow({ kv, secrets }, newest, { chain, draft, origin, lifeMs });
    change.set(keys.auditEvent(event.id), event);
    for (const place of placesOf(event)) change.set(place, placeOf(event));
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

/**
 * What strangers do that concerns no account is kept for so long at most: a week to look into it, and an end to what they
 * can fill a disk with.
 */
const NOBODYS_RETENTION_MS = 7 * 24 * 60 * 60 * 1000;

const EMPTY: AuditHeadRecord = { number: 0, hash: "", newestIdMs: 0, newestExpiresAtMs: 0, proof: "" };

/** The event that comes after `newest`. */
function follow(
  { kv, secrets }: Pick<AuditDeps, "kv" | "secrets">,
  newest: AuditHeadRecord,
  { chain, draft, origin, lifeMs }: {
    readonly chain: string;
    readonly draft: AuditDraft;
    readonly origin: AuditOriginRecord | null;
    readonly lifeMs: number;
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
    expiresAtMs: atMs + lifeMs,
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

/**
 * Which chain the events of a commit are in, and for how long. An account's own is in one chain, whose writers wait for
 * its record in any case. A stranger's is in any: which requests wait for each other must not tell whether an address has
 * an account. What is kept for another time is in another chain, so that the events of a chain end in its order.
 */
function placeInTrail(
  drafts: readonly AuditDraft[],
  { userId, actor }: AuditDraft,
  { auditRetentionMs }: AuditDeps["config"],
): { readonly chain: string; readonly otherChain: string; readonly lifeMs: number } {
  const isStranger = actor.kind === "anyone";
  const text = isStranger ? randomText(1) : digest(userId ?? actor.id ?? actor.kind);
  // One of 64 letters, each as likely as any other.
  const chainOf = (lifeMs: number): string => `${text.charAt(0)}-${lifeMs}`;
  const nobodysMs = Math.min(NOBODYS_RETENTION_MS, auditRetentionMs);
  const isNobodys = isStranger && drafts.every((draft) => ownerOf(draft) === null);
  const [lifeMs, otherMs] = isNobodys ? [nobodysMs, auditRetentionMs] : [auditRetentionMs, nobodysMs];
  const chain = chainOf(lifeMs);
  // Of a stranger both are checked, though one is written: so those about accounts wait for those about nobody.
  return { chain, otherChain: isStranger ? chainOf(otherMs) : chain, lifeMs };
}

/**
 * Each account once. Nobody is asked for as often as the drafts say: it must cost the same whether or not an address
 * has an account.
 */
function ownersOf(drafts: readonly AuditDraft[]): string[] {
  return drafts.map((draft) => ownerOf(draft) ?? NOBODY)
    .filter((id, index, all) => id === NOBODY || all.indexOf(id) === index);
}

function ownerOf({ actor, userId }: AuditDraft): string | null {
  return ownerOfOrigin({ actorId: actor.id, userId });
}
