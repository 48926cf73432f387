// Requests made up from the document: mostly such that fit an operation's schemas, with one thing wrong now and then,
// in every part that a client can write. A new operation is asked as soon as it stands in the document.

import fc from "fast-check";
import { gateOf, verdicts } from "./access.ts";
import type { SchemaNode } from "./contract_document.ts";
import { inputNamesOf, type Operation, operations } from "./document_judge.ts";
import { fitting, type Member, misfitting } from "./schema_arbitrary.ts";

/** Who sends it. */
export type Sender = (typeof SENDERS)[number];

const SENDERS = ["anonymous", "junk token", "operator", "user", "admin"] as const;

/** A request as it is made up, before what the world knows is filled in. */
export interface Draft {
  readonly operationId: string;
  readonly sender: Sender;
  readonly method: string;
  readonly params: Readonly<Record<string, Segment>>;
  readonly query: readonly (readonly [name: string, value: unknown])[];
  readonly body: BodyDraft;
  readonly headers: Readonly<Record<string, string>>;
}

/** What stands in the path for a parameter; raw: as it is, without encoding. */
export type Segment = { readonly value: unknown } | { readonly raw: string };

export type BodyDraft = { readonly json: unknown } | { readonly bytes: Uint8Array<ArrayBuffer> } | null;

/** Marks it. */
export const KNOWN = Symbol("known");

/** Stands for a value of this name that the world has seen. */
export interface Known {
  readonly [KNOWN]: true;
  readonly name: string;
  /** 0 is the newest. */
  readonly age: number;
  /** Sent when it has seen none. */
  readonly otherwise: unknown;
}

/** Any request of any operation, the oftener the more it takes. */
export function anyRequest(): fc.Arbitrary<Draft> {
  return fc.oneof(...operations.map((operation) => ({
    weight: 1 + inputNamesOf(operation).length,
    arbitrary: requestOf(operation),
  })));
}

function requestOf(operation: Operation): fc.Arbitrary<Draft> {
  const admitted = SENDERS.filter((sender) => verdicts[gateOf(operation.id)][sender] === "passes");
  const segments = parametersOf(operation, "path").map(({ name, schema }) => [name, segment(name, schema)]);
  return fc.record({
    operationId: fc.constant(operation.id),
    sender: mostly<Sender>(fc.constantFrom(...admitted), fc.constantFrom(...SENDERS), 3),
    method: mostly(fc.constant(operation.method), otherMethod(operation), 30),
    params: fc.record<Record<string, Segment>>(Object.fromEntries(segments)),
    query: queryOf(operation),
    body: operation.bodySchema ? bodyOf(operation.bodySchema) : fc.constant<BodyDraft>(null),
    headers: headersOf(operation),
  });
}

/** A member or parameter: something that the world has seen under this name, or made up. */
const known: Member = (name, schema) => {
  const made = fitting(schema, known);
  if (schema.enum) return made;
  const seen = fc.record({
    name: fc.constant(name),
    age: fc.oneof(fc.constant(0), fc.nat(20)),
    otherwise: made,
  }).map((rest): Known => ({ [KNOWN]: true, ...rest }));
  // An id that was made up is nobody's.
  return schema.format === "uuid" ? mostly(seen, made, 4) : fc.oneof(seen, made);
};

function parametersOf({ parameters }: Operation, place: string): Operation["parameters"] {
  return parameters.filter((parameter) => parameter.in === place);
}

/** `usual`, and one time of `share` the other. */
function mostly<Value>(
  usual: fc.Arbitrary<Value>,
  other: fc.Arbitrary<Value>,
  share: number,
): fc.Arbitrary<Value> {
  return fc.oneof({ weight: share - 1, arbitrary: usual }, { weight: 1, arbitrary: other });
}

function otherMethod({ method, path }: Operation): fc.Arbitrary<string> {
  const served = operations.filter((operation) => operation.path === path).map((operation) =>
    operation.method
  );
  const others = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"].filter((other) =>
    !served.includes(other)
  );
  return fc.constantFrom(...others, ...method === "GET" ? ["HEAD", "HEAD"] : []);
}

