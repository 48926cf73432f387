// The guide that opens the document and /docs: its five minutes work as they stand there.

import assert from "node:assert/strict";
import document from "../openapi/openapi.json" with { type: "json" };
import { readMailbox } from "../openapi/service.ts";
import { createSite, eventually, type Site } from "./process.ts";

/** Wide enough on a phone. */
const LINE_LENGTH_MAX = 34;

const [, script = ""] = /^```sh\n(.*?)^```$/ms.exec(document.info.description) ?? [];
const [setUp = "", ...steps] = script.split("\n\n");

/** Runs one step, with what the steps before it gave in the place of each `…`. */
async function run(site: Site, step: string, values: Record<string, string> = {}): Promise<unknown> {
  const given = step
    .replace(/(?<="(\w+)": ")…/, (_, name: string) => values[name] ?? assert.fail(name))
    .replace("Bearer …", `Bearer ${values.access_token}`)
    .replace("042137", values.code ?? "042137");
  const shell = new Deno.Command("bash", {
    args: ["-euc", `${setUp}\n${given}`.replace("localhost:8000", new URL(site.url).host)],
  });
  const { success, stdout, stderr } = await shell.output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("guide: five minutes from an address to new tokens", async () => {
  await using site = await createSite();
  await site.startServer();
  const [register = "", verify = "", me = "", refresh = ""] = steps;
  const challenge = await run(site, register);
  const code = await eventually("the code is mailed", async () => {
    const { body } = await site.call(readMailbox, { headers: { accept: "application/json" } });
    return body.data[0]?.code as string | undefined;
  });
  const signedIn = await run(site, verify, { ...strings(challenge), code });
  assert.equal(strings(await run(site, me, strings(signedIn))).email, "ada@example.com");
  const renewed = strings(await run(site, refresh, strings(signedIn)));
  assert.notEqual(renewed.refresh_token, strings(signedIn).refresh_token);
  assert.equal(steps.length, 4);
});

Deno.test("guide: its commands fit the page on a phone", () => {
  assert.deepEqual(script.split("\n").filter((line) => line.length > LINE_LENGTH_MAX), []);
});

/** The members of an answer that are text. */
function strings(answer: unknown): Record<string, string> {
  assert(typeof answer === "object" && answer !== null);
  return Object.fromEntries(Object.entries(answer).filter(([, value]) => typeof value === "string"));
}
