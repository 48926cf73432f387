// Values held against schemas of the document by a validator of JSON Schema 2020-12, the dialect of OpenAPI 3.1: as a
// client reads them, without the contracts that they were made from.

import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import json from "../openapi/openapi.json" with { type: "json" };
import type { Document, SchemaNode } from "./contract_document.ts";

/** The document as it is committed, and as clients have it. */
// contract_test.ts says that the contracts come to this, and that it has this form.
export const committed = json as unknown as Document;

/**
 * Whether `value` fits a schema of a request. JSON Schema leaves open whether `format` counts: true when it fits
 * either way, false when it fits neither way, null when the format decides.
 */
export function fits(schema: SchemaNode, value: unknown): boolean | null {
  if (!validatorOf(schema, "request")(value)) return false;
  return validatorOf(schema, "strict request")(value) ? true : null;
}

/** Why `value` is not what an answer with this schema is: it does not fit, or has members which that does not name. */
export function findMisfit(schema: SchemaNode, value: unknown): string | null {
  const validate = validatorOf(schema, "answer");
  return validate(value) ? null : JSON.stringify(validate.errors);
}

/** What a value is held against a schema for. */
type Use = "answer" | "request" | "strict request";

interface Judge {
  readonly ajv: Ajv2020;
  readonly validators: WeakMap<SchemaNode, ValidateFunction>;
}

const COMPONENTS = "#/components/schemas/";

const formats = {
  "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/,
  email: /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*@[a-z\d]+([.-][a-z\d]+)*\.[a-z]+$/i,
  uuid: /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i,
  uri: (text: string) => URL.canParse(text),
  "json-pointer": /^(\/([^~/]|~[01])*)*$/,
  base64url: /^[\w-]*$/,
  int32: { type: "number", validate: (value: number) => Math.abs(value) < 2 ** 31 },
  int64: { type: "number", validate: Number.isSafeInteger },
  html: true,
  password: true,
} as const;

const judges: Readonly<Record<Use, Judge>> = {
  "answer": createJudge("answer"),
  "request": createJudge("request"),
  "strict request": createJudge("strict request"),
};

function createJudge(use: Use): Judge {
  const ajv = new Ajv2020({
    formats,
    validateFormats: use !== "request",
    // So that a keyword or format that nobody checks is an error; these two say nothing of values.
    strict: true,
    keywords: ["example", "discriminator"],
    strictTypes: false,
    strictRequired: false,
  });
  const $defs = Object.entries(committed.components.schemas).map((
    [name, schema],
  ) => [name, prepare(schema, use)]);
  ajv.addSchema({ $id: "components", $defs: Object.fromEntries($defs) });
  return { ajv, validators: new WeakMap() };
}

function validatorOf(schema: SchemaNode, use: Use): ValidateFunction {
  const { ajv, validators } = judges[use];
  const validate = validators.get(schema) ?? ajv.compile(prepareWhole(schema, use));
  validators.set(schema, validate);
  return validate;
}

/** A whole value, not a part of one: in an answer it has no member but those that any part of its schema names. */
function prepareWhole(schema: SchemaNode, use: Use): Record<string, unknown> {
  const isObject = Boolean(schema.$ref ?? schema.properties ?? schema.allOf ?? schema.oneOf);
  return { ...prepare(schema, use), ...use === "answer" && isObject && { unevaluatedProperties: false } };
}

/** The same schema, with its references put to where the validator has the components. */
function prepare(schema: SchemaNode, use: Use): Record<string, unknown> {
  const { $ref, properties, items, allOf, oneOf, minLength, maxLength, ...rest } = schema;
  // A password is counted after NFC, by the handler: its lengths belong to the format.
  const isCounted = use !== "request" || rest.format !== "password";
  const members = Object.entries(properties ?? {}).map(([name, member]) => [name, prepareWhole(member, use)]);
  return {
    ...rest,
    ...isCounted && minLength !== undefined && { minLength },
    ...isCounted && maxLength !== undefined && { maxLength },
    ...$ref && { $ref: $ref.replace(COMPONENTS, "components#/$defs/") },
    ...properties && { properties: Object.fromEntries(members) },
    ...items && { items: prepareWhole(items, use) },
    ...allOf && { allOf: allOf.map((part) => prepare(part, use)) },
    ...oneOf && { oneOf: oneOf.map((part) => prepare(part, use)) },
  };
}
