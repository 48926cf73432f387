// A person's record, as the person and admins see it. Absent values are null, never missing.

import { z } from "@hono/zod-openapi";
import { email, locale, name, time, userId, username } from "./fields.ts";

export const role = z.enum(["user", "admin"]).openapi({
  description: "What the person may do.",
  example: "user",
});

export const User = z.object({
  id: userId,
  email,
  email_verified: z.boolean().openapi({
    description: "Whether a code mailed to the address came back.",
    example: true,
  }),
  username: username.nullable(),
  name: name.nullable(),
  locale: locale.nullable(),
  role,
  plan: z.enum(["free", "premium"]).openapi({
    description: "How much the account may hold.",
    example: "free",
  }),
  status: z.enum(["active", "disabled"]).openapi({
    description: "A disabled account signs in nowhere, and its tokens are refused.",
    example: "active",
  }),
  created_at: time("When the account came to be."),
  updated_at: time("When anything of this record last changed."),
  last_login_at: time("When the person last signed in; null before the first time.").nullable(),
}).openapi("User", { description: "A person's account." });
