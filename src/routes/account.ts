// The caller's own account: reading and editing it, moving it to another address, taking it along, deleting it.

import type { z } from "@hono/zod-openapi";
import type { TypedResponse } from "hono";
import {
  type AccountExport,
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
import { isUnchanged, setEtag } from "../etag.ts";
import { requireUser } from "../gate.ts";
import { openPieces, type PieceBody } from "../pieces.ts";
import { invalid, Problem } from "../problem.ts";
import { byChallenge, byNetwork, byUser } from "../rate_limit.ts";
import { isLastAdmin } from "../store/admins.ts";
import { insertAuditEvent } from "../store/audit.ts";
import { owner } from "../store/client.ts";
import { attemptCode } from "../store/challenges.ts";
import { addConfirmedDeletion, finishDeletion, insertDeletion } from "../store/deletion.ts";
import { addEmailChange, insertEmailChange } from "../store/email_change.ts";
import { findSession } from "../store/sessions.ts";
import { findUser, replaceUser } from "../store/users.ts";
import { createTurns } from "../turns.ts";
import { viewUser } from "../user_view.ts";

type ExportResponse = Response & TypedResponse<z.output<typeof AccountExport>, 200, "json">;

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
    setEtag(c, change.user);
    return c.json(viewUser(change.user.value), 200);
  });

  app.openapi({ ...requestEmailChange, middleware: requireUser(deps, byUser("password")) }, async (c) => {
    const { new_email: newEmail, current_password } = c.req.valid("json");
    const { user: { value: user }, client } = c.var;
    if (newEmail === user.email) {
      throw invalid({ pointer: "/new_email", code: "email_unchanged", message: "Is your address already" });
    }
    await requireCurrentPassword(deps, { user, client }, current_password);
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
    setEtag(c, user);
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

  const takeTurns = createTurns();
  app.openapi({ ...exportMe, middleware: signedIn }, async (c) => {
    const { user: { value: { id: userId } }, session: { value: { id: sessionId } }, client } = c.var;
    const report = (error: unknown): void =>
      deps.log.warn("export broke off", { request_id: c.var.requestId, cause: String(error) });
    const answered = Promise.withResolvers<PieceBody["body"]>();
    // One at a time for each person, until it is read to its end.
    takeTurns([userId], async () => {
      // The one before may have taken its time.
      const { user, session } = await findSession(deps.kv, { userId, sessionId });
      if (!user || !session) throw new Problem("token_invalid");
      // Told before it is done: nobody takes an account along unseen.
      await insertAuditEvent(deps, { type: "data_exported", actor: owner(userId, client), userId });
      const { body, isOver } = await openPieces(exportAccount(deps, { user, session }), { report });
      answered.resolve(body);
      await isOver;
    }).catch(answered.reject);
    const whole = c.body(await answered.promise, 200, { "Content-Type": "application/json" });
    // The types of `exportAccount` hold its pieces to the contract; hono knows of whole objects only.
    return whole as Response as ExportResponse;
  });
}
