// `.env`: what stands in it to no effect is told by the doctor and at the start, never what it says; and the token of a
// store over the network may stand in it, too.

import assert from "node:assert/strict";
import { findDotEnvFaults } from "../src/dot_env.ts";
import { createSite } from "./process.ts";
import { copyRepository } from "./repository_copy.ts";
import { startStoreServer, STORE_TOKEN } from "./store_server.ts";
import { runTask } from "./tool_run.ts";

const cases: { name: string; text: string; faults: string[] }[] = [
  { name: "nothing", text: "", faults: [] },
  { name: "settings, a remark, an empty line", text: "# mine\nPORT=80\n\n  export HOST = ::\n", faults: [] },
  { name: "lines as Windows ends them", text: "PORT=80\r\n\r\n# mine\r\nHOST=::\r\n", faults: [] },
  { name: "a value of several lines", text: 'APP_NAME="A\nSMTP_HOST=x\nB" # mine\nPORT=80', faults: [] },
  { name: "names of Deno", text: "DENO_KV_ACCESS_TOKEN=x\nOTEL_DENO=true", faults: [] },
  {
    name: "a name with a slip",
    text: "THROTTLE_LOGINS=3/1m\nsecret_key=x",
    faults: [
      ".env names THROTTLE_LOGINS, which is no setting: perhaps THROTTLE_LOGIN",
      ".env names secret_key, which is no setting",
    ],
  },
  {
    name: "names of others",
    text: "SMTP_HOST=x\nPOSTGRES_DB=x",
    faults: [
      ".env names SMTP_HOST, which is no setting: perhaps SMTP_URL",
      ".env names POSTGRES_DB, which is no setting",
    ],
  },
  {
    name: "lines that are none",
    text: "PORT=80\nBAD LINE\nPORT: 80\nAPP_NAME='A\n",
    faults: [".env has no NAME=value in line 2", ".env has no NAME=value in line 3"],
  },
  {
    name: "a secret on a line of its own",
    text: `SECRET_KEY=\n${"kM3pV9sXw2ZqT7yLb5Nd".repeat(3)}==\n`,
    faults: [".env has no NAME=value in line 2"],
  },
];

for (const { name, text, faults } of cases) {
  Deno.test(`.env: ${name}`, () => assert.deepEqual(findDotEnvFaults(text), faults));
}

Deno.test(".env: the doctor and the start tell what has no effect", async () => {
  await using copy = await copyRepository();
  await using site = await createSite({ cwd: copy.folder });
  await Deno.writeTextFile(`${copy.folder}/.env`, "THROTTLE_LOGINS=3/1m\nBAD LINE\n", { mode: 0o600 });
  const faults = [
    ".env names THROTTLE_LOGINS, which is no setting: perhaps THROTTLE_LOGIN",
    ".env has no NAME=value in line 2",
  ];
  const toFix = faults.map((fault) => `FIX  settings: ${fault}`).join("\n");
  const doctor = await runTask(site, "doctor");
  assert.equal(doctor.status, 1);
  assert(doctor.stdout.startsWith(`${toFix}\nok   files: `), doctor.stdout);
  const early = await runTask(site, "doctor", [], { settings: { PORT: "x" } });
  assert.match(
    early.stdout,
    /^FIX {2}settings: PORT must be .*\nFIX {2}settings: \.env names THROTTLE_LOGINS/,
  );

  const server = await site.startServer();
  assert.equal(server.stderr(), faults.map((fault) => `Warning: ${fault}\n`).join(""));
});

Deno.test(".env: one that cannot be read ends the start and the tools with a sentence", async (t) => {
  await using copy = await copyRepository();
  await using site = await createSite({ cwd: copy.folder });
  // Docker makes such a folder where the file that a container should see is missing.
  await Deno.mkdir(`${copy.folder}/.env`);
  const sentence =
    /^\.env cannot be read: Is a directory.* It must be a file that this user may read, or not be there\n$/;
  for (const task of ["start", "doctor", "store:check"]) {
    await t.step(`deno task ${task}`, async () => {
      const { status, stdout, stderr } = await runTask(site, task);
      assert.equal(status, 1);
      assert.match(stderr, sentence);
      assert.equal(stdout, "");
    });
  }
  // As a container and `deno task dev` run them: without the launcher's own look at it.
  const launcher = ["src/cli/launch.ts", "--print"];
  for (const program of [launcher, ["src/main.ts"], ["src/cli/store_check.ts"], ["src/cli/doctor.ts"]]) {
    await t.step(`deno run ${program.join(" ")}`, async () => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--allow-all", ...program],
        cwd: copy.folder,
        env: { NO_COLOR: "1" },
      }).output();
      assert.equal(code, 1);
      assert.match(new TextDecoder().decode(stderr), sentence);
      assert.equal(stdout.length, 0);
    });
  }
});

Deno.test(".env: the token of a KV Connect server may stand there; where there is none, it is asked for", async () => {
  await using store = await startStoreServer();
  await using copy = await copyRepository();
  await using site = await createSite({ cwd: copy.folder });
  const settings = { KV_PATH: store.url };
  const under = ["env", "-u", "DENO_KV_ACCESS_TOKEN"];
  const program = site.spawn("start", { settings, under });
  assert.equal(await program.ended(), 1);
  assert.match(
    program.stderr(),
    /^The store \S+ cannot be opened: DENO_KV_ACCESS_TOKEN is missing: .* or in \.env\n$/,
  );

  await Deno.writeTextFile(`${copy.folder}/.env`, `DENO_KV_ACCESS_TOKEN=${STORE_TOKEN}\n`, { mode: 0o600 });
  await site.startServer(settings, { under });
});
