// A user as the API shows it, field by field: what is not named here never leaves the server.

import type { z } from "@hono/zod-openapi";
import type { User } from "../openapi/user.ts";
import type { UserRecord } from "./store/keys.ts";

/** The `User` of the contract. */
export function viewUser(user: UserRecord): z.output<typeof User> {
  return {
    id: user.id,
    email: user.email,
    email_verified: user.isEmailVerified,
    username: user.username,
    name: user.name,
    locale: user.locale,
    role: user.role,
    plan: user.plan,
    status: user.status,
    created_at: rfc3339(user.createdAtMs),
    updated_at: rfc3339(user.updatedAtMs),
    last_login_at: user.lastLoginAtMs === null ? null : rfc3339(user.lastLoginAtMs),
  };
}

/** RFC 3339 in UTC, with milliseconds. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}
