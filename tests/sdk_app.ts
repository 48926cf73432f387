// Apps that use the generated clients as their users would: made by the task, installed by npm and pip, compiled by the
// TypeScript of a browser app. Their code is what the guide says (openapi/clients.md), so that the guide is true.

import assert from "node:assert/strict";
import manifest from "../deno.json" with { type: "json" };
import { readMailbox } from "../openapi/service.ts";
import { PASSWORD } from "./harness.ts";
import { REPOSITORY, type Site } from "./process.ts";

/** Whose life it is, unless a test says otherwise. */
export const EMAIL = "ada@example.org";
const NEW_PASSWORD = "amber-kettle-81";

/** Compiler options of a browser app, at their strictest. */
export const BROWSER_APP = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  target: "es2022",
  module: "esnext",
  moduleResolution: "bundler",
  lib: ["es2022", "dom", "dom.iterable"],
  types: [],
};

/** The first run installs Python's generator. */
const TIMEOUT_MS = 4 * 60_000;

export const readme = await Deno.readTextFile(`${REPOSITORY}README.md`);
const guide = await Deno.readTextFile(`${REPOSITORY}openapi/clients.md`);

/** The code blocks of a Markdown text of one kind: "```ts journey" is "ts journey". */
export function codeOf(kind: string, text: string = guide): string {
  const blocks = [...text.matchAll(/^```(.*)\n([^]*?)^```$/gm)].filter(([, found]) => found === kind);
  assert(blocks.length > 0, `There is no code of kind ${kind}`);
  return blocks.map(([, , code]) => code ?? "").join("\n");
}

/** Makes the clients in `folder`, by the task that the README names. Returns what it printed. */
export function makeClients(folder: string, args: readonly string[] = []): Promise<string> {
  assert.match(codeOf("sh sdk", readme), /^deno task sdk$/m);
  return run(Deno.execPath(), ["task", "--quiet", "sdk", "--out", folder, ...args], REPOSITORY);
}

/** What the guide's TypeScript takes for granted: the server, a person, and somebody who reads the mails. */
export function typescriptPrelude({ url }: Pick<Site, "url">, email: string = EMAIL): string {
  return `
const [baseUrl, email] = ["${url}", "${email}"];
const [password, new_password] = ["${PASSWORD}", "${NEW_PASSWORD}"];
const shown: string[] = [];
const show = (text: string): void => void shown.push(text);
const read = new Set<string>();
async function ask(question: string): Promise<string> {
  show(question);
  for (;;) {
    const answer = await fetch("${url}${readMailbox.path}", { headers: { accept: "application/json" } });
    const { data }: { data: { id: string; to: string; code: string | null }[] } = await answer.json();
    const mail = data.find(({ id, to, code }) => to === email && code !== null && !read.has(id));
    if (mail?.code) {
      read.add(mail.id);
      return mail.code;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
`;
}

/** The same for its Python. */
export function pythonPrelude({ url }: Pick<Site, "url">): string {
  return `
import httpx, json, time
base_url, email = "${url}", "${EMAIL}"
password, new_password = "${PASSWORD}", "${NEW_PASSWORD}"
read = set()
def ask(question):
    while True:
        answer = httpx.get("${url}${readMailbox.path}", headers={"accept": "application/json"})
        for mail in answer.json()["data"]:
            if mail["code"] and mail["id"] not in read:
                read.add(mail["id"])
                return mail["code"]
        time.sleep(0.05)
`;
}

/** A folder with the code of an app. */
export async function createApp(folder: string, files: Readonly<Record<string, string>>): Promise<string> {
  await Deno.mkdir(folder);
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${name}`, text);
  return folder;
}

/** Runs `npm install` or `pip install` as the README says it, for the clients that `makeClients` put in `clients`. */
export async function install(
  installer: "npm" | "pip",
  { app, clients, program = [installer], flags }: {
    readonly app: string;
    readonly clients: string;
    /** How the installer is started. */
    readonly program?: readonly [string, ...string[]];
    readonly flags: readonly string[];
  },
): Promise<void> {
  const line = codeOf("sh sdk", readme).split("\n").find((command) => command.startsWith(installer)) ?? "";
  const [, ...args] = line.replace("path/to/latchkey/.sdk", clients).split(" ");
  const [file, ...before] = program;
  await run(file, [...before, ...args, ...flags], app);
}

/** What npm needs no network for. */
export const NPM_FLAGS = ["--offline", "--no-audit", "--no-fund"];

/** Every TypeScript file of the app, to JavaScript beside it. */
export async function compile(app: string, compilerOptions: unknown): Promise<void> {
  await Deno.writeTextFile(`${app}/tsconfig.json`, JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  const compiler = `${manifest.imports.typescript}/tsc`;
  await run(Deno.execPath(), ["run", "--quiet", "--allow-all", compiler, "--project", app], REPOSITORY);
}

/** Runs a program to its end. Returns what it printed; fails, with that, unless it succeeds. */
export async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", PYTHONDONTWRITEBYTECODE: "1" },
    stdin: "null",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).output();
  const [printed, complained] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert(success, `${program} ${args.join(" ")}:\n${printed}${complained}`);
  return printed ?? "";
}
