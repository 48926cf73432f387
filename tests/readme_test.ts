// The README: its commands are run as they stand there, its table of settings is the schema's, its links lead
// somewhere. What cannot be run here is held against what would run.

import assert from "node:assert/strict";
import manifest from "../deno.json" with { type: "json" };
import { register, verifyOtp } from "../openapi/registration.ts";
import { readKeys } from "../openapi/service.ts";
import { settings } from "../src/config.ts";
import { SECRET_KEY } from "./cluster.ts";
import { PASSWORD } from "./harness.ts";
import {
  createSite,
  eventually,
  freePort,
  type Program,
  REPOSITORY,
  type Settings,
  type Site,
  spawnProgram,
  UNSET,
} from "./process.ts";
import { isListening, storeExecutable } from "./store_server.ts";

const readme = await Deno.readTextFile(`${REPOSITORY}/README.md`);

/** The fenced shell blocks of a kind: "```sh kind". */
function blocksOf(kind: string): string[] {
  return [...readme.matchAll(/^```sh (\w+)\n(.*?)^```$/gms)]
    .filter(([, found]) => found === kind)
    .map(([, , body]) => body ?? "");
}

function commandsOf(kind: string): string[] {
  return blocksOf(kind).join("").split("\n").filter((line) => line);
}

/** Each as the one in front of a person, without a prompt: to zsh what stands behind a # is then no remark. */
const SHELLS = ["bash", "sh", "zsh -f -i +o promptsp +o promptcr"];

/** What a shell prints, and what it complains of, that gets the tour pasted, one line after another. */
async function takeTour(
  site: Site,
  command: string,
): Promise<{ readonly printed: string[]; readonly complaints: string }> {
  const [shell = "", ...args] = command.split(" ");
  const program = spawnProgram([await findShell(shell), ...args, "-s"], {
    env: { PS1: "", PS2: "" },
    stdin: `${blocksOf("tour").join("\n").replaceAll("localhost:8000", `127.0.0.1:${site.port}`)}\n`,
  });
  try {
    await program.ended();
  } finally {
    await program.kill();
  }
  const printed = program.stdout().trim().split(/\n|(?<=\})(?=\{)|(?<=\})(?=2)/);
  return { printed, complaints: program.stderr() };
}

async function findShell(name: string): Promise<string> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    const path = `${folder}/${name}`;
    if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  throw new Error(`This test needs ${name}: apt-get install ${name}`);
}

async function requireTour(site: Site, command: string): Promise<void> {
  const { printed, complaints } = await takeTour(site, command);
  assert.equal(complaints, "");
  assert.equal(printed.length, 4, printed.join("\n"));
  const [me = "", signedOut, reset, deleted] = printed;
  assert.equal(JSON.parse(me).email, "ada@example.org");
  assert.deepEqual([signedOut, reset, deleted], ["204", "204", "204"]);
}

