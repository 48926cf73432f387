// The service itself, at the root and without limits: is it well, what does it offer, with which keys does it sign.

import { createRoute, z } from "@hono/zod-openapi";
import { email, id, time, word } from "./fields.ts";
import { anyAnswer, headers } from "./headers.ts";
import { problemCodes, problems } from "./problem.ts";

const page = z.string().max(1_000_000).openapi({ format: "html", description: "A page for people." });

export const readHealth = createRoute({
  method: "get",
  path: "/health",
  operationId: "readHealth",
  tags: ["Service"],
  summary: "Ask whether the process lives",
  description:
    "For supervisors: when it does not answer, restart the process. It touches nothing, so that a failing store is no " +
    "reason to restart; `readReadiness` tells of that.",
  security: [],
  responses: {
    200: {
      description: "It lives.",
      headers: headers(...anyAnswer),
      content: {
        "application/json": {
          schema: z.object({
            status: z.literal("ok").openapi({ description: "Always `ok`.", example: "ok" }),
          }).openapi("Health", { description: "That the process lives." }),
        },
      },
    },
    ...problems("internal_error"),
  },
});

export const readReadiness = createRoute({
  method: "get",
  path: "/ready",
  operationId: "readReadiness",
  tags: ["Service"],
  summary: "Ask whether requests can be served",
  description:
    "For load balancers: while it answers 503, send no requests here. Proves a write to the store. Says nothing about " +
    "mail: mails wait in the outbox until their server is back.",
  security: [],
  responses: {
    200: {
      description: "The store takes writes.",
      headers: headers(...anyAnswer),
      content: {
        "application/json": {
          schema: z.object({
            status: z.literal("ready").openapi({ description: "Always `ready`.", example: "ready" }),
          }).openapi("Readiness", { description: "That requests can be served." }),
        },
      },
    },
    ...problems("internal_error", "unavailable"),
  },
});

export const readDocument = createRoute({
  method: "get",
  path: "/openapi.json",
  operationId: "readDocument",
  tags: ["Service"],
  summary: "Read this document",
  description: "The OpenAPI 3.1 document of this server, to generate clients and tests from.",
  security: [],
  responses: {
    200: {
      description: "The document.",
      headers: headers(...anyAnswer),
      content: {
        "application/json": {
          schema: z.looseObject({
            openapi: z.string().max(16).regex(/^3\.1\.[0-9]+$/).openapi({
              description: "The version of OpenAPI.",
              example: "3.1.0",
            }),
          }),
        },
      },
    },
    ...problems("internal_error"),
  },
});

export const readDocs = createRoute({
  method: "get",
  path: "/docs",
  operationId: "readDocs",
  tags: ["Service"],
  summary: "Read this document as a page",
  description: "The same for people, with a way to try each operation. Works without internet access.",
  security: [],
  responses: {
    200: {
      description: "The page.",
      headers: headers(...anyAnswer),
      content: { "text/html": { schema: page } },
    },
    ...problems("internal_error"),
  },
});

const key = z.object({
  kty: z.literal("OKP").openapi({ description: "The family of keys (RFC 8037).", example: "OKP" }),
  crv: z.literal("Ed25519").openapi({ description: "The curve.", example: "Ed25519" }),
  x: z.base64url().max(64).openapi({
    description: "The public key, base64url.",
    example: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
  }),
  kid: z.base64url().max(64).openapi({
    description: "The name of the key, as in the header of a token.",
    example: "k1",
  }),
  alg: z.literal("EdDSA").openapi({ description: "The algorithm to insist on.", example: "EdDSA" }),
  use: z.literal("sig").openapi({ description: "For signatures only.", example: "sig" }),
}).openapi("PublicKey", { description: "A key that verifies access tokens." });

export const KeySet = z.object({
  keys: z.array(key).max(100).openapi({ description: "Newest first." }),
}).openapi("KeySet", { description: "Public keys as a JSON Web Key Set (RFC 7517)." });

export const readKeys = createRoute({
  method: "get",
  path: "/.well-known/jwks.json",
  operationId: "readKeys",
  tags: ["Service"],
  summary: "Read the public keys of access tokens",
  description:
    `With these any service checks access tokens without calling home. Insist on \`alg\` EdDSA, \`typ\` at+jwt, \`exp\`, and
\`iss\` and \`aud\`, which are both the address of this server. A sign-out is not seen that way: see \`verifyToken\`.
Fetch the keys again when a token names a \`kid\` that you do not know.`,
  security: [],
  responses: {
    200: {
      description: "The keys that sign now or soon, or signed tokens which have not ended.",
      headers: headers(...anyAnswer, "Cache-Control"),
      content: { "application/json": { schema: KeySet } },
    },
    ...problems("internal_error", "unavailable"),
  },
});

