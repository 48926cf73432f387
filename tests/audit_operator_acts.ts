// The trail of what operators do on the command line, as nobody in particular and from no network.

import { collectAuditEvents } from "../src/store/audit_lists.ts";
import type { AuditEventRecord, AuditType } from "../src/store/audit_event.ts";
import { createKv } from "../src/store/kv.ts";
import { openDatabase } from "../src/store/open.ts";
import { findUserIdByEmail } from "../src/store/users.ts";
import { PASSWORD } from "./harness.ts";
import type { Site } from "./process.ts";

/** What an event of an operator says. */
export interface OperatorTold {
  readonly type: AuditType;
  /** Of the account that it happens to. */
  readonly email?: string;
  readonly details?: Readonly<Record<string, string>>;
}

export interface OperatorAct {
  readonly task: string;
  readonly args: readonly string[];
  readonly stdin?: string;
  readonly told: (printed: string) => readonly OperatorTold[];
}

const ROOT = "root@example.org";
const BOB = "bob@example.org";

/** One after the other on the same store; files are in its folder. */
export async function operatorActs({ folder }: Site): Promise<OperatorAct[]> {
  const [people, exported, copy] = [`${folder}/people.jsonl`, `${folder}/export.jsonl`, `${folder}/copy.kv`];
  await Deno.writeTextFile(people, `${JSON.stringify({ email: BOB })}\n`);
  const rotated = (printed: string, olderKeys: string): OperatorTold => ({
    type: "signing_key_rotated",
    details: { kid: /^The key (\S+) signs/.exec(printed)?.[1] ?? "", older_keys: olderKeys },
  });
  const create = (email: string): Pick<OperatorAct, "task" | "args" | "stdin"> => ({
    task: "admin:create",
    args: ["--email", email, "--password-stdin"],
    stdin: `${PASSWORD}\n`,
  });
  return [
    { ...create(ROOT), told: () => [{ type: "account_created", email: ROOT, details: { role: "admin" } }] },
    { ...create(ROOT), told: () => [] },
    { task: "users:import", args: [people, "--dry-run"], told: () => [] },
    {
      task: "users:import",
      args: [people],
      told: () => [{ type: "users_imported", details: { accounts: "1" } }],
    },
    {
      ...create(BOB),
      told: () => [{ type: "role_changed", email: BOB, details: { from: "user", to: "admin" } }],
    },
    { task: "users:export", args: [exported], told: () => [{ type: "users_exported" }] },
    { task: "keys:rotate", args: [], told: (printed) => [rotated(printed, "kept")] },
    {
      task: "keys:rotate",
      args: ["--revoke-old", "--end-sessions"],
      told: (printed) => [rotated(printed, "kept"), rotated(printed, "revoked"), { type: "sessions_ended" }],
    },
    { task: "backup", args: [copy], told: () => [{ type: "store_backed_up" }] },
    { task: "audit:verify", args: [], told: () => [] },
    { task: "restore", args: [copy], told: () => [{ type: "store_backed_up" }, { type: "store_restored" }] },
    {
      task: "restore",
      args: [copy, "--end-sessions"],
      told: () => [{ type: "store_backed_up" }, { type: "store_restored" }, { type: "sessions_ended" }],
    },
  ];
}

/** What the trail of the site has after the event with this id, oldest first, and what it should say of `told`. */
export async function readTrail(
  { storePath }: Site,
  told: readonly OperatorTold[],
): Promise<{ readonly events: readonly AuditEventRecord[]; readonly userIds: readonly (string | null)[] }> {
  const kv = createKv(await openDatabase(storePath), Date.now);
  try {
    const { items } = await collectAuditEvents(kv, {}, { limit: 100, startId: null });
    const userIds = told.map(({ email }) => email === undefined ? null : findUserIdByEmail(kv, email));
    return { events: items.toReversed(), userIds: await Promise.all(userIds) };
  } finally {
    kv.close();
  }
}
