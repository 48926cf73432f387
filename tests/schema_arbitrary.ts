// From a JSON Schema to values: such that fit it, its boundaries among them, and such that most likely do not. Covers
// what requests of the document use; whether a value really fits is for the validator to say.

import fc from "fast-check";
import { resolve, type SchemaNode } from "./contract_document.ts";
import { committed, fits } from "./document_schemas.ts";

/** Gives a member of an object its values, so that a caller can mix in what the server knows. */
export type Member = (name: string, schema: SchemaNode) => fc.Arbitrary<unknown>;

/** A JSON value that may hold whatever `Member` puts in. */
type Fields = Readonly<Record<string, unknown>>;

/** Values that fit `schema`. */
export function fitting(
  schema: SchemaNode,
  member: Member = (_, part) => fitting(part),
): fc.Arbitrary<unknown> {
  const node = resolve(schema, committed);
  if (node.enum) return fc.constantFrom(...node.enum);
  const types = [node.type ?? "object"].flat();
  const arbitraries = types.map((type): fc.Arbitrary<unknown> => {
    if (type === "null") return fc.constant(null);
    if (type === "boolean") return fc.boolean();
    if (type === "integer") return fc.integer({ min: node.minimum ?? 0, max: node.maximum ?? 1_000_000 });
    if (type === "string") return fittingText({ ...node, type });
    if (type === "object") return fittingObject(node, member);
    throw new Error(`No values are made for ${type} yet`);
  });
  // What may also be null mostly is not.
  return fc.oneof(...arbitraries.map((arbitrary, index) => ({ weight: index === 0 ? 4 : 1, arbitrary })));
}

/** Values of which hardly one fits `schema`. */
export function misfitting(schema: SchemaNode, member: Member): fc.Arbitrary<unknown> {
  const node = resolve(schema, committed);
  if (!node.properties) return fc.oneof(oddValue, ...beyondBounds(node));
  const names = Object.keys(node.properties);
  const turns: fc.Arbitrary<(object: Fields) => unknown>[] = [
    fc.tuple(oddName, fc.jsonValue()).map(([name, value]) => (object) => ({ ...object, [name]: value })),
    oddValue.map((value) => () => value),
  ];
  for (const [name, part] of Object.entries(node.properties)) {
    turns.push(misfitting(part, member).map((value) => (object) => ({ ...object, [name]: value })));
  }
  if (names.length > 0) {
    turns.push(fc.constantFrom(...names).map((dropped) => ({ [dropped]: _, ...rest }) => rest));
  }
  return fc.tuple(fittingObject(node, member), fc.oneof(...turns)).map(([object, turn]) => turn(object));
}

function fittingObject(
  { properties = {}, required = [], minProperties = 0 }: SchemaNode,
  member: Member,
): fc.Arbitrary<Fields> {
  const members = Object.entries(properties).map(([name, part]) => [name, member(name, part)]);
  return fc.record<Fields>(Object.fromEntries(members), { requiredKeys: [...required] })
    .filter((object) => Object.keys(object).length >= minProperties);
}

function fittingText(schema: SchemaNode): fc.Arbitrary<string> {
  const { format, pattern, minLength = 0, maxLength = 64, example } = schema;
  const size = { minLength, maxLength: Math.min(maxLength, minLength + 40) };
  const isFit = (text: string): boolean => fits(schema, text) === true;
  const written = (): fc.Arbitrary<string> => {
    if (format === "email") return fc.emailAddress();
    if (pattern !== undefined) return fc.stringMatching(new RegExp(withoutAssertions(pattern)));
    return fc.oneof(fc.string({ ...size, unit: "grapheme" }), fc.string({ ...size, unit: "binary" }));
  };
  const bounds = [minLength, maxLength].flatMap((length) => ["x".repeat(length), "\u{1F511}".repeat(length)]);
  return fc.oneof(
    written().filter(isFit),
    fc.constantFrom(...[String(example), ...bounds].filter(isFit)),
  );
}

/** fast-check writes no texts for looking around; what they exclude is filtered out afterwards. */
function withoutAssertions(pattern: string): string {
  return pattern.replaceAll(/\(\?<?[!=](?:[^()\\]|\\.)*\)/g, "");
}

function beyondBounds({ minLength, maxLength, minimum, maximum }: SchemaNode): fc.Arbitrary<unknown>[] {
  const values: unknown[] = [];
  if (minLength !== undefined && minLength > 0) values.push("x".repeat(minLength - 1));
  if (maxLength !== undefined) values.push("x".repeat(maxLength + 1), "\u{1F511}".repeat(maxLength + 1));
  if (minimum !== undefined) values.push(minimum - 1, minimum + 0.5);
  if (maximum !== undefined) values.push(maximum + 1);
  return values.length === 0 ? [] : [fc.constantFrom(...values)];
}

/** Names that no request has, and some that mean something to JavaScript. */
const oddName = fc.oneof(
  fc.constantFrom(
    "__proto__",
    "constructor",
    "toString",
    "role",
    "id",
    "",
    "a/b~c",
    "\u0000",
    "x".repeat(5_000),
  ),
  fc.string({ unit: "binary", maxLength: 12 }),
);

/** Values that somebody did not think of. */
const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 1e308, "", " ", "\u0000", "\uD800", "null", [], {}, [[]]),
  fc.constantFrom(
    "mi\u212Ae@example.org",
    "a@b@c",
    "..",
    "' OR 1=1 --",
    "<script>",
    "%00",
    "\u202Eabc",
    "é".repeat(40),
  ),
  fc.constant("x".repeat(20_000)),
  fc.jsonValue(),
  fc.string({ unit: "binary" }),
);
