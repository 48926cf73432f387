// What can be wrong with a member of a request: one closed table of codes, stable like those of problems. It may grow;
// a code never comes to mean another thing.

import { z } from "@hono/zod-openapi";
import { word } from "./fields.ts";

/** code → what it means. */
const FAULTS = {
  confirmation_differs: "the confirmation is not what it confirms",
  cursor_invalid: "the cursor is not of this list, with these filters and for this person",
  email_unchanged: "the new address is the account's already",
  invalid_format: "a text has not the form that it must have",
  invalid_type: "missing, or of another type",
  invalid_value: "none of the values that it may have",
  mail_not_retryable: "the mail is not dead, or its content is gone",
  nothing_to_change: "a change without any member",
  password_common: "among the passwords that attackers try first",
  password_like_email: "built from the address",
  password_like_name: "built from the name",
  password_like_service: "built from the name of the service",
  password_like_username: "built from the username",
  password_pattern: "not of the form that this service asks of passwords",
  password_too_long: "more characters than a password may have",
  password_too_short: "fewer characters than a password must have",
  password_unreadable: "control characters in a password, or halves of characters",
  too_big: "too long, too many, or too great a number",
  too_small: "too short, too few, or too small a number",
  unrecognized_keys: "a member that the request does not have",
} as const satisfies Record<string, string>;

export type FaultCode = keyof typeof FAULTS;

/** Whether it is one of the codes, whatever it is. */
export function isFaultCode(value: unknown): value is FaultCode {
  return typeof value === "string" && Object.hasOwn(FAULTS, value);
}

/** For a refinement: which code its fault has. */
export function faultCode(code: FaultCode): { readonly params: { readonly code: FaultCode } } {
  return { params: { code } };
}

const meanings = Object.entries(FAULTS).map(([code, meaning]) => `\`${code}\`: ${meaning}`);

/** One entry of a problem's `errors`. */
export const Fault = z.object({
  pointer: z.string().max(1024).openapi({
    format: "json-pointer",
    description:
      "Where: a JSON Pointer (RFC 6901) into the body, or `/param/…`, `/query/…`, `/header/…`; empty for the whole.",
    example: "/email",
  }),
  code: word(
    `What kind of fault it is, stable like the codes of problems. There may be more than these one day: ${
      meanings.join("; ")
    }.`,
    "invalid_format",
  ),
  message: z.string().max(500).openapi({
    description: "What would fit, for a person. Never the value that was sent.",
    example:
      "Must be an email address with an ASCII local part, without surrounding spaces or look-alike characters",
  }),
}).openapi("Fault", { description: "What does not fit, and where." });
