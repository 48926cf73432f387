// The caller's own account: reading and changing it, another address, everything in one document, and its end.

import { createRoute, z } from "@hono/zod-openapi";
import { AuditEvent } from "./audit.ts";
import { challengeAnswer, guessesAt } from "./challenge.ts";
import { faultCode } from "./fault.ts";
import { challengeId, code, email, id, locale, name, password, time, username, word } from "./fields.ts";
import { headers, privateAnswer } from "./headers.ts";
import { Note } from "./notes.ts";
import { anyRoute, bodyRoute, problems, signedInRoute } from "./problem.ts";
import { Session } from "./sessions.ts";
import { User } from "./user.ts";

export const readMe = createRoute({
  method: "get",
  path: "/api/v1/me",
  operationId: "readMe",
  tags: ["Account"],
  summary: "Read your account",
  description:
    `Who the access token belongs to: what an app asks when it starts, to see whether the person is still signed in. On 401
it refreshes its tokens, or shows \`login\`.

The answer carries an \`ETag\`: send it back as \`If-None-Match\`, and as long as nothing changed the answer is an empty
304.`,
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

export const updateMe = createRoute({
  method: "patch",
  path: "/api/v1/me",
  operationId: "updateMe",
  tags: ["Account"],
  summary: "Change your account",
  description:
    `Send the members that change, at least one: \`null\` clears, and what is left out stays. A new username is taken and
the old one free in the same moment; another account's, or one that a pending registration reserves, is 409
\`username_taken\`. Another case of your own is always yours.

The address changes through \`requestEmailChange\`, the password through \`changePassword\`; role, plan and status are for
administrators.`,
  security: [{ bearer: [] }],
  request: {
    body: {
      required: true,
      content: {
        "application/json": {
          schema: z.strictObject({
            name: name.nullable().optional(),
            username: username.nullable().optional(),
            locale: locale.nullable().optional(),
          }).refine((patch) => Object.keys(patch).length > 0, {
            error: "Names nothing to change",
            ...faultCode("nothing_to_change"),
          }).openapi({ minProperties: 1 }),
        },
      },
    },
  },
  responses: {
    200: {
      description: "The account as it is now.",
      headers: headers(...privateAnswer, "ETag"),
      content: { "application/json": { schema: User } },
    },
    ...problems(...anyRoute, ...bodyRoute, ...signedInRoute, "username_taken"),
  },
});

export const requestEmailChange = createRoute({
  method: "post",
  path: "/api/v1/me/email",
  operationId: "requestEmailChange",
  tags: ["Account"],
  summary: "Start a change of your address",
  description:
    `Mails a code to the new address and a notice to the present one, and answers with a challenge. Send the code and the
\`challenge_id\` to \`confirmEmailChange\`. Until then the present address stays the one that signs in and gets the mails. A
request replaces an earlier one: its code opens nothing any more.

The answer is the same when the new address already has an account; then no code is mailed to it. A wrong
\`current_password\` is 401 \`password_invalid\`. Five attempts a minute, counted together with the other operations that
take the current password.`,
  security: [{ bearer: [] }],
  request: {
    body: {
      required: true,
      content: {
        "application/json": {
          schema: z.strictObject({
            new_email: email.openapi({ example: "ada@lovelace.example" }),
            current_password: password,
          }),
        },
      },
    },
  },
  responses: {
    202: challengeAnswer,
    ...problems(...anyRoute, ...bodyRoute, ...signedInRoute, "password_invalid"),
  },
});

/** The answer to the challenge of one's own, with its code. */
const confirmation = {
  body: {
    required: true,
    content: { "application/json": { schema: z.strictObject({ challenge_id: challengeId, code }) } },
  },
};

export const confirmEmailChange = createRoute({
  method: "post",
  path: "/api/v1/me/email/confirm",
  operationId: "confirmEmailChange",
  tags: ["Account"],
  summary: "Confirm your new address",
  description:
    `From now on the account has the new address, and only that signs in. This session goes on; every other one ends at
once, and so does every code and reset token that still waits. Both addresses are mailed.

${
      guessesAt("requestEmailChange")
    } So it is when the address has meanwhile got another account. Three attempts a
minute, by network and by challenge.`,
  security: [{ bearer: [] }],
  request: confirmation,
  responses: {
    200: {
      description: "The account with its new address.",
      headers: headers(...privateAnswer, "ETag"),
      content: { "application/json": { schema: User } },
    },
    ...problems(...anyRoute, ...bodyRoute, ...signedInRoute, "otp_invalid", "otp_expired"),
  },
});

export const requestAccountDeletion = createRoute({
  method: "post",
  path: "/api/v1/me/deletion",
  operationId: "requestAccountDeletion",
  tags: ["Account"],
  summary: "Start the deletion of your account",
  description:
    `Mails a code to the account's address and answers with a challenge. Nothing is deleted yet: send the code and the
\`challenge_id\` to \`confirmAccountDeletion\`, after \`exportMe\` if anything is to be kept. A request replaces an earlier one:
its code opens nothing any more.

The body may be left out. The last active admin cannot leave: 409 \`last_admin\`.`,
  security: [{ bearer: [] }],
  request: {
    body: { required: false, content: { "application/json": { schema: z.strictObject({}) } } },
  },
  responses: {
    202: challengeAnswer,
    ...problems(...anyRoute, ...bodyRoute, ...signedInRoute, "last_admin"),
  },
});

export const confirmAccountDeletion = createRoute({
  method: "post",
  path: "/api/v1/me/deletion/confirm",
  operationId: "confirmAccountDeletion",
  tags: ["Account"],
  summary: "Delete your account",
  description:
    `Everything of the account is gone, for good: profile, password, sessions, notes, waiting codes. The tokens are
refused at once, and the address and the username are free for anybody. A last mail says so. Within 90 seconds no record
holds the address, the name, a note or a token; the audit trail keeps ids only.

${guessesAt("requestAccountDeletion")} Who has become the last active admin meanwhile stays: 409
\`last_admin\`. Three attempts a minute, by network and by challenge.`,
  security: [{ bearer: [] }],
  request: confirmation,
  responses: {
    204: { description: "The account is deleted.", headers: headers(...privateAnswer) },
    ...problems(...anyRoute, ...bodyRoute, ...signedInRoute, "otp_invalid", "otp_expired", "last_admin"),
  },
});

const knownNetwork = z.object({
  last_sign_in_at: time("When the account last signed in from it."),
  ends_at: time("When it is forgotten, unless the account signs in from it again."),
}).openapi("KnownNetwork", { description: "A network that the account signed in from lately." });

const sentMail = z.object({
  id: id().openapi({ description: "The id of the mail." }),
  kind: word("What it was about.", "password_changed"),
  state: z.enum(["queued", "sending", "sent", "dead"]).openapi({
    description: "How far it got. A dead mail is not tried again, unless an administrator asks for it.",
    example: "sent",
  }),
  created_at: time("When it was decided on."),
  sent_at: time("When the mail server took it; null before that.").nullable(),
}).openapi("SentMail", { description: "A mail to the account." });

export const AccountExport = z.object({
  exported_at: time("When this document was made."),
  user: User,
  sessions: z.array(Session).max(50).openapi({ description: "Where the account is signed in." }),
  known_networks: z.array(knownNetwork).max(10_000).openapi({
    description: "Networks that the account signed in from within 30 days. They are kept only as hashes.",
  }),
  mails: z.array(sentMail).max(10_000).openapi({
    description:
      "Mails about the account, of about 30 days. What they said is not kept once they are sent. Codes to another address are not among " +
      "them: whether one left would tell whether somebody has that address.",
  }),
  events: z.array(AuditEvent).max(10_000).openapi({
    description:
      "What the audit trail tells of the account, newest first, ten thousand at most: what it did and what happened to it. Of who else took " +
      "part, an admin or an account that it acted on as one, neither the id nor from where is told; of a code to another address only that " +
      "it was asked for, as `code_sent`.",
  }),
  notes: z.array(Note).max(100_000).openapi({ description: "Every note." }),
}).openapi("AccountExport", { description: "Everything that is kept about a person." });

export const exportMe = createRoute({
  method: "get",
  path: "/api/v1/me/export",
  operationId: "exportMe",
  tags: ["Account"],
  summary: "Export everything kept about you",
  description:
    `One JSON document with all that the server keeps about the caller (GDPR articles 15 and 20). It can be large: the
lists are whole, without pages. A large one is sent while it is made, and one that broke off on the way is no JSON. Exports of
one account are made one after the other.

Left out is what could only do harm in a file: the hashes of the password and of tokens. Flows that wait for their code
are not in it either: the store can open one only with its \`challenge_id\`, which it does not keep.`,
  security: [{ bearer: [] }],
  responses: {
    200: {
      description: "The whole.",
      headers: headers(...privateAnswer),
      content: { "application/json": { schema: AccountExport } },
    },
    ...problems(...anyRoute, ...signedInRoute),
  },
});
