// `deno task sdk`: both clients are made from the committed document, fit the compilers of their users, and live the
// life of an account against a started server, by the code of openapi/clients.md.

import assert from "node:assert/strict";
import { routes } from "../openapi/document.ts";
import manifest from "../deno.json" with { type: "json" };
import { UNLIMITED } from "./harness.ts";
import { createSite } from "./process.ts";
import {
  BROWSER_APP,
  codeOf,
  compile,
  createApp,
  EMAIL,
  install,
  makeClients,
  NPM_FLAGS,
  pythonPrelude,
  run,
  typescriptPrelude,
} from "./sdk_app.ts";
import { runTask } from "./tool_run.ts";

/** Types by the names of the document, and what became of it all in the end. */
const OUTCOME = `
const types: {
  user: latchkey.User;
  tokens: latchkey.Tokens;
  challenge: latchkey.Challenge;
  signedIn: latchkey.SignedIn;
  problem: latchkey.Problem | undefined;
  session: latchkey.Session | undefined;
} = {
  user: me,
  tokens: next,
  challenge: registration.data,
  signedIn: opened.data,
  problem: wrong.error,
  session: devices.data[0],
};
// @ts-expect-error -- an address is a string.
const misspelled: latchkey.LoginInput["body"] = { email: 1, password };
void misspelled;
const dead = await latchkey.readMe({ client, headers });
const gone = await latchkey.login({ client, body: { email, password: new_password } });
const rotated = next.refresh_token !== tokens.refresh_token;
console.log(JSON.stringify({
  me: types.user.email,
  devices: devices.data.length,
  wrong: wrong.error?.code,
  rotated,
  dead: dead.error?.code,
  gone: gone.error?.code,
  shown,
  baseUrl: latchkey.client.getConfig().baseUrl ?? null,
}));
`;

/** What the guide's React Native takes for granted; it is compiled only. */
const NATIVE = `
  import { createSession } from "latchkey-client/session";
  const baseUrl = "https://auth.example.com";
`;
const SECURE_STORE = `
export function getItemAsync(key: string): Promise<string | null>;
export function setItemAsync(key: string, value: string): Promise<void>;
export function deleteItemAsync(key: string): Promise<void>;
`;

const PYTHON_OUTCOME = `
gone = login.sync(client=client, body=LoginBody(email=email, password=new_password))
assert isinstance(challenge, Challenge) and challenge.purpose == "registration"
print(json.dumps({
    "me": me.email, "created": me.created_at.year, "rotated": tokens.refresh_token != opened.refresh_token,
    "wrong": wrong.code, "end": end.status_code, "gone": gone.code,
}))
`;

