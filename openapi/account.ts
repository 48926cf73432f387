// The caller's own account.

import { createRoute } from "@hono/zod-openapi";
import { headers, privateAnswer } from "./headers.ts";
import { anyRoute, problems, signedInRoute } from "./problem.ts";
import { User } from "./user.ts";

export const readMe = createRoute({
  method: "get",
  path: "/api/v1/me",
  operationId: "readMe",
  tags: ["Account"],
  summary: "Read your account",
  description:
    `Who the access token belongs to. The answer carries an \`ETag\`: send it back as \`If-None-Match\`, and as long as
nothing changed the answer is an empty 304.`,
  security: [{ bearer: [] }],
  responses: {
    200: {
      description: "The account.",
      headers: headers(...privateAnswer, "ETag"),
      content: { "application/json": { schema: User } },
    },
    304: { description: "Nothing changed since.", headers: headers(...privateAnswer, "ETag") },
    ...problems(...anyRoute, ...signedInRoute),
  },
});
