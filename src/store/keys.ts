// Every key of the store: what stands there, for how long, and which file writes it. An index holds an id, never
// a copy. Addresses, networks and codes become keys only as hashes, but for `users_by_text`: a hash has no prefix to
// search by. A record with `expiresAtMs` ends by itself.

import { digest } from "../secrets.ts";
import type { AuditEventRecord, AuditHeadRecord, AuditPlaceRecord, AuditType } from "./audit_event.ts";
import type { Key } from "./kv.ts";

/** A person's account. Written by store/users.ts; lives until the account is deleted. */
export interface UserRecord {
  readonly id: string;
  /** As it will be written to: lower case, the domain in punycode. */
  readonly email: string;
  readonly isEmailVerified: boolean;
  readonly username: string | null;
  readonly name: string | null;
  readonly locale: string | null;
  readonly role: "user" | "admin";
  readonly plan: "free" | "premium";
  readonly status: "active" | "disabled";
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly lastLoginAtMs: number | null;
  /** Challenges and reset tokens of an earlier epoch open nothing: raising it ends them all in one write. */
  readonly codeEpoch: number;
  /** Set when the account came from another system: what happened before, happened there. */
  readonly importedAtMs?: number;
}

/** What users are told apart by in lists. */
export type UserFacets = Pick<UserRecord, "role" | "status" | "plan">;

/**
 * The account's password, apart from the user record so that no read of a user can carry it away. Written by
 * store/users.ts, and by store/passwords.ts when it changes.
 */
export interface CredentialRecord {
  /** A PHC string, `$argon2id$…`; of an imported account until it signs in, whatever src/foreign_hash.ts reads. */
  readonly passwordHash: string;
  readonly changedAtMs: number;
}

/** How many accounts are active admins. Written by store/admins.ts with every change to one. */
export interface ActiveAdminsRecord {
  readonly count: number;
}

/** Whose a username is: an account's, or for a while a pending registration's. Written by store/usernames.ts. */
export type UsernameRecord =
  | { readonly owner: "user"; readonly userId: string }
  | {
    readonly owner: "registration";
    readonly challengeHash: string;
    /** The address that registers: it may take the username itself, by this registration or otherwise. */
    readonly emailHash: string;
    readonly expiresAtMs: number;
  };

/** One signed-in device. Written by store/sessions.ts and, when it is refreshed, store/rotation.ts; gone once it ends. */
export interface SessionRecord {
  readonly id: string;
  readonly userId: string;
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number;
  /** Of the one refresh token that works now. */
  readonly refreshHash: string;
  readonly refreshExpiresAtMs: number;
  readonly userAgent: string | null;
  /** The client's network address, for its owner to recognise. */
  readonly ip: string;
  /** The absolute limit, however often it is refreshed. */
  readonly endsAtMs: number;
  /** When the last of its tokens ends. */
  readonly expiresAtMs: number;
}

/**
 * The blacklist: a refresh token that was rotated, or was the newest of its session when its account was disabled.
 * Written by store/rotation.ts and store/sessions.ts; kept until it would have expired.
 */
export interface UsedRefreshTokenRecord {
  readonly userId: string;
  readonly sessionId: string;
  readonly rotatedAtMs: number;
  /** With the token itself and the server's key this gives its successor again; alone nothing. Null: it has none. */
  readonly successorNonce: string | null;
  readonly successorExpiresAtMs: number;
  readonly expiresAtMs: number;
}

export type ChallengePurpose = "registration" | "password_reset" | "email_change" | "account_deletion";

