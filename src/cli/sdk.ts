// `deno task sdk`: a TypeScript and a Python client, made from the committed document alone by generators of others.
// Each is a folder that can be published, installed or copied; a new one takes the old one's place when it is complete.

import { fileURLToPath } from "node:url";
import { makePython } from "./sdk_python.ts";
import { makeTypescript } from "./sdk_typescript.ts";
import { readArguments, runProgram, say, ToolFault } from "./tool.ts";

/** What a client is made from, and where. */
export interface Making {
  /** What the package is called. */
  readonly packageName: string;
  /** openapi.json. */
  readonly documentPath: string;
  /** `info.version` of the document. */
  readonly version: string;
  /** How the client is used, in Markdown. */
  readonly readme: string;
  /** Empty, and the client's alone. */
  readonly folder: string;
}

interface Language {
  /** Throws a ToolFault that says what is missing. */
  readonly make: (making: Making) => Promise<void>;
  /** The file that tells a client from any other folder. */
  readonly marker: string;
  /** The heading in openapi/clients.md. */
  readonly title: string;
  readonly install: string;
}

const languages: Readonly<Record<string, Language>> = {
  typescript: {
    make: makeTypescript,
    marker: "package.json",
    title: "TypeScript",
    install: "npm install",
  },
  python: { make: makePython, marker: "pyproject.toml", title: "Python", install: "pip install" },
};

const PACKAGE = "latchkey-client";

const HELP =
  `Makes a TypeScript and a Python client from openapi/openapi.json. How to use them: openapi/clients.md

  deno task sdk [--out FOLDER] [--only typescript|python]

  --out   where the folders typescript and python go, over those of an earlier run; .sdk unless given
  --only  one of the two

Python takes Python 3.11 or newer with its venv module, and the package index the first time.`;

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));

if (import.meta.main) {
  if (Deno.args.includes("--help")) say(HELP);
  else await runProgram(makeClients);
}

async function makeClients(): Promise<void> {
  const { values: { out = ".sdk", only } } = readArguments({
    help: HELP,
    options: { out: { type: "string" }, only: { type: "string" } },
  });
  if (only !== undefined && !(only in languages)) {
    throw new ToolFault(`There is no client for ${only}\n\n${HELP}`);
  }
  const documentPath = `${REPOSITORY}openapi/openapi.json`;
  const { info: { version } } = JSON.parse(await Deno.readTextFile(documentPath));
  const guide = await Deno.readTextFile(`${REPOSITORY}openapi/clients.md`);
  await orFault(out, () => Deno.mkdir(out, { recursive: true }));

  for (const [name, language] of Object.entries(languages)) {
    if (only !== undefined && only !== name) continue;
    const target = `${out}/${name}`;
    await requireOurs(target, language.marker);
    const folder = await orFault(out, () => Deno.makeTempDir({ dir: out, prefix: `.${name}_` }));
    try {
      await Deno.chmod(folder, 0o755);
      const readme = `# ${PACKAGE}\n\n${sectionOf(guide, language.title)}\n`;
      await language.make({
        packageName: PACKAGE,
        documentPath,
        version,
        readme,
        folder: await Deno.realPath(folder),
      });
      await Deno.remove(target, { recursive: true }).catch(() => {});
      await orFault(target, () => Deno.rename(folder, target));
    } finally {
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    }
    say(`${target} is here: ${language.install} ${target}`);
  }
}

/** What the guide says of a language. */
function sectionOf(guide: string, title: string): string {
  const [, section = ""] = guide.split(new RegExp(`^## ${title}$`, "m"));
  return (section.split(/^## /m)[0] ?? "").trim();
}

/** Throws a ToolFault when `folder` holds anything but what an earlier run left. */
async function requireOurs(folder: string, marker: string): Promise<void> {
  const isThere = await Deno.lstat(folder).then(() => true, () => false);
  if (!isThere) return;
  const text = await Deno.readTextFile(`${folder}/${marker}`).catch(() => "");
  if (!new RegExp(`\\bname"? *[:=] *"${PACKAGE}"`).test(text)) {
    throw new ToolFault(
      `${folder} is there already, and no run of this made it: choose another folder with --out`,
    );
  }
}

async function orFault<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw new ToolFault(`${path} cannot be written: ${error instanceof Error ? error.message : error}`);
  }
}
