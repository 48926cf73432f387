// An event of the audit trail as it is stored, and what proves it: every event carries a keyed hash over itself and over
// the one before it in its chain, so that without SECRET_KEY none can be altered, taken out or put in between.

import { digest, type Secrets } from "../secrets.ts";

/** What the audit trail tells of. openapi/audit.ts says of each what it means. */
export type AuditType =
  | "account_created"
  | "account_deleted"
  | "code_failed"
  | "code_sent"
  | "code_withheld"
  | "data_exported"
  | "email_changed"
  | "limit_reached"
  | "mail_retried"
  | "password_changed"
  | "password_failed"
  | "password_reset"
  | "plan_changed"
  | "profile_changed"
  | "refresh_token_reused"
  | "role_changed"
  | "session_ended"
  | "sessions_ended"
  | "sign_in_failed"
  | "signed_in"
  | "signing_key_rotated"
  | "status_changed"
  | "store_backed_up"
  | "store_restored"
  | "users_exported"
  | "users_imported";

/** From where somebody acted: the one part of an event that is wiped, with the account that it tells of. */
export interface AuditOriginRecord {
  readonly ip: string;
  readonly userAgent: string | null;
  /** Random, so that the hash of a wiped origin tells nothing. */
  readonly nonce: string;
}

/** One event of the audit trail. Written by store/audit.ts; never changed but for its origin. Holds ids, and no address. */
export interface AuditEventRecord {
  /** Later than every id before it in its chain. */
  readonly id: string;
  readonly chain: string;
  /** Its place in the chain, from 1. */
  readonly number: number;
  readonly type: AuditType;
  readonly actorKind: "anyone" | "user" | "admin" | "operator";
  readonly actorId: string | null;
  /** The account it happened to. */
  readonly userId: string | null;
  /** Why it failed or was withheld. */
  readonly cause: string | null;
  readonly details: Readonly<Record<string, string>>;
  readonly requestId: string | null;
  readonly atMs: number;
  readonly origin: AuditOriginRecord | null;
  /** Of the origin as it was written; null when there was none. */
  readonly originHash: string | null;
  /** Of the event before it in the chain; empty for the first. */
  readonly previousHash: string;
  /** From then on the event before it may be gone. */
  readonly previousExpiresAtMs: number;
  /** A keyed hash over all of the rest but the origin. */
  readonly hash: string;
  readonly expiresAtMs: number;
}

/** The newest event of a chain: the next one is written in a commit that checks this. */
export interface AuditHeadRecord {
  readonly number: number;
  readonly hash: string;
  /** The time within the newest id: the next one gets a later one. */
  readonly newestIdMs: number;
  readonly newestExpiresAtMs: number;
  /** A keyed hash over all of the rest: the proof of a chain whose events have all ended. */
  readonly proof: string;
}

/** That an event is among those of an account, or of a type. */
export interface AuditPlaceRecord {
  readonly eventId: string;
  readonly expiresAtMs: number;
}

/** An event before its hash is known. */
export type UnprovedEvent = Omit<AuditEventRecord, "hash">;

/** What an event's `hash` must be: over all of it. The origin takes part as its hash, so that it can be wiped. */
export function hashOfEvent(secrets: Secrets, event: UnprovedEvent): string {
  const { origin: _origin, ...told } = event;
  return secrets.mac("audit-event", JSON.stringify(told));
}

/** What a head's `proof` must be. */
export function proofOfHead(
  secrets: Secrets,
  chain: string,
  head: Omit<AuditHeadRecord, "proof">,
): string {
  return secrets.mac("audit-head", chain, JSON.stringify(head));
}

/** What an origin's hash must be. */
export function hashOfOrigin(origin: AuditOriginRecord): string {
  return digest(JSON.stringify(origin));
}

/** Whose origin it is: with that account it is wiped. Null: of somebody who is nobody here. */
export function ownerOfOrigin(
  { actorId, userId }: Pick<AuditEventRecord, "actorId" | "userId">,
): string | null {
  return actorId ?? userId;
}
