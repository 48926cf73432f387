// The caller's own account.

import { readMe } from "../../openapi/account.ts";
import type { App } from "../app.ts";
import type { Deps } from "../deps.ts";
import { isUnchanged } from "../etag.ts";
import { requireUser } from "../gate.ts";
import { viewUser } from "../user_view.ts";

export function registerAccount(app: App, deps: Deps): void {
  app.openapi({ ...readMe, middleware: requireUser(deps) }, (c) => {
    if (isUnchanged(c, c.var.user)) return c.body(null, 304);
    return c.json(viewUser(c.var.user.value), 200);
  });
}
