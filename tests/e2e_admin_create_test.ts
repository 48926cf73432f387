// `deno task admin:create` as an operator runs it: beside a running server or before there is one, and with mistakes.

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { readMailbox } from "../openapi/service.ts";
import { login } from "../openapi/sessions.ts";
import { PASSWORD, UNLIMITED } from "./harness.ts";
import { createSite, eventually, type Program, type Settings, type Site } from "./process.ts";

const EMAIL = "ada@example.org";

Deno.test("admin:create: makes an admin beside a running server, and can be repeated", async () => {
  await using site = await createSite();
  await site.startServer(UNLIMITED);
  const tool = createAdmin(site);
  assert.equal(await tool.ended(), 0, tool.stderr());
  assert.equal(tool.stdout(), `${EMAIL} is an admin now, and can sign in.\n`);
  assert.equal(tool.stderr(), "");

  const again = createAdmin(site, { stdin: "another-password-4\n" });
  assert.equal(await again.ended(), 0, again.stderr());
  assert.match(again.stdout(), /has an account, which is an admin now\. Its password stays as it is\.\n$/);

  const signedIn = await site.call(login, { json: { email: EMAIL, password: PASSWORD } });
  assert.equal(signedIn.status, 200, signedIn.text);
  const me = await site.call(readMe, { token: signedIn.body.access_token });
  assert.deepEqual([me.body.role, me.body.username, me.body.email_verified], ["admin", "ada", true]);
});

Deno.test("admin:create: at the moment of the very first start it shares the store and its key", async () => {
  await using site = await createSite();
  const tool = createAdmin(site);
  await site.startServer(UNLIMITED);
  assert.equal(await tool.ended(), 0, tool.stderr());
  const { status, text } = await site.call(login, { json: { email: EMAIL, password: PASSWORD } });
  assert.equal(status, 200, text);
  assert.equal((await Deno.readTextFile(`${site.storePath}.secret`)).trim().length, 43);
});

Deno.test("admin:create: makes an account that exists an admin", async () => {
  await using site = await createSite();
  await site.startServer(UNLIMITED);
  const { body: challenge } = await site.call(register, { json: { email: EMAIL, password: PASSWORD } });
  const code = await eventually("the code arrives", async () => {
    const { body } = await site.call(readMailbox, { headers: { accept: "application/json" } });
    return body.data[0]?.code;
  });
  const json = { challenge_id: challenge.challenge_id, code };
  const { body: signedIn } = await site.call(verifyOtp, { json });
  assert.equal(signedIn.user.role, "user");

  const tool = site.spawn("admin:create", { args: ["--email", EMAIL] });
  assert.equal(await tool.ended(), 0, tool.stderr());
  const me = await site.call(readMe, { token: signedIn.access_token });
  assert.deepEqual([me.status, me.body.role, me.body.id], [200, "admin", signedIn.user.id]);
});

Deno.test("admin:create: a mistake is explained, and changes nothing", async (t) => {
  await using site = await createSite();
  const first = createAdmin(site);
  assert.equal(await first.ended(), 0, first.stderr());
  const other = ["--email", "bob@example.org", "--password-stdin"];
  const password = `${PASSWORD}\n`;
  const cases: { name: string; args: string[]; stdin?: string; settings?: Settings; sentence: RegExp }[] = [
    { name: "no address", args: [], sentence: /^--email is missing/ },
    {
      name: "bad address",
      args: ["--email", "bob"],
      sentence: /^--email is missing, or not an email address/,
    },
    { name: "unknown option", args: ["--mail", EMAIL], sentence: /--mail/ },
    { name: "no value", args: ["--email"], sentence: /--email/ },
    {
      name: "bad username",
      args: [...other, "--username", "a b"],
      stdin: password,
      sentence: /^--username must/,
    },
    {
      name: "username taken",
      args: [...other, "--username", "ADA"],
      stdin: password,
      sentence: /^The username is taken/,
    },
    { name: "no terminal", args: other.slice(0, 2), sentence: /^There is no terminal .*--password-stdin/ },
    { name: "no password", args: other, stdin: "", sentence: /\bpassword\b/i },
    { name: "short password", args: other, stdin: "short\n", sentence: /\b8\b/ },
    { name: "common password", args: other, stdin: "password1\n", sentence: /attackers/ },
    {
      name: "bad setting",
      args: other,
      stdin: password,
      settings: { OTP_TTL: "xyz" },
      sentence: /^These settings do not work:\n {2}OTP_TTL must be/,
    },
  ];
  for (const { name, args, sentence, ...input } of cases) {
    await t.step(name, async () => {
      const tool = site.spawn("admin:create", { args, ...input });
      assert.equal(await tool.ended(), 1, tool.stdout());
      assert.match(tool.stderr(), sentence);
      assert.doesNotMatch(tool.stderr(), /^\s+at |Error:|should not happen/m);
      assert.equal(tool.stdout(), "");
    });
  }
  await site.startServer(UNLIMITED);
  const { status } = await site.call(login, { json: { email: "bob@example.org", password: PASSWORD } });
  assert.equal(status, 401);
});

Deno.test("admin:create: --help explains the options, and opens nothing", async () => {
  await using site = await createSite();
  const tool = site.spawn("admin:create", { args: ["--help"] });
  assert.equal(await tool.ended(), 0, tool.stderr());
  for (const option of ["--email", "--username", "--password-stdin"]) {
    assert(tool.stdout().includes(`\n  ${option} `), tool.stdout());
  }
  assert.deepEqual([...Deno.readDirSync(site.folder)], []);
});

/** With the password of the tests, unless `stdin` holds another. */
function createAdmin(
  site: Site,
  { stdin = `${PASSWORD}\n` }: { readonly stdin?: string } = {},
): Program {
  return site.spawn("admin:create", {
    args: ["--email", EMAIL, "--username", "ada", "--password-stdin"],
    stdin,
  });
}
