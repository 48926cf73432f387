// Lists: what every one takes and answers. `limit` and `cursor` in, a page and the next cursor out.

import { z } from "@hono/zod-openapi";
import { cursor, limit } from "./fields.ts";

/** The query of a list: spread into a strict object, beside the filters of that list. */
export const listQuery = { limit, cursor: cursor.optional() };

/** One page of a list of `item`. */
export function listOf<Item extends z.ZodType>(
  item: Item,
): z.ZodObject<{ data: z.ZodArray<Item>; next_cursor: z.ZodNullable<typeof cursor> }> {
  return z.object({
    data: z.array(item).max(100).openapi({ description: "This page, at most `limit` items." }),
    next_cursor: cursor.nullable().openapi({
      description: "Send it as `cursor` for the next page, with the same query; null on the last one.",
    }),
  });
}
