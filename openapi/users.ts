// Users, for admins: finding, reading and changing accounts, ending their sessions, deleting them. An admin sees no
// password, hash, code, token or note, and sets no password.

import { createRoute, z } from "@hono/zod-openapi";
import { faultCode } from "./fault.ts";
import { text, userId } from "./fields.ts";
import { headers, privateAnswer } from "./headers.ts";
import { listOf, listQuery } from "./list.ts";
import { anyRoute, bodyRoute, problems, signedInRoute } from "./problem.ts";
import { User } from "./user.ts";

const { role, status, plan } = User.shape;

/** Output: lower case as far as ASCII goes; other letters stand in no address or username, so that none is folded. */
const search = text({ lengthMin: 1, lengthMax: 254 })
  .overwrite((given) => given.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase()))
  .openapi({
    description:
      "What the email or the username starts with, without regard to case. An international domain is searched in punycode.",
    example: "ada",
  });

const params = z.strictObject({ user_id: userId });

const userAnswer = {
  headers: headers(...privateAnswer, "ETag"),
  content: { "application/json": { schema: User } },
};

export const listUsers = createRoute({
  method: "get",
  path: "/api/v1/users",
  operationId: "listUsers",
  tags: ["Administration"],
  summary: "List users",
  description:
    `Newest first. Filters narrow the list together: each that is given must fit. Accounts that come or go while you turn the
pages neither repeat nor hide any other.

One request looks at 5,000 users at most. A search that more than 5,000 users fit can therefore answer a page with fewer
than \`limit\`, even none, although more follow: go on until \`next_cursor\` is null.`,
  security: [{ bearer: [] }],
  request: {
    query: z.strictObject({
      q: search.optional(),
      role: role.optional(),
      status: status.optional(),
      plan: plan.optional(),
      ...listQuery,
    }),
  },
  responses: {
    200: {
      description: "One page of users.",
      headers: headers(...privateAnswer),
      content: {
        "application/json": {
          schema: listOf(User).openapi("UserList", { description: "One page of users." }),
        },
      },
    },
    ...problems(...anyRoute, ...signedInRoute, "role_insufficient", "validation_failed"),
  },
});

export const readUser = createRoute({
  method: "get",
  path: "/api/v1/users/{user_id}",
  operationId: "readUser",
  tags: ["Administration"],
  summary: "Read a user",
  description:
    `The same record that the person sees. The answer carries an \`ETag\`: send it back as \`If-None-Match\`, and as long as
nothing changed the answer is an empty 304.`,
  security: [{ bearer: [] }],
  request: { params },
  responses: {
    200: { description: "The user.", ...userAnswer },
    304: { description: "Nothing changed since.", headers: headers(...privateAnswer, "ETag") },
    ...problems(
      ...anyRoute,
      ...signedInRoute,
      "role_insufficient",
      "validation_failed",
      "user_not_found",
    ),
  },
});

export const updateUser = createRoute({
  method: "patch",
  path: "/api/v1/users/{user_id}",
  operationId: "updateUser",
  tags: ["Administration"],
  summary: "Change a user",
  description:
    `Send the members that change, at least one; what is left out stays. A change counts from the very next request of the
person.

Disabling ends every session and every code that waits, and enabling revives none of them. A demoted admin's access token
is refused; a refresh gives one that is true. A downgraded plan keeps what it holds, and takes nothing more.

The last active admin can be neither demoted nor disabled: 409 \`last_admin\`. Everything else of an account is the
person's own, the password first of all.`,
  security: [{ bearer: [] }],
  request: {
    params,
    body: {
      required: true,
      content: {
        "application/json": {
          schema: z.strictObject({
            role: role.optional(),
            status: status.optional(),
            plan: plan.optional(),
          }).refine((patch) => Object.keys(patch).length > 0, {
            error: "Names nothing to change",
            ...faultCode("nothing_to_change"),
          }).openapi({ minProperties: 1 }),
        },
      },
    },
  },
  responses: {
    200: { description: "The user as it is now.", ...userAnswer },
    ...problems(
      ...anyRoute,
      ...bodyRoute,
      ...signedInRoute,
      "role_insufficient",
      "user_not_found",
      "last_admin",
    ),
  },
});

export const deleteUser = createRoute({
  method: "delete",
  path: "/api/v1/users/{user_id}",
  operationId: "deleteUser",
  tags: ["Administration"],
  summary: "Delete a user",
  description:
    `Everything of the account is gone, for good, as when the person deletes it: profile, password, sessions, notes, waiting
codes. A last mail tells the person, without saying who it was or from where. The last active admin stays: 409
\`last_admin\`.`,
  security: [{ bearer: [] }],
  request: { params },
  responses: {
    204: { description: "The account is deleted.", headers: headers(...privateAnswer) },
    ...problems(
      ...anyRoute,
      ...signedInRoute,
      "role_insufficient",
      "validation_failed",
      "user_not_found",
      "last_admin",
    ),
  },
});

export const endUserSessions = createRoute({
  method: "delete",
  path: "/api/v1/users/{user_id}/sessions",
  operationId: "endUserSessions",
  tags: ["Administration"],
  summary: "End all sessions of a user",
  description:
    `At once, on every instance: the person has to sign in again everywhere, with the password as it is. To keep them out,
disable the account with \`updateUser\`. Your own id ends your own sessions, this one included.`,
  security: [{ bearer: [] }],
  request: { params },
  responses: {
    204: { description: "No session is left.", headers: headers(...privateAnswer) },
    ...problems(
      ...anyRoute,
      ...signedInRoute,
      "role_insufficient",
      "validation_failed",
      "user_not_found",
    ),
  },
});
