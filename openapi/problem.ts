// Every error the API can answer: one closed table, RFC 9457 problem details. Clients match `code`; titles may
// change. `problems(...)` declares them on a route, so that the document and the server use the same list.

import { z } from "@hono/zod-openapi";
import { Fault } from "./fault.ts";
import { count, requestId, seconds, word } from "./fields.ts";
import { type HeaderName, type HeaderReferences, headers } from "./headers.ts";

/** code → status, title, and what a person who reads it should do. */
export const problemTable = {
  body_malformed: [
    400,
    "Request body is not valid JSON",
    "Send one JSON value in UTF-8, without duplicate member names.",
  ],
  otp_invalid: [
    400,
    "Code is wrong",
    "Try again with the code from the newest mail; `attempts_remaining` says how often that is possible.",
  ],
  token_missing: [401, "Access token is missing", "Send `Authorization: Bearer <access_token>`."],
  token_invalid: [401, "Access token is not valid", "Refresh it; if that fails, sign in again."],
  credentials_invalid: [
    401,
    "Email or password is wrong",
    "Check both. An account that was never confirmed cannot sign in: register again.",
  ],
  refresh_token_invalid: [401, "Refresh token is not valid", "Sign in again."],
  refresh_token_reused: [
    401,
    "Refresh token was used before",
    "The session has been ended, because a copy of its token may be in other hands. Sign in again.",
  ],
  password_invalid: [401, "Current password is wrong", "Try again, or reset the password."],
  role_insufficient: [403, "Role is not sufficient", "Ask an administrator."],
  account_disabled: [403, "Account is disabled", "Ask an administrator."],
  route_unknown: [404, "No such path", "See `/docs` for the paths there are."],
  user_not_found: [404, "No such user", "Check the id."],
  session_not_found: [404, "No such session", "It may have ended already."],
  note_not_found: [404, "No such note", "Check the id."],
  method_not_allowed: [405, "Method is not allowed here", "`Allow` lists the methods of this path."],
  body_too_large: [413, "Request body is too large", "Send at most 64 KiB."],
  media_type_unsupported: [
    415,
    "Media type is not supported",
    "Send `Content-Type: application/json`, in UTF-8.",
  ],
  validation_failed: [
    422,
    "Request does not fit the contract",
    "`errors` names each member that does not fit, and why.",
  ],
  username_taken: [409, "Username is taken", "Choose another one."],
  last_admin: [409, "This is the last active admin", "Make somebody else an admin first."],
  plan_limit_reached: [409, "Plan holds no more", "Delete something, or change the plan."],
  otp_expired: [
    410,
    "Code is no longer good",
    "It expired, was used or guessed too often, or never existed. Start the flow again.",
  ],
  rate_limited: [
    429,
    "Too many requests",
    "`retry_after` seconds from now the next one is admitted; `policy` names the limit.",
  ],
  internal_error: [500, "Server failed", "Try again; report the `request_id` if it stays."],
  unavailable: [503, "Server is busy or its store does not answer", "Try again after `Retry-After` seconds."],
} as const satisfies Record<string, readonly [status: number, title: string, advice: string]>;

export type ProblemCode = keyof typeof problemTable;

/** Every code, in the order of the table. */
// Object.keys of a literal has exactly its keys.
export const problemCodes = Object.keys(problemTable) as [ProblemCode, ...ProblemCode[]];

/** Whether `text` is one of the codes, whoever sent it. */
export function isProblemCode(text: string): text is ProblemCode {
  return Object.hasOwn(problemTable, text);
}

type ProblemStatus<Code extends ProblemCode = ProblemCode> = (typeof problemTable)[Code][0];

/** What any route under `/api` may answer, whatever was asked: limits, a fault of ours, a store that is away. */
export const anyRoute = ["rate_limited", "internal_error", "unavailable"] as const;

/** Besides, on a route that takes a JSON body. */
export const bodyRoute = [
  "body_malformed",
  "body_too_large",
  "media_type_unsupported",
  "validation_failed",
] as const;

/** Besides, on a route for who is signed in. */
export const signedInRoute = ["token_missing", "token_invalid", "account_disabled"] as const;

