// Passwords: the three steps of a reset for who has lost it, and the change for who knows it.

import {
  changePassword,
  confirmPasswordReset,
  requestPasswordReset,
  verifyPasswordResetOtp,
} from "../../openapi/passwords.ts";
import type { App } from "../app_env.ts";
import { requireOpened, viewChallenge } from "../challenge_view.ts";
import { requireCurrentPassword } from "../current_password.ts";
import type { Deps } from "../deps.ts";
import { admitAnyone, requireUser } from "../gate.ts";
import { ANYBODY, requireNewPassword } from "../new_password.ts";
import { Problem } from "../problem.ts";
import { byAddress, byChallenge, byNetwork, byUser } from "../rate_limit.ts";
import { anyone } from "../store/client.ts";
import { attemptCode, insertChallenge } from "../store/challenges.ts";
import * as passwords from "../store/passwords.ts";
import { findAccountByEmail } from "../store/users.ts";

export function registerPasswords(app: App, deps: Deps): void {
  const requestGate = admitAnyone(deps, byNetwork("password_reset"), byAddress("password_reset"));
  app.openapi({ ...requestPasswordReset, middleware: requestGate }, async (c) => {
    const { email } = c.req.valid("json");
    const user = (await findAccountByEmail(deps.kv, email))?.user.value ?? null;
    // An unknown address gets a challenge like any other, which no code will open.
    const challenge = await insertChallenge(deps, {
      purpose: "password_reset",
      email: user?.email ?? email,
      userId: user?.id ?? null,
      codeEpoch: user?.codeEpoch ?? 0,
      payload: {},
      actor: anyone(c.var.client),
    });
    return c.json(viewChallenge(deps, challenge), 202);
  });

  const codeGate = admitAnyone(deps, byNetwork("otp"), byChallenge("otp"));
  app.openapi({ ...verifyPasswordResetOtp, middleware: codeGate }, async (c) => {
    const { challenge_id: challengeId, code: plainCode } = c.req.valid("json");
    const attempt = await attemptCode(
      deps,
      { purpose: "password_reset", challengeId, plainCode, userId: null, client: c.var.client },
      (change, challenge) => passwords.addResetToken(deps, change, challenge),
    );
    return c.json({
      reset_token: requireOpened(attempt),
      expires_in: passwords.RESET_TOKEN_TTL_MS / 1000,
    }, 200);
  });

  app.openapi({ ...confirmPasswordReset, middleware: admitAnyone(deps) }, async (c) => {
    const { reset_token: plainToken, new_password: plainPassword } = c.req.valid("json");
    const newPassword = { member: "new_password", plainPassword } as const;
    await requireNewPassword(deps, newPassword, ANYBODY);
    const permit = await passwords.findResetPermit(deps, plainToken);
    if (!permit) throw new Problem("otp_expired");
    await requireNewPassword(deps, newPassword, permit.user);
    const passwordHash = await deps.hasher.hash(plainPassword);
    const isReset = await passwords.resetPassword(deps, { permit, passwordHash, client: c.var.client });
    if (!isReset) throw new Problem("otp_expired");
    return c.body(null, 204);
  });

  app.openapi({ ...changePassword, middleware: requireUser(deps, byUser("password")) }, async (c) => {
    const { current_password, new_password: plainPassword } = c.req.valid("json");
    const user = c.var.user.value;
    const { client } = c.var;
    await requireNewPassword(deps, { member: "new_password", plainPassword }, user);
    const verified = await requireCurrentPassword(deps, { user, client }, current_password);
    const isChanged = await passwords.changePassword(deps, {
      userId: user.id,
      verified,
      passwordHash: await deps.hasher.hash(plainPassword),
      keptSessionId: c.var.session.value.id,
      client,
    });
    if (!isChanged) throw new Problem("password_invalid");
    return c.body(null, 204);
  });
}
