// Refusals: routes, gates and limits throw a Problem; everything else that is thrown is a fault of ours. Both end
// here as RFC 9457 problem details. The cause goes to the log, never to the client.

import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { FaultCode } from "../openapi/fault.ts";
import { type ProblemCode, problemTable } from "../openapi/problem.ts";
import type { Deps } from "./deps.ts";
import { isDiskFault } from "./disk_fault.ts";
import { HashQueueFull } from "./hasher.ts";
import { StoreUnavailable } from "./store/kv.ts";

/** One member of the request that does not fit: where (RFC 6901), what, and what to do. Never its value. */
export interface Fault {
  readonly pointer: string;
  readonly code: FaultCode;
  readonly message: string;
}

/** What a Problem may say beyond its code. */
export interface ProblemDetails {
  readonly detail?: string;
  readonly errors?: readonly Fault[];
  readonly attempts_remaining?: number;
  readonly policy?: string;
  /** Whole seconds; also sent as `Retry-After`. */
  readonly retry_after?: number;
  readonly cause?: unknown;
}

const UNAVAILABLE_RETRY_SECONDS = 2;

/** A refusal that the contract names. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: ProblemCode;
  readonly details: Omit<ProblemDetails, "cause">;

  constructor(code: ProblemCode, { cause, ...details }: ProblemDetails = {}) {
    super(problemTable[code][1], { cause });
    this.code = code;
    this.details = details;
  }
}

/** A 422 about one member. */
export function invalid(fault: Fault): Problem {
  return new Problem("validation_failed", { errors: [fault] });
}

/** What the client gets for anything that was thrown while its request was answered. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof HashQueueFull || error instanceof StoreUnavailable || isDiskFault(error)) {
    return new Problem("unavailable", { retry_after: UNAVAILABLE_RETRY_SECONDS, cause: error });
  }
  if (error instanceof HTTPException && error.status === 415) return new Problem("media_type_unsupported");
  if (error instanceof HTTPException && error.status === 400) return new Problem("body_malformed");
  return new Problem("internal_error", { cause: error });
}

/** The answer to a problem, with the headers that its status owes (RFC 9110, RFC 6750). */
export function renderProblem(c: Context, { config }: Pick<Deps, "config">, problem: Problem): Response {
  const [status, title] = problemTable[problem.code];
  c.header("Content-Type", "application/problem+json");
  c.header("Cache-Control", "no-store");
  if (status === 401) c.header("WWW-Authenticate", wwwAuthenticate(problem.code));
  if (problem.details.retry_after !== undefined) c.header("Retry-After", String(problem.details.retry_after));
  return c.body(
    JSON.stringify({
      type: `${config.publicUrl}/problems/${problem.code}`,
      title,
      status,
      code: problem.code,
      ...problem.details,
      request_id: c.get("requestId"),
    }),
    status,
  );
}

function wwwAuthenticate(code: ProblemCode): string {
  return code === "token_invalid" ? 'Bearer error="invalid_token"' : "Bearer";
}
