// The OpenAPI document as the contract tests read it: what the contracts come to, not what is committed.

import assert from "node:assert/strict";
import { printDocument, routes } from "../openapi/document.ts";

/** What is read here of a JSON Schema. */
export interface SchemaNode {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly pattern?: string;
  readonly example?: unknown;
  readonly enum?: readonly unknown[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly description?: string;
  readonly additionalProperties?: unknown;
  readonly required?: readonly string[];
  readonly minProperties?: number;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly allOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
}

/** The bodies of a request or an answer, by media type. */
export interface Content {
  readonly [mediaType: string]: {
    readonly schema: SchemaNode;
    readonly examples?: Record<string, { value: unknown }>;
  };
}

/** One status of an operation. */
export interface Response {
  readonly description?: string;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content?: Content;
}

/** What is read of an operation. */
export interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly security?: readonly unknown[];
  readonly tags?: readonly string[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly schema: SchemaNode;
  }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, Response>>;
}

/** What is read of the document. */
export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, SchemaNode>>;
    readonly headers: Readonly<Record<string, { readonly schema: SchemaNode }>>;
  };
  readonly tags: readonly { readonly name: string }[];
}

/** The bytes that openapi.json should have. */
export const printed = printDocument(routes);

// The validators of contract_test.ts and contract_lint_test.ts say that it has this form.
export const document = JSON.parse(printed) as Document;

/** The operation that `route` became. */
export function operationOf({ path, method }: (typeof routes)[number]): Operation {
  const operation = document.paths[path]?.[method];
  assert.ok(operation, `${method} ${path} is in the document`);
  return operation;
}

/** The codes of every refusal that it declares. */
export function codesOf({ responses }: Operation): string[] {
  return Object.values(responses).flatMap(({ content }) =>
    Object.keys(content?.["application/problem+json"]?.examples ?? {})
  );
}

/** The schema itself, where a reference stands for it. */
export function resolve(schema: SchemaNode, { components }: Document = document): SchemaNode {
  const name = schema.$ref?.replace("#/components/schemas/", "");
  const node = name === undefined ? schema : components.schemas[name];
  assert.ok(node, `${schema.$ref} is in the document`);
  return node;
}
