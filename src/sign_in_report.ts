// Why a person can or cannot sign in: what the store knows of the account, put together for an admin. Reads only, and
// says nothing that the audit trail, the outbox and the account do not say one by one.

import type { z } from "@hono/zod-openapi";
import { type FindingCode, messageOf, type SignInReport } from "../openapi/sign_in_report.ts";
import { viewAuditEvent } from "./audit_view.ts";
import type { Deps } from "./deps.ts";
import { NO_PASSWORD_HASH } from "./hasher.ts";
import { viewMail } from "./mail_view.ts";
import { networkOf } from "./network.ts";
import type { AuditEventRecord, AuditType } from "./store/audit_event.ts";
import { collectAuditEvents } from "./store/audit_lists.ts";
import { findGuessBudget, longCodesEndAtMs } from "./store/guess_budget.ts";
import { keys, type MailRecord, type SessionRecord, type UserRecord } from "./store/keys.ts";
import { collectLimitsInForce, type LimitInForce, type Suspect } from "./store/limits_in_force.ts";
import { collectNewestMailsOf } from "./store/mail_lists.ts";
import { collectKnownNetworks, collectSessions } from "./store/sessions.ts";
import { addressSubject, guessSubject, signInSubject } from "./store/subjects.ts";
import { rfc3339 } from "./user_view.ts";

type Report = z.output<typeof SignInReport>;
type Label = Pick<Report["limits"][number], "scope" | "ip">;
type ReportedPolicy = Report["limits"][number]["policy"];

/** What people do to get in, or fail to. */
const ATTEMPTS: readonly AuditType[] = [
  "account_created",
  "code_failed",
  "code_sent",
  "code_withheld",
  "limit_reached",
  "password_failed",
  "password_reset",
  "refresh_token_reused",
  "sign_in_failed",
  "signed_in",
  "status_changed",
];
const SHOWN_MAX = 20;
/** Networks whose limits are looked at; each has five. */
const NETWORKS_MAX = 20;
const WAITING_TOLERATED_MS = 60_000;

/** The contract's `SignInReport` of an account. */
export async function reportSignIn(deps: Deps, user: UserRecord): Promise<Report> {
  const { kv, config, secrets } = deps;
  const [{ value: credential }, sessions, attempts, mails, budget] = await Promise.all([
    kv.find(keys.credential(user.id)),
    collectSessions(kv, user.id),
    collectAuditEvents(kv, { userId: user.id, types: ATTEMPTS }, { limit: SHOWN_MAX, startId: null }),
    collectMailsTo(deps, user),
    findGuessBudget(
      kv,
      guessSubject(secrets, { purpose: "password_reset", userId: user.id, email: user.email }),
    ),
  ]);
  const events = attempts.items.filter(({ userId }) => userId === user.id);
  const networks = await collectNetworks(deps, user, {
    events,
    sessions: sessions.map(({ value }) => value),
  });
  const limits = await collectLimitsInForce(kv, config.policies, suspectsOf(deps, user, networks));
  const hasPassword = credential !== null && credential.passwordHash !== NO_PASSWORD_HASH;
  const longCodesEndMs = longCodesEndAtMs(budget, kv.nowMs());
  return {
    user_id: user.id,
    can_sign_in: user.status === "active" && user.isEmailVerified && hasPassword,
    findings: findingsOf(user, { hasPassword, limits, events, mails, nowMs: kv.nowMs() })
      .map((code) => ({ code, message: messageOf(code) })),
    email_verified: user.isEmailVerified,
    status: user.status,
    has_password: hasPassword,
    last_login_at: user.lastLoginAtMs === null ? null : rfc3339(user.lastLoginAtMs),
    session_count: sessions.length,
    attempts: events.map(viewAuditEvent),
    limits: limits.map(({ policy, label, endsAtMs }) => ({ policy, ...label, ends_at: rfc3339(endsAtMs) })),
    long_codes_until: longCodesEndMs === null ? null : rfc3339(longCodesEndMs),
    mails: mails.map(viewMail),
  };
}

/** To the account, and to its address before it was one. */
async function collectMailsTo({ kv, secrets }: Deps, { id, email }: UserRecord): Promise<MailRecord[]> {
  const owners = [id, secrets.mac("address", email)];
  const mails = await Promise.all(owners.map((owner) => collectNewestMailsOf(kv, owner, SHOWN_MAX)));
  return mails.flat().sort((a, b) => a.id < b.id ? 1 : -1).slice(0, SHOWN_MAX);
}

/** The hash of each network that the account was used from lately, with an address in it while one is known. */
async function collectNetworks(
  { kv, secrets }: Deps,
  { id }: UserRecord,
  { events, sessions }: {
    readonly events: readonly AuditEventRecord[];
    readonly sessions: readonly SessionRecord[];
  },
): Promise<Map<string, string | null>> {
  const networks = new Map<string, string | null>();
  const ips = [...events.map(({ origin }) => origin?.ip), ...sessions.map(({ ip }) => ip)];
  for (const ip of ips) if (ip !== undefined) networks.set(secrets.mac("network", networkOf(ip)), ip);
  for (const hash of await collectKnownNetworks(kv, id, NETWORKS_MAX)) {
    networks.set(hash, networks.get(hash) ?? null);
  }
  return new Map([...networks].slice(0, NETWORKS_MAX));
}

function suspectsOf(
  { secrets }: Deps,
  { id, email }: UserRecord,
  networks: ReadonlyMap<string, string | null>,
): Suspect<ReportedPolicy, Label>[] {
  const account: Label = { scope: "account", ip: null };
  const address: Label = { scope: "address", ip: null };
  return [
    { policy: "login", subject: signInSubject(secrets, email, null), label: account },
    { policy: "password", subject: id, label: account },
    { policy: "user", subject: id, label: account },
    { policy: "password_reset", subject: addressSubject(secrets, email), label: address },
    { policy: "mail", subject: addressSubject(secrets, email), label: address },
    ...[...networks].flatMap(([hash, ip]): Suspect<ReportedPolicy, Label>[] => [
      { policy: "login", subject: signInSubject(secrets, email, hash), label: { scope: "account", ip } },
      ...(["login", "otp", "password_reset", "anonymous"] as const).map((policy) => ({
        policy,
        subject: hash,
        label: { scope: "network" as const, ip },
      })),
    ]),
  ];
}

/** The worst first. */
function findingsOf(
  { status, isEmailVerified }: UserRecord,
  { hasPassword, limits, events, mails, nowMs }: {
    readonly hasPassword: boolean;
    readonly limits: readonly LimitInForce<ReportedPolicy, Label>[];
    readonly events: readonly AuditEventRecord[];
    readonly mails: readonly MailRecord[];
    readonly nowMs: number;
  },
): FindingCode[] {
  const lastAttempt = events.find(({ type }) => type === "signed_in" || type === "sign_in_failed");
  const isWaiting = ({ state, createdAtMs }: MailRecord): boolean =>
    (state === "queued" || state === "sending") && nowMs - createdAtMs > WAITING_TOLERATED_MS;
  const found: Readonly<Record<FindingCode, boolean>> = {
    account_disabled: status === "disabled",
    email_unverified: !isEmailVerified,
    password_missing: !hasPassword,
    limit_in_force: limits.length > 0,
    password_wrong_lately: lastAttempt?.cause === "password_wrong",
    mail_dead: mails[0]?.state === "dead",
    mail_waiting: mails.some(isWaiting),
  };
  // The keys stand in the order of the contract.
  return (Object.keys(found) as FindingCode[]).filter((code) => found[code]);
}
