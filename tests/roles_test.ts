// The matrix of operations and callers, held against the running server over HTTP: every operation of the document,
// asked by everybody, in every spelling of its path that is served.

import assert from "node:assert/strict";
import { problemTable } from "../openapi/problem.ts";
import { logout } from "../openapi/sessions.ts";
import { OPERATOR } from "../src/store/client.ts";
import { removeUser } from "../src/store/deletion.ts";
import { type Caller, gateOf, gates, type Verdict, verdicts } from "./access.ts";
import { codesOf } from "./contract_document.ts";
import { type Answer, type Operation, operations, requireDeclared } from "./document_judge.ts";
import { MINUTE_MS, UNKNOWN_ID } from "./harness.ts";
import { overwriteUser, signIn, signUp, signUpAdmin } from "./person.ts";
import { type Ask, METRICS_TOKEN, openStage, type Stage } from "./reality_stage.ts";

const ACCESS_TTL_MS = 30 * MINUTE_MS;

Deno.test("roles: the matrix has every operation of the document, and no other", () => {
  assert.deepEqual(Object.keys(gates).sort(), operations.map(({ id }) => id).sort());
});

for (const operation of operations) {
  Deno.test(`roles: the document says of ${operation.id} what the matrix says`, () => {
    const codes = codesOf(operation);
    const gate = gateOf(operation.id);
    assert.equal(operation.isPublic, gate === "anyone");
    const due = new Set(Object.values(verdicts[gate]).filter((verdict) => verdict !== "passes"));
    for (const code of due) assert(codes.includes(code), `${code} is declared`);
    assert.equal(codes.includes("role_insufficient"), gate === "admin");
  });
}

Deno.test("roles: every caller meets at every operation what the matrix says", async (t) => {
  await using stage = await openStage({ room: 1_000_000 });
  const tokenOf = await gather(stage);
  for (const operation of operations) {
    await t.step(operation.id, async () => {
      for (const [caller, verdict] of Object.entries(verdicts[gateOf(operation.id)])) {
        for (const spelling of spellingsOf(operation)) {
          // Object.entries of the table has the table's names.
          const token = await tokenOf(caller as Caller);
          const answer = await stage.send(spelling, {
            ...harmless(operation),
            ...token === null ? {} : { token },
          });
          requireDeclared(operation, answer);
          assertVerdict(answer, verdict, `${caller}: ${spelling.method} ${spelling.path} ${answer.text}`);
        }
      }
    });
  }
});

/** Makes everybody; the answer gives a caller's token. Those who pass get a new one each time, since some sign out. */
async function gather({ server, ada, root }: Stage): Promise<(caller: Caller) => Promise<string | null>> {
  const expired = ada.accessToken;
  server.clock.nowMs += ACCESS_TTL_MS;
  const signedOut = await signUp(server, { email: "out@example.org" });
  await server.call(logout, { token: signedOut.accessToken, json: {} });
  const deleted = await signUp(server, { email: "deleted@example.org" });
  assert.equal(await removeUser(server.deps, deleted.id, OPERATOR), "removed");
  const disabled = await signUp(server, { email: "disabled@example.org" });
  const disabledAdmin = await signUpAdmin(server, "disabled-admin@example.org");
  for (const one of [disabled, disabledAdmin]) await overwriteUser(server, one, { status: "disabled" });
  const demoted = await signUpAdmin(server, "demoted@example.org");
  await overwriteUser(server, demoted, { role: "user" });

  const tokens: Record<Caller, () => Promise<string> | string | null> = {
    "anonymous": () => null,
    "junk token": () => "a.b.c",
    "expired token": () => expired,
    "signed out": () => signedOut.accessToken,
    "deleted user": () => deleted.accessToken,
    "disabled user": () => disabled.accessToken,
    "disabled admin": () => disabledAdmin.accessToken,
    "demoted admin": () => demoted.accessToken,
    "operator": () => METRICS_TOKEN,
    "user": async () => (await signIn(server, ada)).accessToken,
    "admin": async () => (await signIn(server, root)).accessToken,
  };
  return async (caller) => await tokens[caller]();
}

/** A request that changes nothing of anybody, whoever sends it. */
function harmless({ path, bodySchema }: Operation): Ask {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  return {
    params: Object.fromEntries(names.map((name) => [name, UNKNOWN_ID])),
    ...bodySchema ? { json: {} } : {},
  };
}

/** A gate that one of them walks around is none. */
function spellingsOf({ method, path }: Operation): Pick<Operation, "method" | "path">[] {
  return [
    { method, path },
    { method, path: `${path}/` },
    { method, path: path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`) },
    ...method === "GET" ? [{ method: "HEAD", path }] : [],
  ];
}

/** Whether the gate let it pass, or why not; what the handler then made of it is not asked here. */
function assertVerdict({ method, status, text }: Answer, verdict: Verdict, what: string): void {
  const isRefused = status === 401 || status === 403;
  if (verdict === "passes") return assert(!isRefused, what);
  if (method === "HEAD") return assert.equal(status, problemTable[verdict][0], what);
  assert.equal(isRefused && JSON.parse(text).code, verdict, what);
}