Deno.test("README: the tour takes an account from sign-up to its deletion; a second one says why not", async () => {
  await using site = await createSite();
  await site.startServer();
  await requireTour(site, "bash");
  const { complaints } = await takeTour(site, "bash");
  assert.match(complaints, /^\{.*"code":"rate_limited","policy":"otp"/);
});

Deno.test("README: without those limits the tour can be taken again, in every shell", async (t) => {
  const [, assignments = ""] = /`((?:THROTTLE_\w+=off )+)deno task start`/.exec(readme) ?? [];
  const settings = Object.fromEntries(
    assignments.trim().split(" ").map((assignment) => assignment.split("=")),
  );
  await using site = await createSite();
  await site.startServer(settings);
  for (const shell of SHELLS) await t.step(shell, () => requireTour(site, shell));
});

Deno.test("README: the command for the first admin works beside the server", async () => {
  await using site = await createSite();
  await site.startServer();
  const email = "you@example.org";
  const { body } = await site.call(register, { json: { email, password: PASSWORD } });
  const code = await eventually("the code is mailed", async () => {
    const answer = await (await fetch(`${site.url}/dev/mailbox`)).json();
    return answer.data[0]?.code as string | undefined;
  });
  await site.call(verifyOtp, { json: { challenge_id: body.challenge_id, code } });

  const [command = ""] = commandsOf("admin");
  const [, task = "", ...args] = /^deno task (\S+) (.*)$/.exec(command)?.slice(0) ?? [];
  const tool = site.spawn(task, { args: args.join(" ").split(" ") });
  assert.equal(await tool.ended(), 0, tool.stderr());
  assert.match(tool.stdout(), /you@example\.org has an account, which is an admin now/);
});

Deno.test("README: the commands for several instances start servers that share a store", async () => {
  const [exportToken = "", storeCommand = "", startCommand = ""] = commandsOf("instances");
  await using sites = new AsyncDisposableStack();
  const [one, other] = [sites.use(await createSite()), sites.use(await createSite())];
  const storePort = String(freePort());
  const run = (command: string, env: Settings, cwd?: string): Program => {
    const program = spawnProgram(["bash", "-c", command.replace("4512", storePort)], {
      env: { ...UNSET, ...env },
      ...(cwd ? { cwd } : {}),
    });
    sites.defer(() => program.kill());
    return program;
  };

  const token = run(`${exportToken}; printenv DENO_KV_ACCESS_TOKEN`, {});
  assert.equal(await token.ended(), 0, token.stderr());
  const env = { DENO_KV_ACCESS_TOKEN: token.stdout().trim(), SECRET_KEY, PUBLIC_URL: one.url };
  // Where there is no denokv, ours takes its command.
  const script = `#!/bin/sh\nexec ${storeExecutable().join(" ")} "$@"\n`;
  await Deno.writeTextFile(`${one.folder}/denokv`, script, { mode: 0o755 });
  run(storeCommand, { ...env, PATH: `${one.folder}:${Deno.env.get("PATH")}` }, one.folder);
  await eventually("the store listens", () => isListening(storePort));
  for (const { port } of [one, other]) run(startCommand, { ...env, HOST: "127.0.0.1", PORT: String(port) });

  const [first, second] = await Promise.all([one, other].map((site) =>
    eventually("it is ready", async () => {
      const answer = await site.call(readKeys).catch(() => null);
      return answer?.status === 200 && answer.text;
    })
  ));
  assert.equal(first, second);
});

Deno.test("README: the two commands are tasks, and the gate's script runs the second", async () => {
  assert.deepEqual(commandsOf("start"), ["deno task start"]);
  assert.deepEqual(commandsOf("test"), ["deno task test"]);
  assert.match(await Deno.readTextFile(`${REPOSITORY}/.ci/run`), /deno task test/);
  const named = [...readme.matchAll(/deno(?:@[\d.]+)? task ([a-z:-]+)/g)].map(([, task]) => task ?? "");
  for (const task of named) assert(task in manifest.tasks, `${task} is not a task`);
});

Deno.test("README: the container gets the settings that production asks for", async () => {
  const [build, run] = commandsOf("container");
  assert.equal(build, "docker build -t latchkey .");
  const dockerfile = await Deno.readTextFile(`${REPOSITORY}/Dockerfile`);
  const given = [...(run ?? "").matchAll(/-e (\w+)/g)].map(([, name]) => name ?? "");
  for (const name of given) assert(name in settings, name);
  for (const fact of ["EXPOSE 8000", "VOLUME /data", "USER deno"]) assert(dockerfile.includes(fact), fact);
});

Deno.test("README: the table of settings is the schema's, with the defaults of .env.example", async () => {
  const example = await Deno.readTextFile(`${REPOSITORY}/.env.example`);
  const rows = Object.entries(settings).map(([name, { description }]) => {
    const [, value] = new RegExp(`^#${name}=(.*)$`, "m").exec(example) ?? [];
    assert(value !== undefined, `${name} is not in .env.example`);
    return `| \`${name}\` | ${value ? `\`${value}\` ` : ""}| ${description} |`;
  });
  // The formatter pads the columns.
  const lines = readme.split("\n").map((line) => line.replaceAll(/ +/g, " "));
  const found = lines.filter((line) => /^\| `[A-Z_]+` /.test(line));
  assert.deepEqual(found, rows);
});

Deno.test("README: every file it names is there", async () => {
  for (const [, path = ""] of readme.matchAll(/\]\(((?!http)[^)#]+)\)/g)) {
    assert((await Deno.stat(`${REPOSITORY}/${path}`)).isFile, path);
  }
});
