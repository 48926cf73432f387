// From zod's issues to the `errors` of a problem: a pointer, a stable code and a sentence; never the value, which
// may be a password.

import type { z } from "zod";
import type { Fault } from "./problem.ts";

/** As the contract says: a body can hold thousands of unknown members. */
const FAULTS_MAX = 100;

/** The faults of one request part, unknown members named one by one. */
export function toFaults(
  { target, error }: { readonly target?: string; readonly error: z.ZodError },
): Fault[] {
  const faults = error.issues.flatMap((issue): Fault[] => {
    const path = issue.path.map(String);
    // RFC 6901 points into the body; a parameter is named by where it stands.
    const base = target === undefined || target === "json" ? [] : [target];
    if (issue.code !== "unrecognized_keys") {
      return [{ pointer: toPointer([...base, ...path]), code: issue.code, message: issue.message }];
    }
    return issue.keys.map((key) => ({
      pointer: toPointer([...base, ...path, key]),
      code: issue.code,
      message: "Is not a member of this request: leave it out",
    }));
  });
  return faults.slice(0, FAULTS_MAX);
}

/** A JSON Pointer (RFC 6901); "" is the whole. */
function toPointer(path: readonly string[]): string {
  return path.map((part) => `/${part.slice(0, 100).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
