// What breaks clients from one document to the next, and the version that may do so. `redocly diff` finds the changes
// and judges them for any API; the table below adds what this contract promises besides, and calls a notice what clients
// are told to expect.

import { z } from "@hono/zod-openapi";
import { runRedocly } from "./redocly.ts";

/** One change that clients meet. */
export interface Change {
  /** The operation and its part, or whatever else it stands in. */
  readonly where: string;
  readonly what: string;
  readonly why: string;
}

/** What changed for clients between two documents. */
export interface Comparison {
  /** Clients that work with the one fail with the other. */
  readonly breaks: readonly Change[];
  /** Clients meet something new, which the guide tells them to expect. */
  readonly notices: readonly Change[];
}

/** The texts of two documents. */
export interface Documents {
  readonly released: string;
  readonly current: string;
}

const side = z.object({ pointer: z.string(), value: z.unknown().optional() });

/** A difference, as redocly reports it. */
const difference = z.object({
  path: z.string(),
  typeName: z.string(),
  kind: z.string(),
  property: z.string().optional(),
  verdicts: z.array(z.object({ ruleId: z.string(), impact: z.string(), message: z.string() })),
  base: side.optional(),
  revision: side.optional(),
});

type Difference = z.output<typeof difference>;

/** A judgement of ours, which stands in place of redocly's. */
interface Rule {
  readonly applies: (difference: Difference) => boolean;
  readonly isBreak: boolean;
  readonly what: (difference: Difference) => string;
  readonly why: string;
}

const rules: readonly Rule[] = [
  {
    applies: (found) => isCode(found) && (found.kind === "removed" || found.property === "key"),
    isBreak: true,
    what: ({ base }) => `Code \`${lastOf(base?.pointer)}\` was removed.`,
    why: "Clients match codes, and wait for this one in vain.",
  },
  {
    applies: (found) => isCode(found) && found.kind === "added",
    isBreak: false,
    what: ({ path }) => `Code \`${lastOf(path)}\` was added.`,
    why: "Clients that match codes may want to know it.",
  },
  {
    applies: ({ typeName, kind, path }) =>
      typeName === "Response" && kind === "added" && lastOf(path).startsWith("2"),
    isBreak: true,
    what: ({ path }) => `Success can be \`${lastOf(path)}\` too.`,
    why: "Clients take only the success that they know.",
  },
  {
    applies: ({ typeName, kind }) => typeName === "Response" && kind === "added",
    isBreak: false,
    what: ({ path }) => `Response \`${lastOf(path)}\` was added.`,
    why: "Clients that match codes may want to know its codes.",
  },
  {
    applies: ({ typeName, kind, revision }) =>
      typeName === "RequestBody" && kind === "added" && isRequired.safeParse(revision?.value).success,
    isBreak: true,
    what: () => "A request body became required.",
    why: "Clients that send none are refused.",
  },
  {
    applies: ({ typeName, kind }) => typeName === "SecurityRequirement" && kind === "removed",
    isBreak: false,
    what: () => "No access token is asked for any more.",
    why: "Nobody fails by it; make sure that it is meant.",
  },
  {
    applies: ({ verdicts, base, revision }) =>
      verdicts.some(({ ruleId }) => ruleId === "enum-values-added") &&
      valuesOf(base).every((value) => valuesOf(revision).includes(value)),
    isBreak: false,
    what: ({ verdicts }) => verdicts[0]?.message ?? "",
    why: "Clients that tell all values apart may want to know the new ones.",
  },
];

/** Why clients fail, by the rule of redocly that a change broke. */
const reasons: Readonly<Record<string, string>> = {
  "enum-values-added": "Clients get a value instead of the one that they know.",
  "enum-values-removed": "Clients that send such a value are refused.",
  "media-type-removed": "Clients that send or ask for it are refused.",
  "operation-id-changed": "Generated clients name their functions for it.",
  "operation-removed": "Clients that call it get 404 or 405.",
  "parameter-became-required": "Clients that leave it out are refused.",
  "parameter-removed": "Clients that send it are refused: unknown members are a 422.",
  "parameter-serialization-changed": "Clients write it as before, and are refused.",
  "path-removed": "Clients that call it get 404.",
  "property-removed":
    "Clients that read it find nothing; clients that send it are refused, for unknown members are a 422.",
  "request-body-became-required": "Clients that send none are refused.",
  "request-body-removed": "Clients that send one are refused.",
  "required-properties-added": "Clients that leave it out are refused.",
  "required-properties-removed": "Clients rely on it being there.",
  "response-header-removed": "Clients that read it find nothing.",
  "response-removed": "Clients that tell answers by their status do not know the one that comes instead.",
  "schema-combinator-changed": "Clients send or get a form that the other side does not know.",
  "schema-constraint-changed": "Clients send what is refused now, or get what was never to come.",
  "schema-type-changed": "Clients send what is refused now, or get what they cannot read.",
  "security-requirement-changed": "Clients that call it as before get 401.",
  "security-scheme-changed": "Clients prove who they are as before, and get 401.",
  "server-removed": "Clients call the address that they know.",
};

