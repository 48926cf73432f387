// The OpenAPI 3.1 document: what stands around the routes, and the routes in the order of a user's day. It is built
// from the contracts alone, so that the same contracts always give the same bytes.

import { OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import manifest from "../deno.json" with { type: "json" };
import {
  confirmAccountDeletion,
  confirmEmailChange,
  exportMe,
  readMe,
  requestAccountDeletion,
  requestEmailChange,
  updateMe,
} from "./account.ts";
import { listAuditEvents } from "./audit.ts";
import { headerComponents } from "./headers.ts";
import { listMails, retryMail } from "./mails.ts";
import { createNote, deleteNote, listNotes, readNote, updateNote } from "./notes.ts";
import {
  changePassword,
  confirmPasswordReset,
  requestPasswordReset,
  verifyPasswordResetOtp,
} from "./passwords.ts";
import { register, resendOtp, verifyOtp } from "./registration.ts";
import * as service from "./service.ts";
import {
  endOtherSessions,
  endSession,
  listSessions,
  login,
  logout,
  refreshTokens,
  verifyToken,
} from "./sessions.ts";
import { readSignInReport } from "./sign_in_report.ts";
import { deleteUser, endUserSessions, listUsers, readUser, updateUser } from "./users.ts";

/** Every operation there is. */
export const routes: readonly RouteConfig[] = [
  register,
  verifyOtp,
  resendOtp,
  login,
  refreshTokens,
  verifyToken,
  logout,
  listSessions,
  endSession,
  endOtherSessions,
  requestPasswordReset,
  verifyPasswordResetOtp,
  confirmPasswordReset,
  changePassword,
  readMe,
  updateMe,
  requestEmailChange,
  confirmEmailChange,
  exportMe,
  requestAccountDeletion,
  confirmAccountDeletion,
  listNotes,
  createNote,
  readNote,
  updateNote,
  deleteNote,
  listUsers,
  readUser,
  updateUser,
  deleteUser,
  endUserSessions,
  readSignInReport,
  listMails,
  retryMail,
  listAuditEvents,
  service.readHealth,
  service.readReadiness,
  service.readKeys,
  service.readDocument,
  service.readDocs,
  service.readProblem,
  service.readMetrics,
  service.readMailbox,
];

const GUIDE =
  `Accounts, sign-in and sessions over HTTP. JSON in, JSON out; names in \`snake_case\`, times in UTC (RFC 3339),
durations in whole seconds, ids UUIDv7.

## Five minutes

With curl 7.82 or later, which knows \`--json\`:

\`\`\`sh
api=http://localhost:8000/api/v1

# 1. Register: it mails a code.
#    Here it is in /dev/mailbox.
curl $api/auth/register --json \\
'{"email": "ada@example.com",
  "password": "violet-comet-93"}'

# 2. The code opens the account,
#    and you are signed in.
curl $api/auth/verify-otp --json \\
'{"challenge_id": "…",
  "code": "042137"}'

# 3. Use the access token.
curl $api/me \\
-H 'Authorization: Bearer …'

# 4. Before it ends, get new ones.
curl $api/auth/token/refresh \\
--json '{"refresh_token": "…"}'
\`\`\`

The page \`/docs\` does the same by *Test Request* and *Send*: once you are signed in by \`verifyOtp\` or \`login\`, it sends
the access token along, until you leave it.

## Tokens

The access token is a signed JWT for 30 minutes. Other services check it with the keys of \`readKeys\`, without calling
home; this server also looks whether the session still lives, so that a sign-out counts at once.

The refresh token is for 24 hours and works once: each use answers the next one. A late second use is taken for a stolen
copy and ends the session.

## Mailed codes

Every operation that mails a code answers with a **challenge**. Only who holds its \`challenge_id\` can try codes, five at
most. Nothing in an answer tells whether an address has an account.

## Password, address, deletion

- Forgotten password: \`requestPasswordReset\` mails a code, \`verifyPasswordResetOtp\` exchanges it for a reset token, and
  \`confirmPasswordReset\` sets the new password with that. Every session ends: sign in anew.
- Another password or address: \`changePassword\` and \`requestEmailChange\` take the current password. The code goes to the
  new address, and until \`confirmEmailChange\` the old one stays. This session goes on, every other one ends.
- Deletion: \`exportMe\` gives everything that is kept, \`requestAccountDeletion\` mails a code, and
  \`confirmAccountDeletion\` deletes the account with all that belongs to it, for good.

Whenever one of them is done, the owner is mailed.

## Errors

Every error is \`application/problem+json\` (RFC 9457), on every path and status. Match \`code\`; \`type\` leads to a page that
explains it. \`errors\` points at each member that does not fit, and never repeats its value. Members that the contract does
not name are refused, so that a typing error does not pass for an omission.

Besides what the operations list, any path can answer 404 \`route_unknown\`, and 405 \`method_not_allowed\` with \`Allow\`.

## Lists

A list takes \`limit\` (1 to 100, 20 unless given) and \`cursor\`, and answers \`data\`, newest first, and \`next_cursor\`. Send
that as \`cursor\` for the next page; after the last one it is null. A cursor is opaque, and good only for the same list and
filters, asked by the same person.

## Limits

Limits are exact sliding windows. \`RateLimit-Policy\` and \`RateLimit\` tell where you stand; at the limit the answer is 429
\`rate_limited\`, and \`Retry-After\` is the second at which the next request is admitted.

By default: 100 requests a day without a token, by network; 1000 a day with one, by user; and narrower ones for sign-in
(5 a minute), registration (3 a minute), codes (3 a minute), password resets (3 an hour) and the current password (5 a
minute). At most 10 codes an hour and 30 a day are mailed to one address: beyond that the answer is the same, and no mail
leaves.

## Clients

\`deno task sdk\`, in the repository of this server, makes clients for TypeScript and Python. The TypeScript one renews
tokens by itself.

## New versions

The version of this document follows semantic versioning: what breaks a client takes a new major version, below 1.0.0 a
new minor one. What breaks none can come at any time: operations, optional members of requests, members of answers, values
of a list such as \`purpose\`, headers, and refusals with their codes. So pass over members that you do not know, and take
a code that you do not know for what its status says.`;

const TAGS = [
  { name: "Registration", description: "From a stranger to an account." },
  { name: "Sessions", description: "Sign in, stay signed in, sign out, here and elsewhere." },
  { name: "Passwords", description: "A new password, with the old one or without it." },
  { name: "Account", description: "The caller's own account: read, change, export, delete." },
  { name: "Notes", description: "The caller's own notes: the example of a protected resource." },
  {
    name: "Administration",
    description:
      "For admins: users, and the mails to them. The first admin is made on the command line: `deno task admin:create`.",
  },
  { name: "Service", description: "Health, keys, metrics and documentation." },
];

export type Document = ReturnType<OpenAPIHono["getOpenAPI31Document"]>;

/** The document of `contracts`. */
export function buildDocument(contracts: readonly RouteConfig[]): Document {
  const app = new OpenAPIHono();
  const registry = app.openAPIRegistry;
  for (const contract of contracts) registry.registerPath(contract);
  for (const [name, header] of Object.entries(headerComponents)) {
    registry.registerComponent("headers", name, header);
  }
  registry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description:
      "The `access_token` that `verifyOtp`, `login` or `refreshTokens` answered: a JWT (RFC9068), checked as RFC8725 asks.",
  });
  registry.registerComponent("securitySchemes", "metrics_token", {
    type: "http",
    scheme: "bearer",
    description: "The operator's `METRICS_TOKEN`.",
  });
  return app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Latchkey",
      version: manifest.version,
      description: GUIDE,
      license: { name: "MIT", url: "https://opensource.org/license/mit" },
    },
    servers: [{
      url: "/",
      description: "The server that this document came from: the local one, staging or production.",
      // What is true of "/" everywhere; a rule of OWASP asks it of each server.
      "x-internal": false,
    }],
    tags: TAGS,
  });
}

/** The bytes of openapi.json. */
export function printDocument(contracts: readonly RouteConfig[]): string {
  return JSON.stringify(buildDocument(contracts), null, 2) + "\n";
}