/** The body of every error answer: RFC 9457 problem details, with our members beside the standard ones. */
export const Problem = z.object({
  type: z.url().max(512).openapi({
    description: "A page that explains the code to a person.",
    example: "https://auth.example.com/problems/validation_failed",
  }),
  title: z.string().max(120).openapi({
    description: "The code in a few words. The wording may change: match `code`.",
    example: "Request does not fit the contract",
  }),
  status: z.int().min(400).max(599).openapi({
    format: "int32",
    description: "The HTTP status, repeated.",
    example: 422,
  }),
  code: z.enum(problemCodes).openapi({
    description: "What went wrong, stable: this is what programs match.",
    example: "validation_failed",
  }),
  detail: z.string().max(500).optional().openapi({
    description: "More about this one occurrence, when there is more to say.",
    example: "The body is not JSON",
  }),
  errors: z.array(Fault).max(100).optional().openapi({
    description: "On 422 `validation_failed`: each member that does not fit.",
  }),
  attempts_remaining: count(
    "On `otp_invalid`: how many more codes may be tried. At 0 start the flow again.",
    4,
  ).optional(),
  policy: word(
    "On `rate_limited`: the limit that was reached, as `RateLimit-Policy` names it.",
    "login",
  ).optional(),
  retry_after: seconds("On 429 and 503: whole seconds to wait, the same as `Retry-After`.", 42).optional(),
  request_id: requestId,
}).openapi("Problem", { description: "RFC 9457 problem details." });

/**
 * The `responses` of a route for what it can refuse: one `application/problem+json` answer a status, with an
 * example for each code and the headers which that status owes. Name only codes the route can answer.
 */
export function problems<Code extends ProblemCode>(...codes: Code[]): ProblemResponses<Code> {
  const statuses = [...new Set(codes.map((code) => problemTable[code][0]))].sort();
  const responses = statuses.map((status) => {
    const sharing = problemCodes.filter((code) =>
      codes.some((named) => named === code) && problemTable[code][0] === status
    );
    return [status, {
      description: sharing.map((code) => `\`${code}\`: ${problemTable[code][1]}.`).join(" "),
      headers: headers(...headersOf(status), ...limitHeadersOf(sharing, codes)),
      content: { "application/problem+json": { schema: Problem, examples: examplesOf(sharing) } },
    }];
  });
  // The statuses are those of `codes`, which is what the type says.
  return Object.fromEntries(responses) as ProblemResponses<Code>;
}

export type ProblemResponses<Code extends ProblemCode> = {
  [Status in ProblemStatus<Code>]: {
    description: string;
    headers: HeaderReferences;
    content: { "application/problem+json": { schema: typeof Problem; examples: ProblemExamples } };
  };
};

type ProblemExamples = Record<string, { summary: string; value: z.input<typeof Problem> }>;

function headersOf(status: ProblemStatus): HeaderName[] {
  const own: Partial<Record<ProblemStatus, HeaderName[]>> = {
    401: ["WWW-Authenticate"],
    429: ["Retry-After"],
    503: ["Retry-After"],
  };
  return ["X-Request-Id", "Cache-Control", ...own[status] ?? []];
}

/**
 * The limit headers of a refusal, if the request was counted by then: not on a route without limits, not when the
 * gate refused it before it asked the limits (src/gate.ts), and not when the server failed.
 */
function limitHeadersOf(sharing: readonly ProblemCode[], codes: readonly ProblemCode[]): HeaderName[] {
  if (!codes.includes("rate_limited")) return [];
  const uncounted: readonly ProblemCode[] = [
    "body_too_large",
    "media_type_unsupported",
    "token_missing",
    "token_invalid",
    "role_insufficient",
    "internal_error",
    "unavailable",
    // Who signs in is known to be disabled only after the limits; who is signed in, before them.
    ...codes.includes("token_missing") ? ["account_disabled"] as const : [],
  ];
  const isCounted = sharing.some((code) => !uncounted.includes(code));
  return isCounted ? ["RateLimit-Policy", "RateLimit"] : [];
}

function examplesOf(codes: readonly ProblemCode[]): ProblemExamples {
  return Object.fromEntries(
    codes.map((code) => [code, { summary: problemTable[code][1], value: exampleOf(code) }]),
  );
}

function exampleOf(code: ProblemCode): z.input<typeof Problem> {
  const [status, title] = problemTable[code];
  const extensions: Partial<Record<ProblemCode, Partial<z.input<typeof Problem>>>> = {
    body_malformed: { detail: "The body is not JSON" },
    otp_invalid: { attempts_remaining: 4 },
    rate_limited: { policy: "user", retry_after: 42 },
    unavailable: { retry_after: 2 },
    validation_failed: {
      errors: [{
        pointer: "/name",
        code: "unrecognized_keys",
        message: "Is not known here: leave it out",
      }],
    },
  };
  return {
    type: `https://auth.example.com/problems/${code}`,
    title,
    status,
    code,
    ...extensions[code],
    request_id: "01981f6e-7a4c-7d1e-9b60-2f5d1c8e4a10",
  };
}
