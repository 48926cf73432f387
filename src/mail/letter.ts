// How a mail looks, as text and as HTML. The HTML takes its colours from the reader's own light or dark theme, and
// holds no link, no image and nothing from elsewhere, so that it reads the same everywhere and tracks nobody.

import { html } from "hono/html";
import { deviceName } from "./device.ts";

/** Where and when the thing happened that a notice tells of. */
export interface Occasion {
  readonly atMs: number;
  readonly ip: string;
  /** What the client called itself: printable, at most 200 characters. */
  readonly device: string | null;
}

/** Whose mails these are. */
export interface MailService {
  readonly appName: string;
  readonly publicUrl: string;
}

/** What a mail says, before it is laid out. */
export interface Letter {
  readonly subject: string;
  readonly code?: string;
  readonly paragraphs: readonly string[];
  readonly occasion?: Occasion;
}

export interface RenderedMail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

const RULE = "rgba(128,128,128,.35)";
const STYLES = {
  page: "color-scheme:light dark;margin:0;padding:24px",
  letter: "max-width:520px;margin:0 auto;font:16px/1.6 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif",
  sender: "margin:0 0 24px;font-weight:600",
  code: `display:inline-block;margin:0 0 8px;padding:8px 20px;border:1px solid ${RULE};border-radius:10px;` +
    "font:600 30px/1.4 ui-monospace,Menlo,Consolas,monospace;letter-spacing:4px",
  paragraph: "margin:16px 0 0",
  facts: `margin:20px 0 0;padding:4px 0 4px 16px;border-left:3px solid ${RULE}`,
  footer: `margin:32px 0 0;padding:12px 0 0;border-top:1px solid ${RULE};font-size:13px;opacity:.75`,
} as const;

/** Lays a letter out. A code stands on the first line of the text. */
export async function layOut({ appName, publicUrl }: MailService, letter: Letter): Promise<RenderedMail> {
  const { subject, code, paragraphs } = letter;
  const facts = letter.occasion ? factsOf(letter.occasion) : [];
  const footer = `${appName} · ${publicUrl}`;

  const text = [
    ...(code ? [code] : []),
    ...paragraphs.slice(0, 1),
    ...(facts.length > 0 ? [facts.map(([name, value]) => `${name}: ${value}`).join("\n")] : []),
    ...paragraphs.slice(1),
    `-- \n${footer}`,
  ].join("\n\n");

  const markup = await html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta name="supported-color-schemes" content="light dark">
        <title>${subject}</title>
      </head>
      <body style="${STYLES.page}">
        <div style="${STYLES.letter}">
          <p style="${STYLES.sender}">${appName}</p>
          ${code ? html`<p style="${STYLES.code}">${code}</p>` : ""}
          ${paragraphs.slice(0, 1).map(paragraph)}
          ${facts.length > 0 ? html`<p style="${STYLES.facts}">${facts.map(fact)}</p>` : ""}
          ${paragraphs.slice(1).map(paragraph)}
          <p style="${STYLES.footer}">${footer}</p>
        </div>
      </body>
    </html>
  `;
  return { subject, text: `${text}\n`, html: `${markup.toString().trim()}\n` };
}

type Fact = readonly [name: string, value: string];

function factsOf({ atMs, ip, device }: Occasion): Fact[] {
  const when = new Date(atMs).toISOString();
  return [
    ["When", `${when.slice(0, 10)} ${when.slice(11, 16)} UTC`],
    ["From", ip],
    ["With", deviceName(device)],
  ];
}

function paragraph(text: string): ReturnType<typeof html> {
  return html`<p style="${STYLES.paragraph}">${text}</p>`;
}

function fact([name, value]: Fact): ReturnType<typeof html> {
  return html`${name}: <b>${value}</b><br>`;
}