/** A flow that waits for its mailed code. Written by store/challenges.ts; one at most opens, once. */
export interface ChallengeRecord {
  readonly purpose: ChallengePurpose;
  /** The account it was made for; null for registrations and unknown addresses. */
  readonly userId: string | null;
  readonly codeEpoch: number;
  /** Whose wrong guesses these are (see guessWindow): a hash. */
  readonly guessSubject: string;
  readonly codeHash: string;
  /** Counts the codes sent; a mail of an earlier one is not worth sending any more. */
  readonly codeNumber: number;
  /** When its newest code, six digits that a stranger may have asked for, took its part of the day's guesses; or null. */
  readonly guessesHeldAtMs: number | null;
  readonly codeExpiresAtMs: number;
  readonly wrongGuesses: number;
  readonly resendAfterMs: number;
  /** What the flow needs in the end, sealed under the challenge id, which the store does not hold. */
  readonly sealed: Uint8Array;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** The challenge of a purpose of which an account has one at a time. Written by store/challenges.ts with a new one. */
export interface CurrentChallengeRecord {
  readonly challengeHash: string;
  readonly expiresAtMs: number;
}

/** What a right password reset code was exchanged for. Written by store/passwords.ts; works once. */
export interface ResetTokenRecord {
  readonly userId: string;
  readonly codeEpoch: number;
  readonly expiresAtMs: number;
}

/** An account that is gone for everybody, while the rest of it is cleared away. Written and removed by store/deletion.ts. */
export interface TombstoneRecord {
  readonly userId: string;
  readonly addressHash: string;
}

/** When an account left an address, by its end or for another. Written by store/freed_addresses.ts, for a day. */
export interface FreedAddressRecord {
  /** Registrations that were begun before are void. */
  readonly freedAtMs: number;
  readonly expiresAtMs: number;
}

/** Admitted requests of one subject under one policy. Written by store/limits.ts. */
export interface WindowRecord {
  /** Ascending moments, each the end of the slot it stands for. */
  readonly stampsMs: readonly number[];
  /** How many were admitted at the stamp of the same index. */
  readonly counts: readonly number[];
  /** When the audit trail was last told that it is full. */
  readonly toldAtMs?: number;
  readonly expiresAtMs: number;
}

export type MailState = "queued" | "sending" | "sent" | "dead";

/** One mail of the outbox. Written by store/mails.ts, in the commit that decides on it; kept 30 days for the report. */
export interface MailRecord {
  readonly id: string;
  readonly kind: string;
  readonly userId: string | null;
  /** Whose mails this one is found among: the account's id, or before there is one the hash of the address. */
  readonly owner: string;
  /** Recipient and content (a code among it), sealed under the id; null once it is not needed any more. */
  readonly sealed: Uint8Array | null;
  readonly state: MailState;
  readonly attempts: number;
  /** Why the last attempt failed, without the recipient's address. */
  readonly reason: string | null;
  readonly createdAtMs: number;
  /** When the next attempt is due, or when the lease of the present one ends. */
  readonly dueAtMs: number;
  /** How long it last waited after the server had put it off; doubles each time. */
  readonly retryDelayMs: number;
  /** Not sent after this moment: a code mail's code is dead then. */
  readonly sendBeforeMs: number;
  /** Whose code it carries: once that code is dead the mail is dropped. Number 0 is no code's: never to be sent. */
  readonly challenge: { readonly hash: string; readonly codeNumber: number } | null;
  readonly sentAtMs: number | null;
  readonly expiresAtMs: number;
}

/** One of the outbox's mails that are not done, sorted by when they are due; codes that nobody has tried to send apart. */
export interface MailDueRecord {
  readonly mailId: string;
  readonly dueAtMs: number;
}

/** That a mail is among those of an owner, or of a state: nothing else of it. */
export interface MailPlaceRecord {
  readonly mailId: string;
  readonly expiresAtMs: number;
}

/** A mail that the development mailbox shows, sealed like the outbox. Written by mail/mailbox.ts. */
export interface MailboxRecord {
  readonly sealed: Uint8Array;
  readonly expiresAtMs: number;
}

/** One note. Written by store/notes.ts; lives until it, or its owner's account, is deleted. */
export interface NoteRecord {
  readonly id: string;
  readonly title: string;
  readonly body: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** How many notes an account has. Written by store/notes.ts with every note that comes or goes; absent means none. */
export interface NoteCountRecord {
  readonly count: number;
  /** The time within the newest id: the next one gets a later one. */
  readonly newestIdMs: number;
}

/** A network that an account signed in from. Written by store/sessions.ts; ends 30 days after the last time. */
export interface KnownNetworkRecord {
  readonly lastSignInAtMs: number;
  readonly expiresAtMs: number;
}

/** A key that signs access tokens. Written by store/signing_keys.ts. */
export interface SigningKeyRecord {
  readonly kid: string;
  readonly publicJwk: { readonly kty: "OKP"; readonly crv: "Ed25519"; readonly x: string };
  /** The private JWK, sealed under SECRET_KEY. */
  readonly sealed: Uint8Array;
  readonly createdAtMs: number;
  /** Until then it is published, and signs nothing. Absent: it signs from the start. */
  readonly signsAtMs?: number;
  /** Set once there is a newer key: the last token of this one has expired then. */
  readonly expiresAtMs?: number;
}

/** Which commit of a process was the last to use this slip. Written by store/receipts.ts; swept a day after it. */
export interface ReceiptRecord {
  readonly number: number;
  readonly filling: Uint8Array;
}

/** Marks the store as ours and tells which layout it has. Written at the first start, and by store/schema.ts. */
export interface StoreRecord {
  readonly schema: number;
  /** How far the migration to the next layout has come. */
  readonly cursor?: string;
  readonly createdAtMs: number;
}

/** How a canonical email becomes part of a key: SHA-256, so that no address stands in one. */
export function hashEmail(email: string): string {
  return digest(email);
}

const key = <Value>(...path: Deno.KvKeyPart[]): Key<Value> => ({ path });

export const keys = {
  /** Whatever stands below a path; below none, the whole store. For who checks it. */
  below: (...path: string[]) => key<unknown>(...path),

  store: () => key<StoreRecord>("store"),
  /** Written by the readiness probe, to prove that writes work. */
  probe: () => key<{ readonly atMs: number }>("probe"),
  receipt: (processId: string, slip: number) => key<ReceiptRecord>("receipts", processId, slip),

  users: () => key<UserRecord>("users"),
  user: (userId: string) => key<UserRecord>("users", userId),
  userIdByEmail: (emailHash: string) => key<string>("users_by_email", emailHash),
  username: (usernameLowerCase: string) => key<UsernameRecord>("usernames", usernameLowerCase),
  /** Addresses and usernames as they are, in lower case. Written by store/user_index.ts, like the next. */
  usersByText: () => key<string>("users_by_text"),
  userByText: (text: string, userId: string) => key<string>("users_by_text", text, userId),
  usersByFacets: ({ role, status, plan }: UserFacets) => key<string>("users_by_facets", role, status, plan),
  userByFacets: ({ role, status, plan, id }: UserRecord) =>
    key<string>("users_by_facets", role, status, plan, id),
  activeAdmins: () => key<ActiveAdminsRecord>("active_admins"),
  credential: (userId: string) => key<CredentialRecord>("credentials", userId),

  sessions: () => key<SessionRecord>("sessions"),
  sessionsOf: (userId: string) => key<SessionRecord>("sessions", userId),
  session: (userId: string, sessionId: string) => key<SessionRecord>("sessions", userId, sessionId),
  usedRefreshTokensOf: (userId: string) => key<UsedRefreshTokenRecord>("used_refresh_tokens", userId),
  usedRefreshToken: (userId: string, tokenHash: string) =>
    key<UsedRefreshTokenRecord>("used_refresh_tokens", userId, tokenHash),
  knownNetworksOf: (userId: string) => key<KnownNetworkRecord>("known_networks", userId),
  knownNetwork: (userId: string, networkHash: string) =>
    key<KnownNetworkRecord>("known_networks", userId, networkHash),

  challenge: (challengeHash: string) => key<ChallengeRecord>("challenges", challengeHash),
  currentChallengesOf: (userId: string) => key<CurrentChallengeRecord>("current_challenges", userId),
  currentChallenge: (userId: string, purpose: ChallengePurpose) =>
    key<CurrentChallengeRecord>("current_challenges", userId, purpose),
  resetToken: (tokenHash: string) => key<ResetTokenRecord>("reset_tokens", tokenHash),
  tombstones: () => key<TombstoneRecord>("tombstones"),
  tombstone: (userId: string) => key<TombstoneRecord>("tombstones", userId),
  freedAddress: (addressHash: string) => key<FreedAddressRecord>("freed_addresses", addressHash),

  notesOf: (userId: string) => key<NoteRecord>("notes", userId),
  note: (userId: string, noteId: string) => key<NoteRecord>("notes", userId, noteId),
  noteCount: (userId: string) => key<NoteCountRecord>("note_counts", userId),

  window: (policy: string, subject: string) => key<WindowRecord>("windows", policy, subject),

  mails: () => key<MailRecord>("mails"),
  mail: (mailId: string) => key<MailRecord>("mails", mailId),
  mailsDue: () => key<MailDueRecord>("mails_due"),
  mailDue: ({ dueAtMs, mailId }: MailDueRecord) => key<MailDueRecord>("mails_due", dueAtMs, mailId),
  codesDue: () => key<MailDueRecord>("codes_due"),
  codeDue: ({ dueAtMs, mailId }: MailDueRecord) => key<MailDueRecord>("codes_due", dueAtMs, mailId),
  mailsOf: (owner: string) => key<MailPlaceRecord>("mails_by_owner", owner),
  mailOf: (owner: string, mailId: string) => key<MailPlaceRecord>("mails_by_owner", owner, mailId),
  mailsIn: (state: MailState) => key<MailPlaceRecord>("mails_by_state", state),
  mailIn: (state: MailState, mailId: string) => key<MailPlaceRecord>("mails_by_state", state, mailId),
  mailbox: () => key<MailboxRecord>("mailbox"),
  mailboxItem: (mailId: string) => key<MailboxRecord>("mailbox", mailId),

  auditEvents: () => key<AuditEventRecord>("audit_events"),
  auditEvent: (eventId: string) => key<AuditEventRecord>("audit_events", eventId),
  auditPlacesByUser: () => key<AuditPlaceRecord>("audit_by_user"),
  auditEventsOf: (userId: string) => key<AuditPlaceRecord>("audit_by_user", userId),
  auditEventOf: (userId: string, eventId: string) => key<AuditPlaceRecord>("audit_by_user", userId, eventId),
  auditPlacesByType: () => key<AuditPlaceRecord>("audit_by_type"),
  auditEventsOn: (type: AuditType) => key<AuditPlaceRecord>("audit_by_type", type),
  auditEventOn: (type: AuditType, eventId: string) => key<AuditPlaceRecord>("audit_by_type", type, eventId),
  auditHeads: () => key<AuditHeadRecord>("audit_heads"),
  auditHead: (chain: string) => key<AuditHeadRecord>("audit_heads", chain),

  signingKeys: () => key<SigningKeyRecord>("signing_keys"),
  signingKey: (kid: string) => key<SigningKeyRecord>("signing_keys", kid),
} as const;
