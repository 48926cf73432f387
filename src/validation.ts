// From zod's issues to the `errors` of a problem: a pointer, a stable code and a sentence of ours; never the value,
// which may be a password. Of zod's own words none reaches anybody: they are for programmers.

import type { z } from "zod";
import { type FaultCode, isFaultCode } from "../openapi/fault.ts";
import type { Fault } from "./problem.ts";

type Issue = z.ZodError["issues"][number];

/** As the contract says: a body can hold thousands of unknown members. */
const FAULTS_MAX = 100;
/** Longer lists are not for a sentence. */
const VALUES_LENGTH_MAX = 200;

const TYPES: Partial<Record<string, string>> = {
  array: "Must be a list",
  boolean: "Must be true or false",
  int: "Must be a whole number",
  number: "Must be a number",
  object: "Must be an object",
  record: "Must be an object",
  string: "Must be text",
};

/** The faults of one request part, or of any `data`, unknown members named one by one. */
export function toFaults(
  { target, data, error }: {
    readonly target?: string;
    /**
     * What was judged: an issue does not tell whether its member was there. Hono's validator brings it, though the type
     * of the hook does not say so.
     */
    readonly data?: unknown;
    readonly error: z.ZodError;
  },
): Fault[] {
  const faults = error.issues.flatMap((issue): Fault[] => {
    const path = issue.path.map(String);
    // RFC 6901 points into the body; a parameter is named by where it stands.
    const base = target === undefined || target === "json" ? [] : [target];
    if (issue.code !== "unrecognized_keys") {
      return [{ pointer: toPointer([...base, ...path]), ...judge(issue, data) }];
    }
    return issue.keys.map((key) => ({
      pointer: toPointer([...base, ...path, key]),
      code: issue.code,
      message: "Is not known here: leave it out",
    }));
  });
  return faults.slice(0, FAULTS_MAX);
}

/** The code and the sentence of any issue but unknown members. */
function judge(issue: Issue, data: unknown): { readonly code: FaultCode; readonly message: string } {
  switch (issue.code) {
    // These two come from a field or a refinement, which says in our words what would fit.
    case "custom":
      return {
        code: isFaultCode(issue.params?.["code"]) ? issue.params["code"] : "invalid_value",
        message: issue.message,
      };
    case "invalid_format":
      return { code: issue.code, message: issue.message };
    case "invalid_type":
      return {
        code: issue.code,
        message: isMissing(issue, data) ? "Is missing" : typeSentence(issue.expected),
      };
    case "invalid_value":
      return isMissing(issue, data)
        ? { code: "invalid_type", message: "Is missing" }
        : { code: issue.code, message: valuesSentence(issue.values) };
    case "too_small":
      return { code: issue.code, message: boundSentence(issue.origin, "at least", Number(issue.minimum)) };
    case "too_big":
      return { code: issue.code, message: boundSentence(issue.origin, "at most", Number(issue.maximum)) };
    default:
      return { code: "invalid_value", message: "Does not fit" };
  }
}

/** JSON has no undefined. */
function isMissing({ path }: Issue, data: unknown): boolean {
  let value = data;
  for (const part of path) {
    if (typeof value !== "object" || value === null) return false;
    value = Object.hasOwn(value, part) ? Reflect.get(value, part) : undefined;
  }
  return value === undefined;
}

function typeSentence(expected: string): string {
  return TYPES[expected] ?? "Must be of another type";
}

function valuesSentence(values: readonly unknown[]): string {
  const list = values.map(String).join(", ");
  return list.length > VALUES_LENGTH_MAX ? "Must be one of those in the contract" : `Must be one of: ${list}`;
}

function boundSentence(origin: string, bound: "at least" | "at most", count: number): string {
  const plural = count === 1 ? "" : "s";
  if (origin === "string") return `Must have ${bound} ${count} character${plural}`;
  if (origin === "array") return `Must have ${bound} ${count} item${plural}`;
  return `Must be ${bound} ${count}`;
}

/** A JSON Pointer (RFC 6901); "" is the whole. */
function toPointer(path: readonly string[]): string {
  return path.map((part) => `/${part.slice(0, 100).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
