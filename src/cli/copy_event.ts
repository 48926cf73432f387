// What the audit trail tells of a tool that takes the store's contents away. The day on which the trail takes no event, with
// a full disk or without SECRET_KEY, is the day on which a copy is needed: so it is taken all the same, and that is said.

import type { Config } from "../config.ts";
import { insertAuditEvent } from "../store/audit.ts";
import { OPERATOR } from "../store/client.ts";
import { complain, requireSecrets, useStore } from "./tool.ts";

/**
 * Writes the event, before the copy: so it is told even when the tool is killed half-way, and stands in a backup too.
 * Says on standard error why it cannot; never throws.
 */
export async function tellOfCopy(config: Config, type: "store_backed_up" | "users_exported"): Promise<void> {
  try {
    await useStore(config, async (kv) => {
      const secrets = await requireSecrets(config, kv);
      await insertAuditEvent({ kv, secrets, config }, { type, actor: OPERATOR, userId: null });
    });
  } catch (error) {
    complain(`The audit trail does not tell of this: ${error instanceof Error ? error.message : error}`);
  }
}
