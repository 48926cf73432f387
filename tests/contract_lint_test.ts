// The OpenAPI document under the rules of others: Redocly's recommended ones, all of Spectral's for OpenAPI, and OWASP's
// for APIs. A finding is mended in the contract; one that stands says here why, and goes when it is found no more.

import assert from "node:assert/strict";
import { z } from "@hono/zod-openapi";
import { type IRuleResult, type RulesetDefinition, Spectral } from "@stoplight/spectral-core";
import owasp from "@stoplight/spectral-owasp-ruleset";
import { oas } from "@stoplight/spectral-rulesets";
import { printed } from "./contract_document.ts";
import { runRedocly } from "./redocly.ts";

/** Findings of one rule that stand, by their place in the document: its members, with a space between. */
interface Exception {
  readonly rule: string;
  readonly where: RegExp;
  readonly because: string;
}

/** Not under /api: health, keys, documentation. */
const SERVICE = /^paths \/(?!api\/)/;
const PUBLIC = /^paths \/(?!api\/v1\/(?!auth\/(?!logout )))/;

const exceptions: readonly Exception[] = [
  {
    rule: "info-contact",
    where: /^info$/,
    because: "Whoever runs the server is the one to ask, and the document cannot know who that is.",
  },
  {
    rule: "openapi-tags-alphabetical",
    where: /^tags$/,
    because: "They stand in the order of a user's day.",
  },
  {
    rule: "owasp:api8:2023-define-cors-origin",
    where: /headers$/,
    because:
      "No other origin may read an answer unless CORS_ORIGINS lists it; without that none has the header.",
  },
  {
    rule: "owasp:api2:2023-write-restricted",
    where: PUBLIC,
    because: "Who signs up, signs in or resets has no access token yet. Limits by network stand before each.",
  },
  {
    rule: "owasp:api2:2023-read-restricted",
    where: SERVICE,
    because: "What they tell is known to everybody.",
  },
  {
    rule: "owasp:api8:2023-define-error-responses-401",
    where: PUBLIC,
    because: "Nobody is asked to sign in there.",
  },
  {
    rule: "owasp:api8:2023-define-error-validation",
    where: /^paths (\/api\/v1\/me(\/sessions|\/export)? (get|delete) |\/(?!api\/))/,
    because: "They take nothing that could be wrong.",
  },
  {
    rule: "owasp:api4:2023-rate-limit-responses-429",
    where: SERVICE,
    because: "They have no limits: supervisors and other services ask them often, and they cost little.",
  },
  {
    rule: "owasp:api4:2023-rate-limit",
    where: SERVICE,
    because: "They have no limits.",
  },
  {
    rule: "owasp:api4:2023-rate-limit",
    where: /responses (401|403|413|415) headers$/,
    because: "The gate refuses these before it counts them, so that no limit has anything to tell.",
  },
  {
    rule: "owasp:api4:2023-string-restricted",
    where: /(title|detail|message|advice|reason|subject|text)$/,
    because: "Prose for people.",
  },
  {
    rule: "owasp:api4:2023-string-restricted",
    where: /content text\/plain schema$/,
    because: "Metrics have a grammar of their own, which is more than a pattern tells.",
  },
  {
    rule: "owasp:api4:2023-string-restricted",
    where: /(refresh_token|reset_token|properties token)$/,
    because: "Opaque: a form would invite clients to look inside, and what does not fit is no token.",
  },
  {
    rule: "owasp:api4:2023-string-restricted",
    where: /(\/problems\/\{code\}|\/users) get parameters 0 schema$/,
    because: "Any text may be looked for; it is answered with what is found, which can be nothing.",
  },
];

Deno.test("the document has no fault by the rules that redocly recommends", async () => {
  const report = await runRedocly("lint", [printed], [
    // Health, readiness, keys and docs refuse nothing. What is asked of all others is a test of its own.
    "--skip-rule=operation-4xx-response",
  ]);
  const problem = z.object({
    ruleId: z.string(),
    message: z.string(),
    location: z.array(z.object({ pointer: z.string() })),
  });
  const { problems } = z.object({ problems: z.array(problem) }).parse(report);
  assert.deepEqual(
    problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer}`),
    [],
  );
});

Deno.test("the document has no fault by the rules of Spectral and OWASP, but those with a reason", async () => {
  const spectral = new Spectral();
  // Spectral itself judges the definition; only the types of its packages have drifted apart.
  spectral.setRuleset({ extends: [[oas, "all"], [owasp, "all"]] } as unknown as RulesetDefinition);
  const findings = await spectral.run(JSON.parse(printed));
  const stands = ({ rule, where }: Exception, finding: IRuleResult): boolean =>
    finding.code === rule && where.test(finding.path.join(" "));
  assert.deepEqual(
    findings.filter((finding) => !exceptions.some((exception) => stands(exception, finding)))
      .map(({ code, path, message }) => `${code}: ${message} ${path.join(" ")}`)
      // One fault of a shared schema is found wherever that stands.
      .slice(0, 20),
    [],
  );
  assert.deepEqual(
    exceptions.filter((exception) => !findings.some((finding) => stands(exception, finding))),
    [],
    "an exception is found no more: take it out",
  );
});
