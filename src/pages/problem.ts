// /problems/{code}: what an error code means and what to do about it, from the table that the errors come from.

import type { z } from "@hono/zod-openapi";
import { type ProblemCode, problemTable } from "../../openapi/problem.ts";
import type { ProblemMeaning } from "../../openapi/service.ts";
import { type Html, html, renderPage } from "./page.ts";

/** For people. */
export function renderProblemPage(
  { appName, code }: { readonly appName: string; readonly code: ProblemCode },
): Html {
  const { status, title, advice } = describeProblem(code);
  return renderPage({
    appName,
    title,
    lead: html`${markCode(advice)}`,
    body: html`
      <dl class="card">
        <dt>Code</dt>
        <dd><code>${code}</code></dd>
        <dt>HTTP status</dt>
        <dd>${status}</dd>
      </dl>
      <p class="quiet">
        Programs match the code; the wording may change. If you report an error, quote its <code>request_id</code>.
        All operations are in the <a href="/docs">documentation</a>.
      </p>
    `,
  });
}

/** For programs. */
export function describeProblem(code: ProblemCode): z.output<typeof ProblemMeaning> {
  const [status, title, advice] = problemTable[code];
  return { code, status, title, advice };
}

/** Text with `code` in backticks, as markup. */
function markCode(text: string): Html[] {
  return text.split("`").map((part, index) => index % 2 === 0 ? html`${part}` : html`<code>${part}</code>`);
}
