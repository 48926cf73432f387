// The caller's own notes. Somebody else's note is not found, like one that never was.

import { createNote, deleteNote, listNotes, readNote, updateNote } from "../../openapi/notes.ts";
import type { App } from "../app_env.ts";
import { issueCursor, requirePosition } from "../cursor.ts";
import type { Deps } from "../deps.ts";
import { isUnchanged } from "../etag.ts";
import { requireUser } from "../gate.ts";
import { viewNote } from "../note_view.ts";
import { Problem } from "../problem.ts";
import { collectNotes, findNote, insertNote, removeNote, replaceNote } from "../store/notes.ts";

export function registerNotes(app: App, deps: Deps): void {
  const signedIn = requireUser(deps);

  app.openapi({ ...listNotes, middleware: signedIn }, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const userId = c.var.user.value.id;
    const query = { operation: "listNotes", userId };
    const startId = requirePosition(deps.secrets, query, cursor);
    const { notes, nextId } = await collectNotes(deps.kv, userId, { limit, startId });
    return c.json({ data: notes.map(viewNote), next_cursor: issueCursor(deps.secrets, query, nextId) }, 200);
  });

  app.openapi({ ...createNote, middleware: signedIn }, async (c) => {
    const { title, body = null } = c.req.valid("json");
    const insertion = await insertNote(deps, c.var.user.value.id, { title, body });
    if (insertion.outcome === "full") throw new Problem("plan_limit_reached");
    // The account was deleted since the gate looked: its token is worth nothing any more.
    if (insertion.outcome === "gone") throw new Problem("token_invalid");
    return c.json(viewNote(insertion.note), 201);
  });

  app.openapi({ ...readNote, middleware: signedIn }, async (c) => {
    const { note_id: noteId } = c.req.valid("param");
    const note = await findNote(deps.kv, { userId: c.var.user.value.id, noteId });
    if (!note) throw new Problem("note_not_found");
    if (isUnchanged(c, note)) return c.body(null, 304);
    return c.json(viewNote(note.value), 200);
  });

  app.openapi({ ...updateNote, middleware: signedIn }, async (c) => {
    const { note_id: noteId } = c.req.valid("param");
    const note = await replaceNote(deps.kv, { userId: c.var.user.value.id, noteId }, c.req.valid("json"));
    if (!note) throw new Problem("note_not_found");
    return c.json(viewNote(note), 200);
  });

  app.openapi({ ...deleteNote, middleware: signedIn }, async (c) => {
    const { note_id: noteId } = c.req.valid("param");
    const isRemoved = await removeNote(deps.kv, { userId: c.var.user.value.id, noteId });
    if (!isRemoved) throw new Problem("note_not_found");
    return c.body(null, 204);
  });
}
