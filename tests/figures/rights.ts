// Rights that are taken away: how long until the token that had them is refused, and whether a restart revives it.

import { readMe } from "../../openapi/account.ts";
import { confirmPasswordReset } from "../../openapi/passwords.ts";
import { listSessions, login, logout } from "../../openapi/sessions.ts";
import { deleteUser, listUsers, updateUser } from "../../openapi/users.ts";
import { PASSWORD } from "../harness.ts";
import { type Account, type Desk, openDesk } from "./desk.ts";
import { type Figure, pause } from "./figure.ts";
import type { RouteConfig } from "@hono/zod-openapi";

interface Revocation {
  readonly name: string;
  /** What the token was good for until then. */
  readonly right: RouteConfig;
  revoke(desk: Desk, person: Account, admin: string): Promise<unknown>;
  readonly isAdmin?: boolean;
}

const revocations: readonly Revocation[] = [
  {
    name: "logout",
    right: readMe,
    revoke: (desk, { accessToken: token }) => desk.ask(logout, { token, json: {} }),
  },
  {
    name: "reset",
    right: listSessions,
    revoke: async (desk, { email }) =>
      desk.ask(confirmPasswordReset, {
        json: { reset_token: await desk.resetTokenFor(email), new_password: "amber-kettle-81" },
      }),
  },
  {
    name: "disabling",
    right: readMe,
    revoke: (desk, { id }, token) =>
      desk.ask(updateUser, { token, params: { user_id: id }, json: { status: "disabled" } }),
  },
  {
    name: "demotion",
    right: listUsers,
    isAdmin: true,
    revoke: (desk, { id }, token) =>
      desk.ask(updateUser, { token, params: { user_id: id }, json: { role: "user" } }),
  },
  {
    name: "deletion",
    right: readMe,
    revoke: (desk, { id }, token) => desk.ask(deleteUser, { token, params: { user_id: id } }),
  },
];

export const rights: Figure = {
  number: 7,
  name: "Seconds until a revoked right is refused, at worst; and revived by a restart",
  goal: "at most 1 s, never revived",
  async measure() {
    await using desk = await openDesk();
    const created = desk.site.spawn("admin:create", {
      args: ["--email", "root@example.org", "--password-stdin"],
      stdin: PASSWORD,
    });
    await created.ended();
    const { body: { access_token: admin } } = await desk.ask(login, {
      json: { email: "root@example.org", password: PASSWORD },
    });
    let worstMs = 0;
    const dead: { readonly route: RouteConfig; readonly token: string }[] = [];
    for (const { right, revoke, isAdmin } of revocations) {
      let person = await desk.signUp();
      if (isAdmin) {
        const params = { user_id: person.id };
        await desk.ask(updateUser, { token: admin, params, json: { role: "admin" } });
        const { body } = await desk.ask(login, { json: { email: person.email, password: PASSWORD } });
        person = { ...person, accessToken: body.access_token };
      }
      const token = person.accessToken;
      if ((await desk.ask(right, { token })).status !== 200) {
        return { value: "no right at all", isMet: false };
      }
      await revoke(desk, person, admin);
      const revokedMs = performance.now();
      while ((await desk.ask(right, { token })).status === 200) {
        if (performance.now() - revokedMs > 10_000) return { value: "over 10 s", isMet: false };
        await pause(5);
      }
      worstMs = Math.max(worstMs, performance.now() - revokedMs);
      dead.push({ route: right, token });
    }
    await desk.killAndRestart();
    const replies = await Promise.all(dead.map(({ route, token }) => desk.ask(route, { token })));
    const revived = replies.filter(({ status }) => status === 200).length;
    return {
      value: `${(worstMs / 1000).toFixed(3)} s, ${revived} of ${dead.length} revived`,
      isMet: worstMs <= 1_000 && revived === 0,
    };
  },
};
