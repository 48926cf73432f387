// The document against the running server, over HTTP: every operation answers everything that the document declares of
// it, status by status and code by code, exactly as declared; and nothing is declared that it does not answer.

import assert from "node:assert/strict";
import {
  type Answer,
  type Operation,
  operations,
  requireDeclared,
  requireNotAllowed,
  requireProblem,
} from "./document_judge.ts";
import { fits } from "./document_schemas.ts";
import { type Ask, openStage, type Stage } from "./reality_stage.ts";
import { harmlessTurns, turns } from "./reality_turns.ts";
import { successOf, ways } from "./reality_ways.ts";

for (const operation of operations) {
  Deno.test(`reality: ${operation.id} answers what the document declares`, async (t) => {
    const own = Object.entries(ways[operation.id] ?? {});
    const success = successOf(operation.id);
    const rest = namesOf(operation).filter((name) => !own.some(([ownName]) => answerOf(ownName) === name));
    const answered = new Set<string>();
    const ask = async (stage: Stage, request: Ask): Promise<string> => {
      const answer = await stage.send(operation, request);
      requireDeclared(operation, answer);
      const name = nameOf(operation, answer);
      answered.add(name);
      return name;
    };

    for (const [name, way] of own) {
      await t.step(name, async () => {
        await using stage = await openStage();
        assert.equal(await ask(stage, await way(stage)), answerOf(name));
      });
    }
    for (const name of rest) {
      const turn = turns[codeOf(name)];
      if (!turn) continue;
      await t.step(name, async () => {
        await using stage = await openStage();
        assert.equal(await ask(stage, await turn(stage, await success(stage), operation)), name);
      });
    }
    await using stage = await openStage();
    const request = await success(stage);
    for (const name of rest) {
      const turn = harmlessTurns[codeOf(name)];
      if (turn) {
        await t.step(name, async () => assert.equal(await ask(stage, turn(request, operation, stage)), name));
      }
    }
    await t.step(
      "success, after what had no effect",
      async () => assert.match(await ask(stage, request), /^2/),
    );

    assert.deepEqual(
      [...answered].sort(),
      namesOf(operation).sort(),
      "Every declared answer has been brought about",
    );
  });
}

Deno.test("reality: the table names no operation that there is not", () => {
  assert.deepEqual(
    Object.keys(ways).filter((id) => !operations.some((operation) => operation.id === id)),
    [],
  );
});

Deno.test("reality: every path refuses the methods that the document does not give it, and names those it does", async () => {
  await using stage = await openStage();
  for (const path of new Set(operations.map((operation) => operation.path))) {
    const declared = operations.filter((operation) => operation.path === path).map(({ method }) => method);
    const served = declared.includes("GET") ? [...declared, "HEAD"] : declared;
    for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
      if (served.includes(method)) continue;
      requireNotAllowed(path, await stage.send({ method, path: path.replaceAll(/\{\w+\}/g, "any") }));
    }
  }
});

Deno.test("reality: HEAD answers as GET does, without a body", async (t) => {
  for (const operation of operations.filter(({ method }) => method === "GET")) {
    await t.step(operation.id, async () => {
      await using stage = await openStage();
      const request = await successOf(operation.id)(stage);
      for (const ask of [request, { ...request, token: "a.b.c" }]) {
        const asked = await stage.send(operation, ask);
        const answer = await stage.send({ ...operation, method: "HEAD" }, ask);
        requireDeclared(operation, answer);
        assert.equal(answer.status, asked.status);
        assert.equal(answer.headers.get("etag"), asked.headers.get("etag"));
      }
    });
  }
});

Deno.test("reality: what is no path of the document is a 404 problem", async () => {
  await using stage = await openStage();
  for (
    const path of ["/", "/nope", "/api", "/api/v1", "/api/v1/nope", "/api/v2/me", "/.env", "/api/v1/me/x"]
  ) {
    for (const method of ["GET", "POST"]) requireProblem(await stage.send({ method, path }), "route_unknown");
  }
});

/** What the document declares: `204`, `409 last_admin`, and where one status has several forms `200 text/html`. */
function namesOf({ responses }: Operation): string[] {
  return Object.entries(responses).flatMap(([status, { content = {} }]) => {
    const forms = Object.entries(content).flatMap(([mediaType, { schema, examples }]) => {
      if (mediaType === "application/problem+json") return Object.keys(examples ?? {});
      return schema.oneOf?.map(({ $ref }) => $ref?.split("/").at(-1) ?? "") ?? [mediaType];
    });
    const isPlain = forms.length < 2 && Number(status) < 400;
    return isPlain ? [status] : forms.map((form) => `${status} ${form}`);
  });
}

/** Which of those names this answer has. */
function nameOf(operation: Operation, { status, headers, text }: Answer): string {
  if (namesOf(operation).includes(String(status))) return String(status);
  const mediaType = headers.get("content-type")?.split(";")[0] ?? "";
  if (mediaType === "application/problem+json") return `${status} ${JSON.parse(text).code}`;
  const branches = operation.responses[status]?.content?.[mediaType]?.schema.oneOf ?? [];
  const branch = branches.find((schema) => fits(schema, JSON.parse(text)));
  return `${status} ${branch?.$ref?.split("/").at(-1) ?? mediaType}`;
}

/** Of `503 unavailable: no room` the answer, `503 unavailable`. */
function answerOf(name: string): string {
  return name.split(":")[0] ?? name;
}

/** Of `503 unavailable` the code; of `304` that. */
function codeOf(name: string): string {
  return name.split(" ").at(-1) ?? name;
}
