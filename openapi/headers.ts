// Headers of answers, described once. A route names those that an answer carries: `headers(...privateAnswer)`.

interface HeaderDescription {
  readonly description: string;
  readonly schema:
    | { readonly type: "string"; readonly maxLength: number; readonly pattern: string }
    | {
      readonly type: "integer";
      readonly format: "int32";
      readonly minimum: number;
      readonly maximum: number;
    };
  readonly example: string | number;
}

/** The components `#/components/headers/…` of the document. */
export const headerComponents = {
  "X-Request-Id": {
    description: "Names this answer in the server's log. Quote it when you report a fault.",
    schema: { type: "string", maxLength: 128, pattern: "^[A-Za-z0-9_=-]+$" },
    example: "01981f6e-7a4c-7d1e-9b60-2f5d1c8e4a10",
  },
  "RateLimit-Policy": {
    description:
      "The limits that count this request: `q` requests in any `w` seconds (IETF httpapi draft). Those of an address that " +
      "the request only names are not among them: they would tell what others did.",
    schema: { type: "string", maxLength: 1024, pattern: structuredList('"[a-z0-9_-]+";q=[0-9]+;w=[0-9]+') },
    example: '"login";q=5;w=60, "anonymous";q=100;w=86400',
  },
  RateLimit: {
    description:
      "What is left of each limit: `r` more requests now, and the next one that comes free in `t` seconds.",
    schema: { type: "string", maxLength: 1024, pattern: structuredList('"[a-z0-9_-]+";r=[0-9]+;t=[0-9]+') },
    example: '"login";r=4;t=60, "anonymous";r=99;t=86400',
  },
  "Cache-Control": {
    description: "Answers with tokens or personal data are not for keeping.",
    schema: { type: "string", maxLength: 64, pattern: "^(?:no-store|public, max-age=[0-9]+)$" },
    example: "no-store",
  },
  ETag: {
    description:
      "The version of this record. Send it back as `If-None-Match` and get 304 while nothing changed.",
    schema: { type: "string", maxLength: 64, pattern: '^"[A-Za-z0-9]+"$' },
    example: '"5d41402abc4b2a76b9719d911017c592"',
  },
  "WWW-Authenticate": {
    description: "How to prove who you are (RFC 6750).",
    schema: { type: "string", maxLength: 64, pattern: '^Bearer(?: error="[a-z_]+")?$' },
    example: "Bearer",
  },
  "Retry-After": {
    description: "Whole seconds to wait. The request is admitted then, and not before.",
    schema: { type: "integer", format: "int32", minimum: 0, maximum: 2_147_483_647 },
    example: 42,
  },
} as const satisfies Record<string, HeaderDescription>;

export type HeaderName = keyof typeof headerComponents;

export type HeaderReferences = { [Name in HeaderName]?: { $ref: string } };

/** On every answer. */
export const anyAnswer = ["X-Request-Id"] as const;

/** On an answer of a limited route that holds tokens or personal data. */
export const privateAnswer = [...anyAnswer, "RateLimit-Policy", "RateLimit", "Cache-Control"] as const;

/** The `headers` of a response, as references to the components. */
export function headers(...names: HeaderName[]): HeaderReferences {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** The pattern of a structured field (RFC 9651) that is a list of `item`. */
function structuredList(item: string): string {
  return `^${item}(?:, ${item})*$`;
}
