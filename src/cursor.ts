// Cursors of lists: where the next page starts, sealed. A cursor tells nothing, cannot be made up or altered, and
// opens only for the person and the query that it was made for. None is stored, so that none has to be swept.

import { invalid } from "./problem.ts";
import type { Secrets } from "./secrets.ts";

/** What a cursor is good for. `limit` is no part of it: the next page may have another size. */
export interface ListQuery {
  /** The operation's name in the contract. */
  readonly operation: string;
  /** Who asks. */
  readonly userId: string;
  /** Whatever else decides which items the list has. */
  readonly filters?: Readonly<Record<string, string | undefined>>;
}

/** The `next_cursor` of an answer: null after the last page. `position` has at most 700 bytes, as an id does. */
export function issueCursor(secrets: Secrets, query: ListQuery, position: string | null): string | null {
  if (position === null) return null;
  return secrets.seal("cursor", contextOf(query), position)
    .toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Where the page of `cursor` starts; null for the first. Throws 422 for a cursor that is not of this query. */
export function requirePosition(
  secrets: Secrets,
  query: ListQuery,
  cursor: string | undefined,
): string | null {
  if (cursor === undefined) return null;
  const position = openCursor(secrets, query, cursor);
  if (position === null) {
    throw invalid({
      pointer: "/query/cursor",
      code: "cursor_invalid",
      message: "Must be the next_cursor of the same list, with the same filters, unchanged",
    });
  }
  return position;
}

/** The position in a cursor; null when it was altered, or made for another query or person. */
export function openCursor(secrets: Secrets, query: ListQuery, cursor: string): string | null {
  const sealed = decode(cursor);
  const position = sealed && secrets.unseal("cursor", contextOf(query), sealed);
  return typeof position === "string" ? position : null;
}

function contextOf({ operation, userId, filters = {} }: ListQuery): string {
  const given = Object.entries(filters).filter(([, value]) => value !== undefined);
  return JSON.stringify([operation, userId, given.sort()]);
}

function decode(cursor: string): Uint8Array | null {
  try {
    // Strict needs the padding, and takes only one spelling of the same bytes.
    const padded = cursor.padEnd(Math.ceil(cursor.length / 4) * 4, "=");
    return Uint8Array.fromBase64(padded, { alphabet: "base64url", lastChunkHandling: "strict" });
  } catch {
    return null;
  }
}
