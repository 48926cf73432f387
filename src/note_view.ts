// A note as the API shows it, field by field: what is not named here never leaves the server.

import type { z } from "@hono/zod-openapi";
import type { Note } from "../openapi/notes.ts";
import type { NoteRecord } from "./store/keys.ts";
import { rfc3339 } from "./user_view.ts";

/** The `Note` of the contract. */
export function viewNote(note: NoteRecord): z.output<typeof Note> {
  return {
    id: note.id,
    title: note.title,
    body: note.body,
    created_at: rfc3339(note.createdAtMs),
    updated_at: rfc3339(note.updatedAtMs),
  };
}
