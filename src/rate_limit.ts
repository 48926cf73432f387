// Limits as clients meet them: for whom a request counts, and the RateLimit headers (IETF httpapi draft, structured
// fields of RFC 9651). The counting itself is store/limits.ts.

import type { Context } from "hono";
import { challengeId as challengeIdField, email as emailField } from "../openapi/fields.ts";
import { textMember } from "./body.ts";
import type { Deps } from "./deps.ts";
import type { PolicyName } from "./policy.ts";
import { Problem } from "./problem.ts";
import type { Quota, Subject, Verdict } from "./store/limits.ts";
import type { Client } from "./store/client.ts";
import { isKnownNetwork } from "./store/sessions.ts";
import { addressSubject, challengeSubject, signInSubject } from "./store/subjects.ts";
import { findUserIdByEmail } from "./store/users.ts";

/** What is known of a request when its limits are asked: the body is parsed, but not validated. */
export interface LimitFacts {
  readonly client: Client;
  readonly userId: string | null;
  readonly body: unknown;
}

/** A policy, and for whom a request counts under it. Null: not countable, and the validation will refuse it. */
export interface LimitRule {
  readonly policy: PolicyName;
  readonly subjectOf: (deps: Deps, facts: LimitFacts) => Promise<Counted | null> | Counted | null;
}

/** Part of a key, and the account it stands for if there is one. */
type Counted = Omit<Subject, "policy">;

/** By client network. */
export function byNetwork(policy: PolicyName): LimitRule {
  return {
    policy,
    subjectOf: (_, { client }) => ({ subject: client.networkHash, userId: null }),
  };
}

/** By the challenge that a code is tried against. */
export function byChallenge(policy: PolicyName): LimitRule {
  return {
    policy,
    subjectOf: ({ secrets }, { body }) => {
      const id = challengeIdField.safeParse(textMember(body, "challenge_id"));
      return id.success ? { subject: challengeSubject(secrets, id.data), userId: null } : null;
    },
  };
}

/** By the address in the body, whether or not it has an account: so nobody is told how much of it is left. */
export function byAddress(policy: PolicyName): LimitRule {
  return {
    policy,
    async subjectOf({ kv, secrets }, { body }) {
      const email = emailField.safeParse(textMember(body, "email"));
      if (!email.success) return null;
      const userId = await findUserIdByEmail(kv, email.data);
      return { subject: addressSubject(secrets, email.data), userId, isOnlyNamed: true };
    },
  };
}

/** By the signed-in account. */
export function byUser(policy: PolicyName): LimitRule {
  return {
    policy,
    subjectOf: (_, { userId }) => userId === null ? null : { subject: userId, userId },
  };
}

/**
 * Sign-in attempts by account: each network where the owner signed in lately has a count of its own. What is left of it
 * is not told: it would tell which networks those are, and so that there is an account.
 */
export const byLoginAccount: LimitRule = {
  policy: "login",
  async subjectOf({ kv, secrets }, { client: { networkHash }, body }) {
    const email = emailField.safeParse(textMember(body, "email"));
    if (!email.success) return null;
    const userId = await findUserIdByEmail(kv, email.data);
    const isKnown = await isKnownNetwork(kv, { userId: userId ?? "nobody", networkHash });
    const subject = signInSubject(secrets, email.data, isKnown ? networkHash : null);
    return { subject, userId, isOnlyNamed: true };
  },
};

/** Sets the headers of a limited route, and throws the 429 of a refused request. */
export function announceLimits(c: Context, { quotas, refusal }: Verdict): void {
  if (quotas.length > 0) {
    const named = quotas.map((quota, index) => ({ name: nameOf(quotas, index), ...quota }));
    c.header(
      "RateLimit-Policy",
      named.map(({ name, limit, windowSeconds }) => `"${name}";q=${limit};w=${windowSeconds}`).join(", "),
    );
    c.header(
      "RateLimit",
      named.map(({ name, remaining, resetSeconds }) => `"${name}";r=${remaining};t=${resetSeconds}`).join(
        ", ",
      ),
    );
  }
  if (refusal) {
    throw new Problem("rate_limited", { policy: refusal.policy, retry_after: refusal.retryAfterSeconds });
  }
}

/** Names are unique in the header: a policy's second window is told from its first by its length. */
function nameOf(quotas: readonly Quota[], index: number): string {
  const quota = quotas[index];
  const isFirst = quotas.findIndex(({ policy }) => policy === quota?.policy) === index;
  return isFirst ? `${quota?.policy}` : `${quota?.policy}-${quota?.windowSeconds}s`;
}
