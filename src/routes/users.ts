// Users, for admins. Every change is checked and written in one commit, so that the last active admin stays, also when
// two admins turn against each other at the same moment.

import { deleteUser, endUserSessions, listUsers, readUser, updateUser } from "../../openapi/users.ts";
import { readSignInReport } from "../../openapi/sign_in_report.ts";
import type { App } from "../app_env.ts";
import { issueCursor, requirePosition } from "../cursor.ts";
import type { Deps } from "../deps.ts";
import { isUnchanged, setEtag } from "../etag.ts";
import { requireAdmin } from "../gate.ts";
import { Problem } from "../problem.ts";
import { reportSignIn } from "../sign_in_report.ts";
import { admin } from "../store/client.ts";
import { removeUser } from "../store/deletion.ts";
import { removeOtherSessions } from "../store/sessions.ts";
import { collectUsers } from "../store/user_index.ts";
import { findUser, replaceUser } from "../store/users.ts";
import { viewUser } from "../user_view.ts";

export function registerUsers(app: App, deps: Deps): void {
  const adminOnly = requireAdmin(deps);

  app.openapi({ ...listUsers, middleware: adminOnly }, async (c) => {
    const { limit, cursor, ...filter } = c.req.valid("query");
    const query = { operation: "listUsers", userId: c.var.user.value.id, filters: filter };
    const startId = requirePosition(deps.secrets, query, cursor);
    const { items, nextId } = await collectUsers(deps.kv, filter, { limit, startId });
    return c.json({ data: items.map(viewUser), next_cursor: issueCursor(deps.secrets, query, nextId) }, 200);
  });

  app.openapi({ ...readUser, middleware: adminOnly }, async (c) => {
    const user = await findUser(deps.kv, c.req.valid("param").user_id);
    if (!user) throw new Problem("user_not_found");
    if (isUnchanged(c, user)) return c.body(null, 304);
    return c.json(viewUser(user.value), 200);
  });

  app.openapi({ ...updateUser, middleware: adminOnly }, async (c) => {
    const actor = admin(c.var.user.value.id, c.var.client);
    const change = await replaceUser(deps, c.req.valid("param").user_id, c.req.valid("json"), actor);
    if (change.outcome === "last_admin") throw new Problem("last_admin");
    // No username is set here, so that none can be taken.
    if (change.outcome !== "changed") throw new Problem("user_not_found");
    setEtag(c, change.user);
    return c.json(viewUser(change.user.value), 200);
  });

  app.openapi({ ...deleteUser, middleware: adminOnly }, async (c) => {
    const actor = admin(c.var.user.value.id, c.var.client);
    const outcome = await removeUser(deps, c.req.valid("param").user_id, actor);
    if (outcome === "missing") throw new Problem("user_not_found");
    if (outcome === "last_admin") throw new Problem("last_admin");
    return c.body(null, 204);
  });

  app.openapi({ ...readSignInReport, middleware: adminOnly }, async (c) => {
    const user = await findUser(deps.kv, c.req.valid("param").user_id);
    if (!user) throw new Problem("user_not_found");
    return c.json(await reportSignIn(deps, user.value), 200);
  });

  app.openapi({ ...endUserSessions, middleware: adminOnly }, async (c) => {
    const { user_id: userId } = c.req.valid("param");
    if (!await findUser(deps.kv, userId)) throw new Problem("user_not_found");
    const actor = admin(c.var.user.value.id, c.var.client);
    await removeOtherSessions(deps, { userId, keptSessionId: null }, actor);
    return c.body(null, 204);
  });
}