/** Compares what is released with what is to come. */
export async function compareDocuments({ released, current }: Documents): Promise<Comparison> {
  const report = await runRedocly("diff", [released, current], ["--fail-on=none"]);
  const operationIds = [current, released].map(operationIdsOf);
  const judged = z.object({ changes: z.array(difference) }).parse(report).changes.flatMap((found) => {
    const where = placeOf(found, { ...operationIds[0], ...operationIds[1] });
    const rule = rules.find(({ applies }) => applies(found));
    if (rule) return [{ where, what: rule.what(found), why: rule.why, isBreak: rule.isBreak }];
    return found.verdicts.filter(({ impact }) => impact === "major").map(({ ruleId, message }) => (
      { where, what: message, why: reasons[ruleId] ?? `It breaks the rule ${ruleId}.`, isBreak: true }
    ));
  });
  return {
    breaks: judged.filter(({ isBreak }) => isBreak),
    notices: judged.filter(({ isBreak }) => !isBreak),
  };
}

/** What the author of `breaks` is told; null when there are none, or when `version` may break clients of `before`. */
export function refuseBreaks(
  { before, version, breaks }: {
    readonly before: string;
    readonly version: string;
    readonly breaks: readonly Change[];
  },
): string | null {
  const minimum = breakingVersion(before);
  if (breaks.length === 0 || isAtLeast(version, minimum)) return null;
  return `The document breaks clients of ${before}, the last release (openapi/released.json):

${breaks.map(printChange).join("\n")}

Keep what clients rely on. If it must break: raise "version" in deno.json to ${minimum}, and say in CHANGELOG.md what
clients have to change. (Below 1.0.0 a breaking change takes a new minor version, from then on a new major one.)
`;
}

/** The lowest version that may break clients of `released`: below 1.0.0 a new minor, then a new major (semver §4, §8). */
export function breakingVersion(released: string): string {
  const [major, minor] = numbersOf(released);
  return major === 0 ? `0.${minor + 1}.0` : `${major + 1}.0.0`;
}

/** Whether `version` is `other` or comes after it. */
export function isAtLeast(version: string, other: string): boolean {
  const [left, right] = [numbersOf(version), numbersOf(other)];
  const at = left.findIndex((number, index) => number !== right[index]);
  return at === -1 || (left[at] ?? 0) > (right[at] ?? 0);
}

/** One change on two lines, for a person. */
export function printChange({ where, what, why }: Change): string {
  return `  ${where}: ${what}\n    ${why}`;
}

/** `POST /api/v1/auth/login (login), answer 401`; for a shared schema also that it stands elsewhere. */
function placeOf(
  { path, base, revision }: Difference,
  operationIds: Readonly<Record<string, string>>,
): string {
  const [root, route = "", method, part, status] = segmentsOf(path);
  if (root !== "paths") return "Everywhere";
  const [, kind, name] = segmentsOf((base ?? revision)?.pointer ?? "");
  const operation = `${method?.toUpperCase()} ${route}`;
  return [
    method === undefined ? route : `${operation} (${operationIds[operation] ?? "new"})`,
    ...part === "requestBody" || part === "parameters" ? ["request"] : [],
    ...part === "responses" ? [`answer ${status}`] : [],
    ...kind === "schemas" ? [`and wherever else ${name} stands`] : [],
  ].join(", ");
}

function operationIdsOf(document: string): Record<string, string> {
  const operations = z.record(z.string(), z.object({ operationId: z.string() }));
  const { paths } = z.object({ paths: z.record(z.string(), operations) }).parse(JSON.parse(document));
  return Object.fromEntries(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map((
        [method, { operationId }],
      ) => [`${method.toUpperCase()} ${path}`, operationId])
    ),
  );
}

/** Codes stand in the document as the names of examples. */
function isCode({ path, typeName }: Difference): boolean {
  return typeName === "Example" && segmentsOf(path).includes("application/problem+json");
}

const isRequired = z.object({ required: z.literal(true) });

function valuesOf(found: Difference["base"]): readonly unknown[] {
  return z.array(z.unknown()).catch([]).parse(found?.value);
}

/** RFC 6901. */
function segmentsOf(pointer: string): string[] {
  return pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function lastOf(pointer: string | undefined): string {
  return segmentsOf(pointer ?? "").at(-1) ?? "";
}

function numbersOf(version: string): [number, number, number] {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)$/.exec(version) ?? [];
  if (patch === undefined) throw new Error(`"${version}" is no version of the form 1.2.3`);
  return [Number(major), Number(minor), Number(patch)];
}
