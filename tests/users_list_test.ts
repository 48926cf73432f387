// The list of users: what every search finds, page by page, and what it refuses.

import assert from "node:assert/strict";
import { listUsers } from "../openapi/users.ts";
import { OPERATOR } from "../src/store/client.ts";
import { replaceUser } from "../src/store/users.ts";
import { SECOND_MS, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { type Person, signIn, signUp, signUpAdmin } from "./person.ts";

/** Seven people, newest last, in the order of their letters. */
async function startTown(): Promise<{ server: TestServer; token: string; people: Record<string, Person> }> {
  const server = await startServer({ env: UNLIMITED });
  const admin = await signUpAdmin(server, "a.root@example.org");
  const people: Record<string, Person> = { a: admin };
  const rest = [
    { letter: "b", email: "Ada@Example.org", username: "Countess" },
    { letter: "c", email: "adam@example.net", patch: { plan: "premium" } },
    { letter: "d", email: "bob@example.org", username: "adamant", patch: { status: "disabled" } },
    { letter: "e", email: "ada+test@bücher.example", patch: { plan: "premium", status: "disabled" } },
    { letter: "f", email: "cleo@example.org", username: "C.ada", patch: { role: "admin", plan: "premium" } },
    { letter: "g", email: "dora@example.org" },
  ] as const;
  for (const { letter, patch = {}, ...profile } of rest.map((one) => ({ patch: {}, ...one }))) {
    server.clock.nowMs += SECOND_MS;
    const email = profile.email.toLowerCase().replace("bücher", "xn--bcher-kva");
    people[letter] = await signUp(server, { ...profile, email });
    await replaceUser(server.deps, people[letter].id, patch, OPERATOR);
  }
  return { server, token: admin.accessToken, people };
}

const searches: readonly { query: Record<string, string>; found: string }[] = [
  { query: {}, found: "gfedcba" },
  { query: { role: "admin" }, found: "fa" },
  { query: { role: "user" }, found: "gedcb" },
  { query: { status: "disabled" }, found: "ed" },
  { query: { plan: "premium" }, found: "fec" },
  { query: { role: "user", plan: "premium" }, found: "ec" },
  { query: { role: "user", plan: "premium", status: "active" }, found: "c" },
  { query: { role: "admin", status: "disabled" }, found: "" },
  { query: { q: "ada" }, found: "edcb" },
  { query: { q: "ADA" }, found: "edcb" },
  { query: { q: "ada", status: "active" }, found: "cb" },
  { query: { q: "ada", role: "user", plan: "premium", status: "disabled" }, found: "e" },
  { query: { q: "ada@example.org" }, found: "b" },
  { query: { q: "countess" }, found: "b" },
  { query: { q: "c" }, found: "fb" },
  { query: { q: "c.ada" }, found: "f" },
  { query: { q: "ada+test@xn--bcher" }, found: "e" },
  { query: { q: "da" }, found: "" },
  { query: { q: "adb" }, found: "" },
  { query: { q: "example.org" }, found: "" },
  { query: { q: "\u212Aada" }, found: "" },
  { query: { q: "🔑" }, found: "" },
  { query: { q: "\u0000" }, found: "" },
  { query: { q: " ada" }, found: "" },
];

Deno.test("listUsers: finds, newest first, page by page", async (t) => {
  const { server, token, people } = await startTown();
  await using _ = server;
  const letters = new Map(Object.entries(people).map(([letter, { id }]) => [id, letter]));
  for (const { query, found } of searches) {
    await t.step(`${new URLSearchParams(query)}`, async () => {
      for (const limit of ["1", "3", "100"]) {
        const shown: string[] = [];
        let cursor: Record<string, string> = {};
        while (true) {
          const { body } = await server.call(listUsers, { token, query: { ...query, limit, ...cursor } });
          shown.push(...body.data.map(({ id }: { id: string }) => letters.get(id)));
          if (body.next_cursor === null) break;
          assert.equal(body.data.length, Number(limit));
          cursor = { cursor: body.next_cursor };
        }
        assert.equal(shown.join(""), found);
      }
    });
  }
});

Deno.test("listUsers: refuses", async (t) => {
  const { server, token, people } = await startTown();
  await using _ = server;
  const { body: { next_cursor: cursor } } = await server.call(listUsers, {
    token,
    query: { limit: "1", q: "ada", plan: "premium" },
  });
  const same = { q: "ada", plan: "premium", cursor };
  const other = await signIn(server, people["f"] ?? assert.fail());
  const rows: { name: string; query: Record<string, string>; pointer: string; person?: Person }[] = [
    ...["limit", "q", "role", "status", "plan", "cursor"].map((name) => ({
      name: `an empty ${name}`,
      query: { [name]: "" },
      pointer: `/query/${name}`,
    })),
    { name: "a limit of 101", query: { limit: "101" }, pointer: "/query/limit" },
    { name: "a role that there is not", query: { role: "owner" }, pointer: "/query/role" },
    { name: "a status that there is not", query: { status: "Active" }, pointer: "/query/status" },
    { name: "a plan that there is not", query: { plan: "gold" }, pointer: "/query/plan" },
    { name: "a q of 255 characters", query: { q: "a".repeat(255) }, pointer: "/query/q" },
    { name: "a filter that there is not", query: { email: "ada" }, pointer: "/query/email" },
    { name: "a cursor without its filters", query: { cursor }, pointer: "/query/cursor" },
    { name: "a cursor of another search", query: { ...same, q: "adam" }, pointer: "/query/cursor" },
    { name: "a cursor of another plan", query: { ...same, plan: "free" }, pointer: "/query/cursor" },
    { name: "a cursor with one filter more", query: { ...same, role: "user" }, pointer: "/query/cursor" },
    { name: "another admin's cursor", query: same, pointer: "/query/cursor", person: other },
  ];
  for (const { name, query, pointer, person } of rows) {
    await t.step(name, async () => {
      const answer = await server.call(listUsers, { token: person?.accessToken ?? token, query });
      assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [422, pointer]);
    });
  }
  await t.step("but not the same search in capitals, nor a q of 254 characters", async () => {
    assert.equal((await server.call(listUsers, { token, query: { ...same, q: "ADA" } })).status, 200);
    const long = "🔑".repeat(254);
    assert.deepEqual((await server.call(listUsers, { token, query: { q: long } })).body.data, []);
  });
});
