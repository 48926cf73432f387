// Sessions: signing in, refreshing, asking whether a token holds, signing out; and the list of devices.

import {
  endOtherSessions,
  endSession,
  listSessions,
  login,
  logout,
  refreshTokens,
  verifyToken,
} from "../../openapi/sessions.ts";
import type { App } from "../app_env.ts";
import { issueCursor, requirePosition } from "../cursor.ts";
import type { Deps } from "../deps.ts";
import { admitAnyone, admitRefreshToken, findBearerOfToken, requireUser } from "../gate.ts";
import { viewSignedIn, viewTokens } from "../grant.ts";
import { Problem } from "../problem.ts";
import { byLoginAccount, byNetwork } from "../rate_limit.ts";
import { viewSession } from "../session_view.ts";
import { insertAuditEvent } from "../store/audit.ts";
import { anyone, owner } from "../store/client.ts";
import { findPresentedToken, ownerOfToken, rotateRefreshToken } from "../store/rotation.ts";
import { collectSessions, insertSession, removeOtherSessions, removeSession } from "../store/sessions.ts";
import { findAccountByEmail, replacePasswordHash } from "../store/users.ts";

export function registerSessions(app: App, deps: Deps): void {
  app.openapi({ ...login, middleware: admitAnyone(deps, byNetwork("login"), byLoginAccount) }, async (c) => {
    const { email, password } = c.req.valid("json");
    const account = await findAccountByEmail(deps.kv, email);
    // Hash in any case: an unknown address takes as long as a wrong password.
    const isRight = await deps.hasher.verify(password, account?.credential.value.passwordHash ?? null);
    const refuse = async (
      code: "credentials_invalid" | "account_disabled",
      cause: string,
    ): Promise<never> => {
      const [actor, userId] = [anyone(c.var.client), account?.user.value.id ?? null];
      await insertAuditEvent(deps, { type: "sign_in_failed", actor, userId, cause });
      throw new Problem(code);
    };
    if (!account) return await refuse("credentials_invalid", "account_unknown");
    if (!isRight) return await refuse("credentials_invalid", "password_wrong");
    if (account.user.value.status === "disabled") return await refuse("account_disabled", "account_disabled");
    // Imported so: a reset proves the address, and opens the account.
    if (!account.user.value.isEmailVerified) return await refuse("credentials_invalid", "email_unverified");

    const grant = await insertSession(
      deps,
      { user: account.user.value, credential: account.credential.value },
      c.var.client,
    );
    if (!grant) return await refuse("credentials_invalid", "account_changed");
    if (deps.hasher.needsRehash(account.credential.value.passwordHash)) {
      const passwordHash = await deps.hasher.hash(password);
      // A lost race means that somebody else has just set a newer one.
      await replacePasswordHash(deps.kv, { credential: account.credential, passwordHash });
    }
    return c.json(await viewSignedIn(deps, grant), 200);
  });

  app.openapi({ ...refreshTokens, middleware: admitRefreshToken(deps) }, async (c) => {
    if (!c.var.presented) throw new Problem("refresh_token_invalid");
    const rotation = await rotateRefreshToken(deps, c.var.presented, c.var.client);
    if (rotation.outcome === "invalid") throw new Problem("refresh_token_invalid");
    if (rotation.outcome === "disabled") throw new Problem("account_disabled");
    if (rotation.outcome === "reused") throw new Problem("refresh_token_reused");
    return c.json(await viewTokens(deps, rotation.grant), 200);
  });

  app.openapi({ ...verifyToken, middleware: admitAnyone(deps) }, async (c) => {
    const bearer = await findBearerOfToken(deps, c.req.valid("json").token);
    if (bearer.state !== "signed_in") return c.json({ active: false as const }, 200);
    const { sub, sid, role, exp, iat, iss, aud } = bearer.claims;
    return c.json({
      active: true as const,
      sub,
      sid,
      role,
      exp,
      iat,
      iss,
      aud,
      token_type: "Bearer" as const,
    }, 200);
  });

  app.openapi({ ...logout, middleware: requireUser(deps) }, async (c) => {
    const userId = c.var.user.value.id;
    const actor = owner(userId, c.var.client);
    await removeSession(deps, { userId, sessionId: c.var.session.value.id }, actor);
    const other = c.req.valid("json").refresh_token;
    // RFC 7009 §2.2: a token that is not good any more, or not the caller's, is no error.
    const presented = other === undefined ? null : await findPresentedToken(deps.kv, other);
    const named = presented && ownerOfToken(deps, presented);
    if (named?.userId === userId) await removeSession(deps, named, actor);
    return c.body(null, 204);
  });

  app.openapi({ ...listSessions, middleware: requireUser(deps) }, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const userId = c.var.user.value.id;
    const query = { operation: "listSessions", userId };
    const startId = requirePosition(deps.secrets, query, cursor);
    // At most fifty: they are read whole. Ids are sorted by time, so that the newest comes first.
    const newestFirst = (await collectSessions(deps.kv, userId)).map(({ value }) => value).toReversed();
    const rest = newestFirst.filter(({ id }) => startId === null || id <= startId);
    return c.json({
      data: rest.slice(0, limit).map((session) => viewSession(session, c.var.session.value)),
      next_cursor: issueCursor(deps.secrets, query, rest[limit]?.id ?? null),
    }, 200);
  });

  app.openapi({ ...endSession, middleware: requireUser(deps) }, async (c) => {
    const { session_id: sessionId } = c.req.valid("param");
    const userId = c.var.user.value.id;
    const isEnded = await removeSession(deps, { userId, sessionId }, owner(userId, c.var.client));
    if (!isEnded) throw new Problem("session_not_found");
    return c.body(null, 204);
  });

  app.openapi({ ...endOtherSessions, middleware: requireUser(deps) }, async (c) => {
    const userId = c.var.user.value.id;
    await removeOtherSessions(
      deps,
      { userId, keptSessionId: c.var.session.value.id },
      owner(userId, c.var.client),
    );
    return c.body(null, 204);
  });
}
