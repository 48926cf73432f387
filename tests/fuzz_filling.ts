// From a draft to a request that can be sent: what the world has seen is filled in, the path and the query are written.

import { type Operation, operationOf } from "./document_judge.ts";
import { type BodyDraft, type Draft, KNOWN, type Known, type Segment, type Sender } from "./fuzz_request.ts";

/** A request as it is sent. */
export interface Request {
  readonly operation: Operation;
  readonly sender: Sender;
  readonly method: string;
  readonly url: string;
  /** Decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: readonly (readonly [name: string, text: string])[];
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array<ArrayBuffer> | null;
}

/** What a name stands for, of what the world has seen: see `Memory.recall`. */
type Recall = (name: string, age: number, siblings: Readonly<Record<string, unknown>>) => string | null;

/** The request of a draft, with what is known filled in. */
export function fill(
  { operationId, sender, method, params, query, body }: Draft,
  { headers, recall }: { readonly headers: Readonly<Record<string, string>>; readonly recall: Recall },
): Request {
  const operation = operationOf(operationId);
  const segments = Object.fromEntries(
    Object.entries(params).map(([name, segment]) => [name, segmentText(segment, recall)]),
  );
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => segments[name] ?? "");
  const pairs = query.map(([name, value]) => [name, toText(settle(value, recall))] as const);
  const isBodiless = method === "GET" || method === "HEAD";
  return {
    operation,
    sender,
    method,
    url: pairs.length === 0
      ? path
      : `${path}?${new URLSearchParams(pairs.map(([name, text]) => [name, text]))}`,
    params: Object.fromEntries(Object.entries(segments).map(([name, text]) => [name, decode(text)])),
    query: pairs,
    headers,
    bytes: isBodiless ? null : bytesOf(body, recall),
  };
}

function bytesOf(body: BodyDraft, recall: Recall): Request["bytes"] {
  if (body === null) return null;
  return "bytes" in body ? body.bytes : new TextEncoder().encode(JSON.stringify(settle(body.json, recall)));
}

/** Puts what the world has seen in the place of what stands for it. */
function settle(value: unknown, recall: Recall, siblings: Readonly<Record<string, unknown>> = {}): unknown {
  if (isKnown(value)) return recall(value.name, value.age, siblings) ?? value.otherwise;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  // A code belongs to its challenge, which therefore comes first.
  const challenge = "challenge_id" in value ? { challenge_id: settle(value.challenge_id, recall) } : {};
  const members = Object.entries({ ...value, ...challenge });
  return Object.fromEntries(members.map(([name, member]) => [name, settle(member, recall, challenge)]));
}

function segmentText(segment: Segment, recall: Recall): string {
  if ("raw" in segment) return segment.raw;
  const text = toText(settle(segment.value, recall)).slice(0, 4_000).toWellFormed();
  // Nothing, or dots alone, would make another path.
  return encodeURIComponent(/^\.{0,2}$/.test(text) ? `~${text}` : text);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** As it stands in a query or path. */
function toText(value: unknown): string {
  return (typeof value === "string" ? value : JSON.stringify(value)).toWellFormed();
}

function isKnown(value: unknown): value is Known {
  return typeof value === "object" && value !== null && KNOWN in value;
}
