// What made-up requests learn from answers: ids, tokens, cursors and codes, each under the name by which a request asks
// for it, so that they get further than made-up values would.

import { type Answer, inputNamesOf, type Operation, operations } from "./document_judge.ts";

export interface Memory {
  /** From now on `value` is among those of `name`, however many are learned. */
  plant(name: string, value: string): void;
  /** The value of this name that was seen so many ago; of the code, the one that belongs to the challenge. */
  recall(name: string, age: number, siblings: Readonly<Record<string, unknown>>): string | null;
  learn(operation: Operation, answer: Answer, readCode: () => Promise<string | null>): Promise<void>;
}

const KEPT_MAX = 20;

/** Answers that name a value otherwise than requests do. */
const ALIASES: Readonly<Record<string, string>> = { access_token: "token", next_cursor: "cursor" };

/** An empty memory, which never keeps what holds one of `taboos`. */
export function createMemory(taboos: readonly string[]): Memory {
  const wanted = new Set(operations.flatMap(inputNamesOf));
  const planted = new Map<string, string[]>();
  const learned = new Map<string, string[]>();
  const codes = new Map<string, string>();

  const keep = (name: string, value: string): void => {
    if (!wanted.has(name) || taboos.some((taboo) => value.includes(taboo))) return;
    const newestFirst = [value, ...(learned.get(name) ?? []).filter((other) => other !== value)];
    learned.set(name, newestFirst.slice(0, KEPT_MAX));
  };
  const harvest = (operation: Operation, value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [name, member] of Object.entries(value)) {
      if (typeof member !== "string") harvest(operation, member);
      else keep(name === "id" ? nameOfId(operation) : ALIASES[name] ?? name, member);
    }
  };
  return {
    plant: (name, value) => void planted.set(name, [...planted.get(name) ?? [], value]),
    recall(name, age, siblings) {
      const code = codes.get(String(siblings.challenge_id));
      if (name === "code" && code !== undefined) return code;
      const found = [...learned.get(name) ?? [], ...planted.get(name) ?? []];
      return found[age % Math.max(1, found.length)] ?? null;
    },
    async learn(operation, { status, text }, readCode) {
      // The document and its pages tell nothing of anybody, nor do refusals.
      if (!operation.path.startsWith("/api/") || status >= 300 || text === "") return;
      const body: unknown = JSON.parse(text);
      harvest(operation, body);
      if (typeof body !== "object" || body === null || !("challenge_id" in body)) return;
      const code = await readCode();
      if (code !== null) codes.set(String(body.challenge_id), code);
    },
  };
}

/** `/notes` and `/notes/{note_id}` answer ids of notes: what stands below the collection is called `note_id`. */
function nameOfId({ path }: Operation): string {
  const collection = path.replace(/\/\{\w+\}.*$/, "");
  const below = operations.find((operation) => operation.path.startsWith(`${collection}/{`));
  return /\{(\w+)\}/.exec(below?.path ?? "")?.[1] ?? "id";
}
