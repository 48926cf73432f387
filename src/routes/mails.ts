// The outbox, for admins: what became of every mail, and another try for a dead one.

import { listMails, retryMail } from "../../openapi/mails.ts";
import type { App } from "../app_env.ts";
import { issueCursor, requirePosition } from "../cursor.ts";
import type { Deps } from "../deps.ts";
import { requireAdmin } from "../gate.ts";
import { viewMail } from "../mail_view.ts";
import { invalid, Problem } from "../problem.ts";
import { admin } from "../store/client.ts";
import { reviveMail } from "../store/mails.ts";
import { collectMails, findMail } from "../store/mail_lists.ts";

export function registerMails(app: App, deps: Deps): void {
  const adminOnly = requireAdmin(deps);

  app.openapi({ ...listMails, middleware: adminOnly }, async (c) => {
    const { limit, cursor, ...filter } = c.req.valid("query");
    const query = { operation: "listMails", userId: c.var.user.value.id, filters: filter };
    const startId = requirePosition(deps.secrets, query, cursor);
    const { items, nextId } = await collectMails(deps.kv, filter, { limit, startId });
    return c.json({ data: items.map(viewMail), next_cursor: issueCursor(deps.secrets, query, nextId) }, 200);
  });

  app.openapi({ ...retryMail, middleware: adminOnly }, async (c) => {
    const { mail_id: mailId } = c.req.valid("param");
    const actor = admin(c.var.user.value.id, c.var.client);
    const isRevived = await reviveMail(deps, mailId, actor);
    if (isRevived === false) {
      throw invalid({
        pointer: "/param/mail_id",
        code: "mail_not_retryable",
        message: "Must be a dead mail whose content is still kept",
      });
    }
    const mail = await findMail(deps.kv, mailId);
    if (!mail) throw new Problem("route_unknown", { detail: "There is no such mail" });
    deps.wakeOutbox();
    return c.json(viewMail(mail), 202);
  });
}