Deno.test("sdk: the TypeScript client lives an account's life in Node and in Deno", async (t) => {
  await using site = await createSite();
  await site.startServer(UNLIMITED);
  await makeClients(`${site.folder}/clients`, ["--only", "typescript"]);
  const made = `${site.folder}/clients/typescript`;
  const journeyOf = (email: string): string =>
    [typescriptPrelude(site, email), codeOf("ts server"), codeOf("ts journey"), OUTCOME].join("\n");

  await t.step("Node, compiled like a browser app", async () => {
    const app = await createApp(`${site.folder}/node_app`, {
      "journey.ts": journeyOf("ada@example.org"),
      "native.ts": NATIVE + codeOf("ts native"),
      "expo-secure-store.d.ts": `declare module "expo-secure-store" {${SECURE_STORE}}`,
      "package.json": JSON.stringify({ private: true, type: "module" }),
    });
    await install("npm", { app, clients: `${site.folder}/clients`, flags: NPM_FLAGS });
    await compile(app, { ...BROWSER_APP, module: "nodenext", moduleResolution: "nodenext" });
    await compile(app, BROWSER_APP);
    assertLife("ada@example.org", await run("node", ["journey.js"], app));
  });

  await t.step("Deno", async () => {
    const files = { "": "index", "/session": "session", "/client": "client/index" };
    const imports = Object.entries(files).map(([name, file]) => [
      `latchkey-client${name}`,
      `file://${made}/src/${file}.ts`,
    ]);
    const app = await createApp(`${site.folder}/deno_app`, {
      "journey.ts": journeyOf("grace@example.org"),
      "deno.json": JSON.stringify({
        imports: Object.fromEntries(imports),
        compilerOptions: { strict: true, noUncheckedIndexedAccess: true },
      }),
    });
    await run(Deno.execPath(), ["check", "journey.ts"], app);
    assertLife("grace@example.org", await run(Deno.execPath(), ["run", "--allow-net", "journey.ts"], app));
  });

  await t.step("the package needs no other", async () => {
    const description = JSON.parse(await Deno.readTextFile(`${made}/package.json`));
    assert.deepEqual(
      [
        description.name,
        description.version,
        description.type,
        description.engines,
        description.dependencies,
      ],
      ["latchkey-client", manifest.version, "module", { node: ">=20" }, undefined],
    );
    for (const { folder, ending } of [{ folder: "dist", ending: "js" }, { folder: "src", ending: "ts" }]) {
      const imports = await run("grep", ["-rhoE", `(from|import\\() ?['"][^'"]+['"]`, folder], made);
      const fitting = new RegExp(`['"]\\.\\.?/\\S+\\.${ending}['"]`);
      assert.deepEqual(imports.trim().split("\n").filter((line) => !fitting.test(line)), []);
    }
    assert.match(await Deno.readTextFile(`${made}/README.md`), /^# latchkey-client\n\nOne npm package/);
  });

  await t.step("its functions are the operations, with their descriptions", async () => {
    const source = await Deno.readTextFile(`${made}/src/sdk.gen.ts`);
    const names = [...source.matchAll(/^ \*\/\nexport const (\w+) =/gm)].map(([, name]) => name);
    assert.deepEqual(names.sort(), routes.map(({ operationId }) => operationId).sort());
    for (const { summary } of routes) assert(source.includes(`/**\n * ${summary}\n`), summary ?? "");
  });
});

Deno.test("sdk: the Python client lives an account's life", async () => {
  await using site = await createSite();
  await site.startServer(UNLIMITED);
  await makeClients(`${site.folder}/clients`, ["--only", "python"]);
  await run("python3", ["-m", "venv", "environment"], site.folder);
  const python = `${site.folder}/environment/bin/python`;
  await install("pip", {
    app: site.folder,
    clients: `${site.folder}/clients`,
    program: [python, "-m", "pip"],
    flags: ["--quiet", "--disable-pip-version-check"],
  });
  const journey = pythonPrelude(site) + codeOf("python journey") + PYTHON_OUTCOME;
  await Deno.writeTextFile(`${site.folder}/journey.py`, journey);
  const lines = (await run(python, ["journey.py"], site.folder)).trim().split("\n");
  assert.equal(lines[0], `${EMAIL} is spelled right, the password is not`);
  assert.deepEqual(JSON.parse(lines[1] ?? ""), {
    me: EMAIL,
    created: new Date().getUTCFullYear(),
    rotated: true,
    wrong: "credentials_invalid",
    end: 204,
    gone: "credentials_invalid",
  });
});

Deno.test("sdk: a run replaces what an earlier one made, and nothing else", async (t) => {
  await using site = await createSite();
  const folder = `${site.folder}/clients`;
  const args = ["--out", folder, "--only", "typescript"];
  await t.step("its own", async () => {
    await Deno.mkdir(`${folder}/typescript/old`, { recursive: true });
    await Deno.writeTextFile(`${folder}/typescript/package.json`, '{ "name": "latchkey-client" }');
    const printed = await makeClients(folder, ["--only", "typescript"]);
    assert.equal(printed, `${folder}/typescript is here: npm install ${folder}/typescript\n`);
    const names = [...Deno.readDirSync(`${folder}/typescript`)].map(({ name }) => name).sort();
    assert.deepEqual(names, ["README.md", "dist", "package.json", "src"]);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["typescript"]);
  });
  await t.step("not a folder of somebody else's", async () => {
    await Deno.writeTextFile(
      `${folder}/typescript/package.json`,
      '{ "name": "shop", "dependencies": { "latchkey-client": "*" } }',
    );
    const { status, stderr } = await runTask(site, "sdk", args);
    assert.equal(status, 1);
    assert.match(stderr, /typescript is there already, and no run of this made it/);
    assert((await Deno.stat(`${folder}/typescript/src`)).isDirectory);
  });
});

Deno.test("sdk: refuses what it does not know, and says what Python lacks", async (t) => {
  await using site = await createSite();
  await Deno.writeTextFile(`${site.folder}/file`, "");
  const refusals = [
    { args: ["--only", "cobol"], says: /^There is no client for cobol\n\nMakes/ },
    { args: ["--output", "x"], says: /'--output'/ },
    { args: ["--out", `${site.folder}/file/clients`], says: /file\/clients cannot be written: / },
  ];
  for (const { args, says } of refusals) {
    await t.step(args.join(" "), async () => {
      const { status, stderr } = await runTask(site, "sdk", args);
      assert.equal(status, 1);
      assert.match(stderr, says);
    });
  }
  for (
    const { name, python, says } of [
      {
        name: "no Python",
        python: null,
        says: /^Python 3\.11 or newer is needed, on Debian: apt-get install/,
      },
      { name: "an old Python", python: "echo old", says: /^Python 3\.11 or newer is needed, and python3 is/ },
      {
        name: "a Python without venv",
        python: "echo bare",
        says: /on Debian: apt-get install python3-venv\n$/,
      },
    ]
  ) {
    await t.step(name, async () => {
      const folder = await Deno.makeTempDir({ dir: site.folder });
      if (python !== null) {
        await Deno.writeTextFile(`${folder}/python3`, `#!/bin/sh\n${python}\n`, { mode: 0o755 });
      }
      const args = ["--out", `${folder}/clients`, "--only", "python"];
      const { status, stderr } = await runTask(site, "sdk", args, { settings: { PATH: folder } });
      assert.equal(status, 1);
      assert.match(stderr, says);
    });
  }
  await t.step("--help", async () => {
    const { status, stdout } = await runTask(site, "sdk", ["--help"]);
    assert.equal(status, 0);
    assert.match(stdout, /deno task sdk \[--out FOLDER\]/);
  });
});

function assertLife(email: string, printed: string): void {
  assert.deepEqual(JSON.parse(printed), {
    me: email,
    devices: 2,
    wrong: "credentials_invalid",
    rotated: true,
    dead: "token_invalid",
    gone: "credentials_invalid",
    shown: [
      "Your code?",
      `${email} is spelled right, the password is not`,
      "Your code?",
      "Your code?",
    ],
    // Otherwise a client that was given none would ask a host of the name "api".
    baseUrl: null,
  });
}
