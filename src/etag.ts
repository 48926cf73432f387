// Entity tags (RFC 9110 §8.8.3): the store gives every state of a record its own versionstamp, so that a tag costs
// no hashing of the answer.

import type { Context } from "hono";
import type { Entry } from "./store/kv.ts";

/** Sets `ETag`; true when the client already has this state, and 304 is due. */
export function isUnchanged(c: Context, entry: Entry<unknown>): boolean {
  const tag = `"${entry.versionstamp}"`;
  c.header("ETag", tag);
  const known = c.req.header("if-none-match");
  if (known === undefined) return false;
  return known.trim() === "*" || known.split(",").some((part) => part.trim().replace(/^W\//, "") === tag);
}
