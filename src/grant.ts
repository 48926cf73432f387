// What a client gets when it signs in or refreshes: the `Tokens` of the contract (RFC 6749 §5.1).

import type { Deps } from "./deps.ts";
import type { SessionGrant } from "./store/sessions.ts";
import { viewUser } from "./user_view.ts";

/** Members of the contract's `Tokens`; the access token is signed here. */
export interface TokensView {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly token_type: "Bearer";
  readonly expires_in: number;
  readonly refresh_expires_in: number;
}

/** A fresh access token beside the session's refresh token. */
export async function viewTokens(deps: Deps, grant: SessionGrant): Promise<TokensView> {
  const { user, session } = grant;
  const { token, lifeSeconds } = await deps.accessTokens.issue({
    userId: user.id,
    sessionId: session.id,
    role: user.role,
    sessionEndsAtMs: session.expiresAtMs,
  });
  return {
    access_token: token,
    refresh_token: grant.plainRefreshToken,
    token_type: "Bearer",
    expires_in: lifeSeconds,
    refresh_expires_in: Math.max(0, Math.ceil((grant.refreshExpiresAtMs - deps.nowMs()) / 1000)),
  };
}

/** The contract's `SignedIn`. */
export async function viewSignedIn(
  deps: Deps,
  grant: SessionGrant,
): Promise<TokensView & { user: ReturnType<typeof viewUser> }> {
  return { ...await viewTokens(deps, grant), user: viewUser(grant.user) };
}
