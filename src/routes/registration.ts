// Registration: a challenge first, an account only once its code is confirmed. An address that has an account goes
// the same way as any other, and its owner gets a mail of another kind.

import { register, resendOtp, verifyOtp } from "../../openapi/registration.ts";
import type { App } from "../app_env.ts";
import { requireOpened, viewChallenge } from "../challenge_view.ts";
import type { Deps } from "../deps.ts";
import { admitAnyone } from "../gate.ts";
import { viewSignedIn } from "../grant.ts";
import { requireNewPassword } from "../new_password.ts";
import { Problem } from "../problem.ts";
import { byChallenge, byNetwork } from "../rate_limit.ts";
import { addAuditEvents } from "../store/audit.ts";
import { anyone, owner } from "../store/client.ts";
import { attemptCode, insertChallenge, resendCode } from "../store/challenges.ts";
import { addRegistrationCheck } from "../store/freed_addresses.ts";
import { addSession } from "../store/sessions.ts";
import { addUsernameReservation, isUsernameFree } from "../store/usernames.ts";
import { addUser } from "../store/users.ts";

export function registerRegistration(app: App, deps: Deps): void {
  app.openapi({ ...register, middleware: admitAnyone(deps, byNetwork("register")) }, async (c) => {
    const { email, password, username = null, name = null, locale = null } = c.req.valid("json");
    const person = { email, username, name };
    await requireNewPassword(deps, { member: "password", plainPassword: password }, person);
    if (username !== null && !await isUsernameFree(deps.kv, { username, email })) {
      throw new Problem("username_taken");
    }

    const passwordHash = await deps.hasher.hash(password);
    const challenge = await insertChallenge(
      deps,
      {
        purpose: "registration",
        email,
        userId: null,
        codeEpoch: 0,
        payload: { passwordHash, username, name, locale },
        actor: anyone(c.var.client),
      },
      async (change, begun) => {
        if (username === null) return "joined";
        const isReserved = await addUsernameReservation(deps.kv, change, { username, email, ...begun });
        return isReserved ? "joined" : "username_taken";
      },
    );
    if (challenge === "username_taken") throw new Problem(challenge);
    return c.json(viewChallenge(deps, challenge), 202);
  });

  app.openapi(
    { ...verifyOtp, middleware: admitAnyone(deps, byNetwork("otp"), byChallenge("otp")) },
    async (c) => {
      const { challenge_id: challengeId, code: plainCode } = c.req.valid("json");
      const { client } = c.var;
      const attempt = await attemptCode(
        deps,
        { purpose: "registration", challengeId, plainCode, userId: null, client },
        async (change, { email, createdAtMs, payload }) => {
          if (!await addRegistrationCheck(deps, change, { email, createdAtMs })) return null;
          const user = await addUser(deps.kv, change, { newUser: { email, ...payload } });
          if (!user) return null;
          const grant = addSession(deps, change, { user, client });
          await addAuditEvents(deps, change, [{
            type: "account_created",
            actor: owner(user.id, client),
            userId: user.id,
            details: { session_id: grant.session.id },
          }]);
          return grant;
        },
      );
      return c.json(await viewSignedIn(deps, requireOpened(attempt)), 201);
    },
  );

  app.openapi({ ...resendOtp, middleware: admitAnyone(deps) }, async (c) => {
    const resend = await resendCode(deps, c.req.valid("json").challenge_id, c.var.client);
    if (resend.outcome === "dead") throw new Problem("otp_expired");
    if (resend.outcome === "early") {
      throw new Problem("rate_limited", { policy: "resend", retry_after: resend.retryAfterSeconds });
    }
    return c.json(viewChallenge(deps, resend.challenge), 202);
  });
}
