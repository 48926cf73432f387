// /docs: the OpenAPI document for people, with a way to try each operation. The viewer (Scalar) is served from here and
// asks no other host: no fonts, no telemetry, no proxy, no assistant. Without the viewer the page says how to get it.

import { raw } from "hono/html";
import { type Html, html, pagePolicy, renderPage } from "./page.ts";

/** A page, and the Content-Security-Policy it works under. */
export interface DocsPage {
  readonly html: Html;
  readonly policy: string;
}

/** `nonce` is new for each answer. The viewer's script is served at /docs/scalar.js. */
export function renderDocsPage(
  { appName, nonce, hasViewer }: {
    readonly appName: string;
    readonly nonce: string;
    readonly hasViewer: boolean;
  },
): DocsPage {
  return hasViewer ? viewerPage({ appName, nonce }) : missingViewerPage({ appName });
}

/** https://scalar.com/products/api-references/configuration */
const VIEWER_SETTINGS = {
  url: "/openapi.json",
  withDefaultFonts: false,
  telemetry: false,
  persistAuth: false,
  showDeveloperTools: "never",
  hideClientButton: true,
  agent: { disabled: true },
  mcp: { disabled: true },
  // The texts name operations by their ids.
  showOperationId: true,
  orderSchemaPropertiesBy: "preserve",
  // One field for the access token, on the first page, for all operations.
  authentication: { preferredSecurityScheme: "bearer" },
  customCss: `
    /* A link moves the focus to its section, which then had a frame around it. */
    section[tabindex="-1"]:focus-visible { outline: none; }
    /* On a phone it covered the address that a request is sent to. */
    @media (max-width: 767px) {
      .scalar-sidebar-toggle { display: none; }
      /* Send lay beyond the edge: what stands around it was as wide as its longest line. */
      .scalar-client main > * { min-width: 0; }
    }
  `,
} as const;

/** Whoever signs in by "Send" is signed in on this page: the token stays in its memory until it is left. */
const SCRIPT = `
const viewer = Scalar.createApiReference("#docs", {
  ...${JSON.stringify(VIEWER_SETTINGS)},
  async onResponseReceived({ response }) {
    const answer = await response.clone().json().catch(() => null);
    if (!answer?.access_token) return;
    const settings = viewer.getConfiguration();
    const securitySchemes = { bearer: { token: answer.access_token } };
    const authentication = { ...settings.authentication, securitySchemes };
    viewer.updateConfiguration({ ...settings, authentication });
  },
});
`;

function viewerPage({ appName, nonce }: { readonly appName: string; readonly nonce: string }): DocsPage {
  return {
    html: html`
      <!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8">
          <meta name="viewport" content="width=device-width, initial-scale=1">
          <meta name="color-scheme" content="light dark">
          <title>API · ${appName}</title>
          <link rel="icon" href="data:,">
        </head>
        <body>
          <div id="docs"></div>
          <script nonce="${nonce}" src="/docs/scalar.js"></script>
          <script nonce="${nonce}">${raw(SCRIPT)}</script>
        </body>
      </html>
    `,
    policy: [
      "default-src 'none'",
      `script-src 'nonce-${nonce}'`,
      "style-src 'self' 'unsafe-inline'",
      "img-src 'self' data:",
      "font-src 'self' data:",
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join("; "),
  };
}

function missingViewerPage({ appName }: { readonly appName: string }): DocsPage {
  return {
    html: renderPage({
      appName,
      title: "The documentation has no viewer yet",
      lead: "The script that shows it is fetched once, when the server is started for the first time.",
      body: html`
        <div class="card">
          <p>It could not be fetched then. With internet access, run this beside the server and load the page again:</p>
          <pre>deno task viewer</pre>
        </div>
        <p>The document itself is at <a href="/openapi.json">/openapi.json</a>; any OpenAPI 3.1 tool reads it.</p>
      `,
    }),
    policy: pagePolicy(),
  };
}