function segment(name: string, schema: SchemaNode): fc.Arbitrary<Segment> {
  const raw = fc.constantFrom("%", "%zz", "%00", "%c3%28", "a%2fb", ";x=1", "%F0%9F%94%91", "*").map((
    text,
  ) => ({ raw: text }));
  const asValue = (value: unknown): Segment => ({ value });
  return mostly(known(name, schema).map(asValue), fc.oneof(raw, misfitting(schema, known).map(asValue)), 8);
}

type Pair = Draft["query"][number];

function queryOf(operation: Operation): fc.Arbitrary<Draft["query"]> {
  const none = fc.constant<Pair[]>([]);
  const pairs = parametersOf(operation, "query").map(({ name, required, schema }) => {
    const value = mostly(known(name, schema), misfitting(schema, known), 5);
    const pair = value.map((given): Pair[] => [[name, given]]);
    return required ? pair : fc.oneof(none, pair);
  });
  const surplus = fc.tuple(
    fc.constantFrom("x", "__proto__", "limit", "q[]", "access_token"),
    fc.string(),
  );
  return fc.tuple(...pairs, mostly(none, surplus.map((pair): Pair[] => [pair]), 12)).map((parts) =>
    parts.flat()
  );
}

function bodyOf(schema: SchemaNode): fc.Arbitrary<BodyDraft> {
  const json = (value: unknown): BodyDraft => ({ json: value });
  const bytes = (given: Uint8Array<ArrayBuffer>): BodyDraft => ({ bytes: given });
  const text = (given: string): BodyDraft => bytes(new TextEncoder().encode(given));
  return fc.oneof(
    { weight: 16, arbitrary: fitting(schema, known).map(json) },
    { weight: 5, arbitrary: misfitting(schema, known).map(json) },
    { weight: 1, arbitrary: fc.json().map(text) },
    { weight: 1, arbitrary: fc.constantFrom(...BROKEN).map(text) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((given) => bytes(new Uint8Array(given))) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(65_536, 65_537, 200_000).map((length) => text("{}".padEnd(length))),
    },
    { weight: 1, arbitrary: fc.constant<BodyDraft>(null) },
  );
}

/** Almost JSON, or JSON that a reader can choke on. */
const BROKEN = [
  "{",
  "{}{}",
  "{'email': 1}",
  '{"email":"a@b.co",}',
  '{"email":"a@b.co","email":"c@d.co"}',
  '{"x":{"y":1,"\\u0079":2}}',
  "\uFEFF{}",
  "NaN",
  "01",
  '"\\uD800"',
  '"\\x"',
  "[".repeat(30_000),
  "[".repeat(30_000) + "]".repeat(30_000),
  '{"a":'.repeat(5_000) + "1" + "}".repeat(5_000),
  `{"email":${"9".repeat(20_000)}}`,
];

function headersOf({ bodySchema }: Operation): fc.Arbitrary<Draft["headers"]> {
  const contentType = mostly(
    fc.constantFrom("application/json", "application/json", "Application/JSON; charset=utf-8"),
    fc.constantFrom(
      "text/plain",
      "application/json; charset=utf-16",
      "application/ld+json",
      "multipart/form-data",
      ";",
    ),
    16,
  );
  return fc.record({
    ...bodySchema ? { "content-type": contentType } : {},
    "accept": fc.constantFrom("*/*", "text/html", "application/json", "x/y;q=0", ""),
    "accept-language": fc.constantFrom("de", "x".repeat(2_000)),
    "if-none-match": fc.constantFrom("*", '"1"', 'W/"x", "y"', "\u00FF"),
    "x-request-id": fc.oneof(
      fc.constantFrom("trace-1", "a b", "x".repeat(3_000)),
      fc.string({ unit: PRINTABLE }),
    ),
    "x-forwarded-for": fc.constantFrom("203.0.113.9", "::1, junk", "x"),
    "origin": fc.constantFrom("https://evil.test", "null"),
    "user-agent": fc.string({ unit: PRINTABLE, maxLength: 300 }),
  }, { requiredKeys: bodySchema ? ["content-type"] : [] });
}

const PRINTABLE = fc.integer({ min: 0x20, max: 0xff }).filter((code) => code < 0x7f || code > 0xa0)
  .map((code) => String.fromCharCode(code));
