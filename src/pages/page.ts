// The look of the few pages people see in a browser: one layout, one style sheet, light and dark, no script, nothing
// from elsewhere. Content is written with `html`, which escapes every value put into it.

import { createHash } from "node:crypto";
import { html, raw } from "hono/html";

export { html };

/** Markup made by `html`: safe to put into other markup as it is. */
export type Html = ReturnType<typeof html>;

export interface PageContent {
  /** The service's name, in the header and the window's title. */
  readonly appName: string;
  readonly title: string;
  /** One sentence under the title. */
  readonly lead?: Html | string;
  readonly body: Html;
}

/** A whole HTML document. Answer it with `Content-Security-Policy: ${pagePolicy()}`. */
export function renderPage({ appName, title, lead, body }: PageContent): Html {
  const intro = lead ? html`<p class="lead">${lead}</p>` : "";
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>${title} · ${appName}</title>
        <link rel="icon" type="image/svg+xml" href="${raw(ICON)}">
        <style>${raw(STYLE)}</style>
      </head>
      <body>
        <header><span class="mark" aria-hidden="true"></span>${appName}</header>
        <main>
          <h1>${title}</h1>
          ${intro} ${body}
        </main>
      </body>
    </html>
  `;
}

/** The Content-Security-Policy these pages work under: their own style sheet, style attributes, and nothing else. */
export function pagePolicy(): string {
  const styleHash = createHash("sha256").update(STYLE).digest("base64");
  return [
    "default-src 'none'",
    `style-src 'sha256-${styleHash}'`,
    "style-src-attr 'unsafe-inline'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

const ICON = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E" +
  "%3Ccircle cx='8' cy='6' r='5' fill='%23c98a1b'/%3E%3Cpath d='M6.6 6h2.8l1.4 9H5.2z' fill='%23c98a1b'/%3E%3C/svg%3E";

const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #faf9f6; --surface: #ffffff; --text: #211e19; --quiet: #6b655b; --line: #e6e1d7; --accent: #8f5a00;
  --accent-ground: #fdf3dd;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #17151a; --surface: #211e25; --text: #edeae4; --quiet: #a49d92; --line: #38343d; --accent: #f2bd5c;
    --accent-ground: #33291a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.25rem 5rem; max-width: 46rem; background: var(--ground); color: var(--text);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: anywhere;
}
header { display: flex; align-items: center; gap: .6rem; font-weight: 600; letter-spacing: .01em; }
.mark { width: .8rem; height: .8rem; border: .22rem solid var(--accent); border-radius: 50%; }
main { margin-top: 3.5rem; }
h1 { margin: 0; font-size: clamp(1.8rem, 6vw, 2.4rem); line-height: 1.15; letter-spacing: -.02em; font-weight: 650; }
h2 { margin: 0; font-size: 1.05rem; line-height: 1.4; font-weight: 600; }
p { margin: .75rem 0 0; }
.lead { color: var(--quiet); font-size: 1.1rem; margin-bottom: 2.5rem; max-width: 36rem; }
.quiet { color: var(--quiet); font-size: .9rem; }
a, summary { color: var(--accent); text-underline-offset: .2em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 4px; }
code, pre { font: .9em/1.6 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre { margin: 1rem 0 0; white-space: pre-wrap; }
.letter { font: inherit; font-size: .95rem; }
.card { margin-top: 1.25rem; padding: 1.5rem; background: var(--surface); border: 1px solid var(--line); border-radius: 14px; }
.row { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1.5rem; margin-bottom: .4rem; }
.code {
  display: inline-block; margin-top: 1rem; padding: .35rem 1rem; border-radius: 10px; background: var(--accent-ground);
  color: var(--accent); font: 600 clamp(1.4rem, 7vw, 2rem)/1.4 ui-monospace, "SF Mono", Menlo, Consolas, monospace;
  letter-spacing: .12em; user-select: all;
}
dl { display: grid; grid-template-columns: max-content 1fr; gap: .4rem 1.5rem; margin: 1.25rem 0 0; }
dt { color: var(--quiet); } dd { margin: 0; }
details { margin-top: 1.1rem; }
summary { cursor: pointer; width: max-content; max-width: 100%; }
iframe { display: block; width: 100%; height: 30rem; margin-top: 1rem; border: 1px solid var(--line); border-radius: 10px; }
@media (max-width: 30rem) { .card { padding: 1.25rem; } pre { font-size: .8rem; } iframe { height: 42rem; } }
`;
