// Notes: the example of a protected resource. Each belongs to one person, and for anybody else it does not exist.

import { createRoute, z } from "@hono/zod-openapi";
import { id, line, text, time } from "./fields.ts";
import { headers, privateAnswer } from "./headers.ts";
import { listOf, listQuery } from "./list.ts";
import { anyRoute, bodyRoute, problems, signedInRoute } from "./problem.ts";

const noteId = id().openapi({ description: "The id of the note; ids sort by the time of creation." });

const title = line({ lengthMax: 200 }).openapi({
  description: "What the note is about, 1 to 200 characters on one line, one of them visible.",
  example: "Groceries",
});

const body = text({ lengthMin: 0, lengthMax: 10_000 })
  .regex(
    // deno-lint-ignore no-control-regex
    /^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$/,
    "May not hold control characters other than tabs and line breaks",
  )
  .nullable()
  .openapi({
    description:
      "The text of the note, up to 10,000 characters, tabs and line breaks among them; null without one.",
    example: "Oats, apples, coffee",
  });

export const Note = z.object({
  id: noteId,
  title,
  body,
  created_at: time("When the note was made."),
  updated_at: time("When its title or body was last written."),
}).openapi("Note", { description: "A person's note." });

const noteAnswer = {
  headers: headers(...privateAnswer),
  content: { "application/json": { schema: Note } },
};

const params = z.strictObject({ note_id: noteId });

export const listNotes = createRoute({
  method: "get",
  path: "/api/v1/notes",
  operationId: "listNotes",
  tags: ["Notes"],
  summary: "List your notes",
  description:
    `Newest first; \`next_cursor\` leads to the next page. Notes that are added or deleted while you turn the pages neither
repeat nor hide any other.`,
  security: [{ bearer: [] }],
  request: { query: z.strictObject(listQuery) },
  responses: {
    200: {
      description: "One page of the caller's notes.",
      headers: headers(...privateAnswer),
      content: {
        "application/json": {
          schema: listOf(Note).openapi("NoteList", { description: "One page of notes." }),
        },
      },
    },
    ...problems(...anyRoute, ...signedInRoute, "validation_failed"),
  },
});

export const createNote = createRoute({
  method: "post",
  path: "/api/v1/notes",
  operationId: "createNote",
  tags: ["Notes"],
  summary: "Write a note",
  description:
    `The free plan holds 20 notes unless this server is set otherwise, the premium plan 100,000; one more is a 409
\`plan_limit_reached\`. Deleting a note makes room for another. After a downgrade every note stays.`,
  security: [{ bearer: [] }],
  request: {
    body: {
      required: true,
      content: { "application/json": { schema: z.strictObject({ title, body: body.optional() }) } },
    },
  },
  responses: {
    201: { description: "The note as it was kept.", ...noteAnswer },
    ...problems(...anyRoute, ...bodyRoute, ...signedInRoute, "plan_limit_reached"),
  },
});

export const readNote = createRoute({
  method: "get",
  path: "/api/v1/notes/{note_id}",
  operationId: "readNote",
  tags: ["Notes"],
  summary: "Read a note",
  description:
    `Somebody else's note answers like one that does not exist. The answer carries an \`ETag\`: send it back as
\`If-None-Match\`, and as long as nothing changed the answer is an empty 304.`,
  security: [{ bearer: [] }],
  request: { params },
  responses: {
    200: { description: "The note.", ...noteAnswer, headers: headers(...privateAnswer, "ETag") },
    304: { description: "Nothing changed since.", headers: headers(...privateAnswer, "ETag") },
    ...problems(...anyRoute, ...signedInRoute, "validation_failed", "note_not_found"),
  },
});

export const updateNote = createRoute({
  method: "patch",
  path: "/api/v1/notes/{note_id}",
  operationId: "updateNote",
  tags: ["Notes"],
  summary: "Change a note",
  description:
    `Send the members that change, at least one; what is left out stays. \`"body": null\` clears the body.`,
  security: [{ bearer: [] }],
  request: {
    params,
    body: {
      required: true,
      content: {
        "application/json": {
          schema: z.strictObject({ title: title.optional(), body: body.optional() })
            .refine((patch) => Object.keys(patch).length > 0, "Must have at least one member")
            .openapi({ minProperties: 1 }),
        },
      },
    },
  },
  responses: {
    200: { description: "The note as it is now.", ...noteAnswer },
    ...problems(...anyRoute, ...bodyRoute, ...signedInRoute, "note_not_found"),
  },
});

export const deleteNote = createRoute({
  method: "delete",
  path: "/api/v1/notes/{note_id}",
  operationId: "deleteNote",
  tags: ["Notes"],
  summary: "Delete a note",
  description: "It is gone at once and for good, and makes room for another. Deleting it again is a 404.",
  security: [{ bearer: [] }],
  request: { params },
  responses: {
    204: { description: "Deleted.", headers: headers(...privateAnswer) },
    ...problems(...anyRoute, ...signedInRoute, "validation_failed", "note_not_found"),
  },
});