export const ProblemMeaning = z.object({
  code: z.enum(problemCodes).openapi({ description: "The code.", example: "otp_expired" }),
  status: z.int().min(400).max(599).openapi({
    format: "int32",
    description: "The HTTP status it comes with.",
    example: 410,
  }),
  title: z.string().max(120).openapi({
    description: "What it means, in a few words.",
    example: "Code is no longer good",
  }),
  advice: z.string().max(500).openapi({
    description: "What to do about it.",
    example: "Start the flow again.",
  }),
}).openapi("ProblemMeaning", { description: "What an error code means." });

export const readProblem = createRoute({
  method: "get",
  path: "/problems/{code}",
  operationId: "readProblem",
  tags: ["Service"],
  summary: "Read what an error code means",
  description:
    "Where `type` of an error leads: a page for people, JSON for programs that ask for it with `Accept`.",
  security: [],
  request: {
    params: z.object({
      code: z.string().min(1).max(64).openapi({
        description: "The `code` of an error.",
        example: "otp_expired",
      }),
    }),
  },
  responses: {
    200: {
      description: "What it means, and what to do.",
      headers: headers(...anyAnswer),
      content: { "text/html": { schema: page }, "application/json": { schema: ProblemMeaning } },
    },
    ...problems("route_unknown", "validation_failed", "internal_error"),
  },
});

export const readMetrics = createRoute({
  method: "get",
  path: "/metrics",
  operationId: "readMetrics",
  tags: ["Service"],
  summary: "Read what this process counts",
  description:
    `For Prometheus: requests by pattern of the route, sign-ins, hashes, limits hit, the outbox, the store, memory. Nobody is
named in it. Takes the operator's \`METRICS_TOKEN\`; where that is not set, this path is a 404 like any unknown one.`,
  security: [{ metrics_token: [] }],
  responses: {
    200: {
      description: "The counts, in Prometheus' text format.",
      headers: headers(...anyAnswer, "Cache-Control"),
      content: {
        "text/plain": {
          schema: z.string().max(10_000_000).openapi({
            description: "Text format 0.0.4.",
            example: [
              "# HELP latchkey_sign_ins_total Sign-ins, succeeded or by code of refusal.",
              "# TYPE latchkey_sign_ins_total counter",
              'latchkey_sign_ins_total{outcome="succeeded"} 42',
              "",
            ].join("\n"),
          }),
        },
      },
    },
    ...problems("token_missing", "token_invalid", "route_unknown", "internal_error"),
  },
});

const mailboxItem = z.object({
  id: id().openapi({ description: "The id of the mail." }),
  to: email.openapi({ description: "To whom." }),
  subject: z.string().max(998).openapi({
    description: "The subject.",
    example: "042137 is your Latchkey code",
  }),
  text: z.string().max(65_536).openapi({ description: "The plain part.", example: "Your code is 042137." }),
  html: z.string().max(65_536).openapi({
    format: "html",
    description: "The HTML part.",
    example: "<p>Your code is 042137.</p>",
  }),
  code: z.string().max(32).regex(/^[0-9A-Z-]+$/).nullable().openapi({
    description: "The code in it, if there is one.",
    example: "042137",
  }),
  kind: word("Which mail it is.", "registration_code"),
  sent_at: time("When it was sent."),
}).openapi("MailboxMail", { description: "A mail as it would have been sent." });

export const readMailbox = createRoute({
  method: "get",
  path: "/dev/mailbox",
  operationId: "readMailbox",
  tags: ["Service"],
  summary: "Read the mails of a development server",
  description:
    `Newest first: a page for people, JSON for programs that ask for it with \`Accept\`. There is a mailbox only in
development and only while no SMTP server is set; otherwise this path is a 404 like any unknown one.`,
  security: [],
  responses: {
    200: {
      description: "The mails.",
      headers: headers(...anyAnswer, "Cache-Control"),
      content: {
        "application/json": {
          schema: z.object({
            data: z.array(mailboxItem).max(100).openapi({ description: "The newest mails." }),
            next_cursor: z.null().openapi({ description: "There are no further pages." }),
          }).openapi("Mailbox", { description: "The mails of a development server." }),
        },
        "text/html": { schema: page },
      },
    },
    ...problems("route_unknown", "internal_error", "unavailable"),
  },
});
