// The caller's own account: reading and editing it, moving it to another address, taking it along, deleting it.

import {
  confirmAccountDeletion,
  confirmEmailChange,
  exportMe,
  readMe,
  requestAccountDeletion,
  requestEmailChange,
  updateMe,
} from "../../openapi/account.ts";
import { exportAccount } from "../account_export.ts";
import type { App } from "../app_env.ts";
import { requireOpened, viewChallenge } from "../challenge_view.ts";
import { requireCurrentPassword } from "../current_password.ts";
import type { Deps } from "../deps.ts";
import { isUnchanged } from "../etag.ts";
import { requireUser } from "../gate.ts";
import { invalid, Problem } from "../problem.ts";
import { byChallenge, byNetwork, byUser } from "../rate_limit.ts";
import { isLastAdmin } from "../store/admins.ts";
import { insertAuditEvent } from "../store/audit.ts";
import { owner } from "../store/client.ts";
import { attemptCode } from "../store/challenges.ts";
import { addConfirmedDeletion, finishDeletion, insertDeletion } from "../store/deletion.ts";
import { addEmailChange, insertEmailChange } from "../store/email_change.ts";
import { findUser, replaceUser } from "../store/users.ts";
import { viewUser } from "../user_view.ts";

export function registerAccount(app: App, deps: Deps): void {
  const signedIn = requireUser(deps);
  const codeGate = requireUser(deps, byNetwork("otp"), byChallenge("otp"));

  app.openapi({ ...readMe, middleware: signedIn }, (c) => {
    const user = c.get("user");
    if (isUnchanged(c, user)) return c.body(null, 304);
    return c.json(viewUser(user.value), 200);
  });

  app.openapi({ ...updateMe, middleware: signedIn }, async (c) => {
    const userId = c.var.user.value.id;
    const change = await replaceUser(deps, userId, c.req.valid("json"), owner(userId, c.var.client));
    if (change.outcome === "username_taken") throw new Problem("username_taken");
    if (change.outcome !== "changed") throw new Problem("token_invalid");
    isUnchanged(c, change.user);
    return c.json(viewUser(change.user.value), 200);
  });

  app.openapi({ ...requestEmailChange, middleware: requireUser(deps, byUser("password")) }, async (c) => {
    const { new_email: newEmail, current_password } = c.req.valid("json");
    const { user: { value: user }, client } = c.var;
    await requireCurrentPassword(deps, { user, client }, current_password);
    if (newEmail === user.email) {
      throw invalid({ pointer: "/new_email", code: "email_unchanged", message: "Is your address already" });
    }
    const challenge = await insertEmailChange(deps, { user, newEmail, client });
    if (challenge === "gone") throw new Problem("token_invalid");
    return c.json(viewChallenge(deps, challenge), 202);
  });

  app.openapi({ ...confirmEmailChange, middleware: codeGate }, async (c) => {
    const { challenge_id: challengeId, code: plainCode } = c.req.valid("json");
    const { user: { value: { id: userId } }, session, client } = c.var;
    const attempt = await attemptCode(
      deps,
      { purpose: "email_change", challengeId, plainCode, userId, client },
      (change, { codeEpoch, email: newEmail }) =>
        addEmailChange(deps, change, {
          userId,
          codeEpoch,
          newEmail,
          keptSessionId: session.value.id,
          client,
        }),
    );
    requireOpened(attempt);
    const user = await findUser(deps.kv, userId);
    // Deleted meanwhile, by another request.
    if (!user) throw new Problem("token_invalid");
    isUnchanged(c, user);
    return c.json(viewUser(user.value), 200);
  });

  app.openapi({ ...requestAccountDeletion, middleware: signedIn }, async (c) => {
    const user = c.var.user.value;
    if (await isLastAdmin(deps.kv, user)) throw new Problem("last_admin");
    const challenge = await insertDeletion(deps, { user, client: c.var.client });
    if (challenge === "gone") throw new Problem("token_invalid");
    return c.json(viewChallenge(deps, challenge), 202);
  });

  app.openapi({ ...confirmAccountDeletion, middleware: codeGate }, async (c) => {
    const { challenge_id: challengeId, code: plainCode } = c.req.valid("json");
    const { user: { value: { id: userId } }, client } = c.var;
    const attempt = await attemptCode(
      deps,
      { purpose: "account_deletion", challengeId, plainCode, userId, client },
      (change, { codeEpoch }) => addConfirmedDeletion(deps, change, { userId, codeEpoch, client }),
    );
    if (requireOpened(attempt) === "last_admin") throw new Problem("last_admin");
    await finishDeletion(deps, userId);
    return c.body(null, 204);
  });

  app.openapi({ ...exportMe, middleware: signedIn }, async (c) => {
    const userId = c.var.user.value.id;
    const actor = owner(userId, c.var.client);
    // Told before it is done: nobody takes an account along unseen.
    await insertAuditEvent(deps, { type: "data_exported", actor, userId });
    return c.json(await exportAccount(deps, c.var), 200);
  });
}
