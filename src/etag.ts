// Entity tags (RFC 9110 §8.8.3): the store gives every state of a record its own versionstamp, so that a tag costs
// no hashing of the answer.

import type { Context } from "hono";
import type { Entry } from "./store/kv.ts";

/** Gives the answer the `ETag` of this state, and returns it. */
export function setEtag(c: Context, entry: Entry<unknown>): string {
  const tag = `"${entry.versionstamp}"`;
  c.header("ETag", tag);
  return tag;
}

/** Whether the client already has this state, so that 304 is due; the `ETag` is set in any case. */
export function isUnchanged(c: Context, entry: Entry<unknown>): boolean {
  const tag = setEtag(c, entry);
  const known = c.req.header("if-none-match");
  if (known === undefined) return false;
  return known.trim() === "*" || known.split(",").some((part) => part.trim().replace(/^W\//, "") === tag);
}
