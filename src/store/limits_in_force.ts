// Limits that refuse now, for who asks why. Reads only: the counting is in limits.ts.

import type { Policy, PolicyName } from "../policy.ts";
import { weigh } from "../window.ts";
import { keys } from "./keys.ts";
import type { Kv } from "./kv.ts";
import { findAll } from "./page.ts";

/** Whom a limit may concern; `label` is given back with it. */
export interface Suspect<Name extends PolicyName, Label> {
  readonly policy: Name;
  readonly subject: string;
  readonly label: Label;
}

export interface LimitInForce<Name extends PolicyName, Label> {
  readonly policy: Name;
  readonly label: Label;
  /** When the next request is admitted. */
  readonly endsAtMs: number;
}

/**
 * Those of `suspects` whose limit is reached. Under a large limit a server may still hold a few permits that the store
 * calls taken: it is in force for the others.
 */
export async function collectLimitsInForce<Name extends PolicyName, Label>(
  kv: Kv,
  policies: Readonly<Record<PolicyName, Policy>>,
  suspects: readonly Suspect<Name, Label>[],
): Promise<LimitInForce<Name, Label>[]> {
  const entries = await findAll(kv, suspects.map(({ policy, subject }) => keys.window(policy, subject)));
  const nowMs = kv.nowMs();
  return suspects.flatMap(({ policy, label }, index) => {
    const { windows } = weigh(policies[policy], entries[index]?.value ?? null, nowMs);
    const endsMs = windows.filter(({ remaining }) => remaining === 0).map(({ freesAtMs }) =>
      freesAtMs ?? nowMs
    );
    return endsMs.length === 0 ? [] : [{ policy, label, endsAtMs: Math.max(...endsMs) }];
  });
}
