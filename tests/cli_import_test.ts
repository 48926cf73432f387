// Moving in: accounts that Django made sign in here with their old passwords; what is wrong with a file is said by the
// line before anything is written; and what was exported imports as it was.

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { readMailbox } from "../openapi/service.ts";
import { login } from "../openapi/sessions.ts";
import { DJANGO_DUMP_ARRAY, DJANGO_DUMP_LINES } from "./django_users.ts";
import { PASSWORD, UNLIMITED } from "./harness.ts";
import { createSite, eventually, type Site } from "./process.ts";
import { requireTask, runTask } from "./tool_run.ts";

/** An account of the dump for each hasher. */
const HASHERS = ["pbkdf2-sha256", "argon2", "bcrypt-sha256", "bcrypt", "scrypt"];
const PBKDF2 = "pbkdf2_sha256$1000$seasalt$dSVPjB0aFMdPpZCMAbIyQGZzjHMNlMNKXHdRCVgWlHM=";

Deno.test("users:import: accounts of a Django sign in beside a running server, and their hashes become argon2id", async (t) => {
  await using site = await createSite();
  await site.startServer(UNLIMITED);
  const file = await write(site, "dump.json", DJANGO_DUMP_ARRAY);
  const printed = await requireTask(site, "users:import", [file]);
  assert.match(printed, /^8 new, 0 with an account already, 0 bad\.$/m);
  assert.match(printed, /Left out, because they are no users: 1 auth\.permission\.$/m);
  assert.match(printed, /^8 imported\.$/m);

  for (const hasher of HASHERS) {
    await t.step(hasher, async () => {
      const email = `${hasher}@example.org`;
      const wrong = await signInAt(site, email, "violet-comet-94");
      assert.deepEqual([wrong.status, wrong.body.code], [401, "credentials_invalid"]);
      const right = await signInAt(site, email);
      assert.equal(right.status, 200, right.text);
      assert.equal(right.body.user.username, `user_${hasher.replace("-", "_")}`);
      assert.match(right.body.user.name, /^Ada L\d$/);
      assert.match(right.body.user.created_at, /^2026-11-21T10:16:0/);
      assert.equal((await signInAt(site, email)).status, 200, "with the new hash");
    });
  }
  await t.step("the others are what they were, and no admin", async () => {
    assert.equal((await signInAt(site, "nopass@example.org", "!")).status, 401);
    assert.equal((await signInAt(site, "gone@example.org")).body.code, "account_disabled");
    const root = await signInAt(site, "root@example.org");
    assert.deepEqual([root.status, root.body.user.role], [200, "user"]);
  });
  await t.step("every hash that was used is one of ours", async () => {
    const accounts = await exported(site);
    const names = accounts.filter(({ password_hash }) =>
      password_hash.startsWith("$argon2id$v=19$m=19456,t=2,p=1$")
    )
      .map(({ email }) => email);
    assert.deepEqual(names.sort(), [...HASHERS, "root"].map((name) => `${name}@example.org`).sort());
  });
});

Deno.test("users:import can be repeated, reads JSON Lines of Django too, and keeps admins when told so", async () => {
  await using site = await createSite();
  const half = await write(site, "half.jsonl", `${DJANGO_DUMP_LINES.slice(0, 4).join("\n")}\n`);
  const whole = await write(site, "whole.jsonl", DJANGO_DUMP_LINES.join("\n\n"));
  assert.match(await requireTask(site, "users:import", [half]), /^3 imported\.$/m);
  const before = await exported(site);
  const { status, stdout, stderr } = await runTask(site, "users:import", [whole, "--keep-admins"]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^5 new, 3 with an account already, 0 bad\.$/m);
  assert.match(stderr, /^Line 3: has an account already, which stays as it is\nLine 5: .*\nLine 7: .*\n$/);
  const after = await exported(site);
  assert.deepEqual(after.slice(0, 3), before);
  assert.deepEqual(after.filter(({ role }) => role === "admin").map(({ email }) => email), [
    "root@example.org",
  ]);
  assert.match(await requireTask(site, "users:import", [whole]), /^0 imported\.$/m);
});

Deno.test("users:import names bad lines by number, and writes nothing unless it is told to leave them out", async (t) => {
  await using site = await createSite();
  await requireTask(site, "admin:create", [
    "--email",
    "taken@example.org",
    "--username",
    "Taken",
    "--password-stdin",
  ], { stdin: `${PASSWORD}\n` });
  const [admin] = await exported(site);
  const user = (email: string, members: Record<string, unknown> = {}): string =>
    JSON.stringify({ email, password_hash: PBKDF2, ...members });
  const lines: [line: string, fault: RegExp | null][] = [
    [user("first@example.org", { username: "first" }), null],
    ['{"email": "second@example.org"', /^Is no valid JSON$/],
    ["[1, 2]", /^Must be an object/],
    [user("mi\u212Ae@example.org"), /^email: Must be an email address/],
    [user("FIRST@example.org"), /^Has the address of line 1$/],
    [user("third@example.org", { username: "FIRST" }), /^Has the username of line 1/],
    [user("fourth@example.org", { username: "taken" }), /^Has the username of another account$/],
    [user("fifth@example.org", { id: admin?.id }), /^Has the id of another account$/],
    [
      user("sixth@example.org", { username: "a b", name: " x" }),
      /^username: May hold only.*; name: Must have a visible character, and no surrounding spaces/,
    ],
    [user("seventh@example.org", { password: PASSWORD }), /^password: Is not known here/],
    [
      user("eighth@example.org", { password_hash: "md5$a$b" }),
      /^password_hash: Is no hash of a form that is known/,
    ],
    [
      user("ninth@example.org", { password_hash: PBKDF2.replace("1000", "99999999") }),
      /^password_hash: .*costs too much/,
    ],
    [user("tenth@example.org", { created_at: "2999-01-01T00:00:00Z" }), /lies in the future/],
    [user("eleventh@example.org", { status: "asleep" }), /^status: /],
    [user("x".repeat(2_000_000)), /^Is longer than 1,048,576 characters$/],
    [user("taken@example.org"), null],
    [user("last@example.org"), null],
  ];
  const file = await write(site, "users.jsonl", `${lines.map(([line]) => line).join("\n")}\n`);
  const bad = lines.filter(([, fault]) => fault !== null).length;

  await t.step("without an option", async () => {
    const { status, stdout, stderr } = await runTask(site, "users:import", [file]);
    assert.equal(status, 1);
    assert.match(stdout, new RegExp(`^2 new, 1 with an account already, ${bad} bad\\.$`, "m"));
    assert.match(stderr, /^Line 16: has an account already/m);
    assert.match(stderr, /^Nothing was imported: /m);
    for (const [index, [, fault]] of lines.entries()) {
      const said = new RegExp(`^Line ${index + 1}: (.*)$`, "m").exec(stderr)?.[1];
      if (fault) assert.match(said ?? "", fault, `Line ${index + 1}`);
    }
    assert.doesNotMatch(stdout + stderr, /seasalt|dSVPjB0a|violet|asleep|md5\$/);
    assert.equal((await exported(site)).length, 1);
  });
  await t.step("--dry-run", async () => {
    const printed = await requireTask(site, "users:import", [file, "--skip-bad", "--dry-run"]);
    assert.match(printed, /^2 would be imported; nothing was/m);
    assert.equal((await exported(site)).length, 1);
  });
  await t.step("--skip-bad", async () => {
    assert.match(await requireTask(site, "users:import", [file, "--skip-bad"]), /^2 imported\.$/m);
    assert.deepEqual(await emailsOf(site), ["first@example.org", "last@example.org", "taken@example.org"]);
  });
  await t.step("--drop-unfit", async () => {
    assert.match(
      await requireTask(site, "users:import", [file, "--skip-bad", "--drop-unfit"]),
      /^3 imported\.$/m,
    );
    const added = (await exported(site)).filter(({ email }) => /^(third|fourth|sixth)@/.test(email));
    assert.deepEqual(added.map(({ username, name }) => [username, name]), [[null, null], [null, null], [
      null,
      null,
    ]]);
  });
});

Deno.test("users:import says what is wrong with a file in a sentence", async (t) => {
  await using site = await createSite();
  const cases = [
    { name: "no file", args: [], says: /^FILE is missing/ },
    {
      name: "file that is not there",
      args: [`${site.folder}/gone`],
      says: /gone cannot be read: No such file/,
    },
    { name: "folder", args: [site.folder], says: /is no file$/m },
    { name: "comma", args: ["a,b"], says: /must not have a comma/ },
    { name: "empty file", args: [await write(site, "empty", "\n")], says: /has no account to import/ },
    { name: "cut array", args: [await write(site, "cut", "[{}, ")], says: /^The file: Is no valid JSON$/m },
    {
      name: "no text",
      args: [await write(site, "bytes", new Uint8Array([0xff, 0xfe, 10]))],
      says: /not UTF-8$/m,
    },
    { name: "unknown option", args: ["--all"], says: /^Unknown option '--all'\n\n/ },
  ];
  for (const { name, args, says } of cases) {
    await t.step(name, async () => {
      const { status, stderr } = await runTask(site, "users:import", args);
      assert.equal(status, 1);
      assert.match(stderr, says);
    });
  }
});

Deno.test("users:export writes what users:import reads: the same accounts, elsewhere", async () => {
  await using site = await createSite();
  await using other = await createSite();
  const dump = await write(site, "dump.json", DJANGO_DUMP_ARRAY);
  await requireTask(site, "users:import", [dump, "--keep-admins"]);
  const file = `${site.folder}/users.jsonl`;
  const { status, stdout, stderr } = await runTask(site, "users:export", [file]);
  assert.deepEqual([status, stdout], [0, ""], stderr);
  assert.match(stderr, /^These lines hold personal data and password hashes: .*\n8 accounts written\.\n$/);
  assert.equal((Deno.statSync(file).mode ?? 0) & 0o777, 0o600);

  await requireTask(other, "users:import", [file, "--keep-admins"]);
  const withoutUpdate = async (place: Site) =>
    (await exported(place)).map((account) => ({ ...account, updated_at: "" }));
  assert.deepEqual(await withoutUpdate(other), await withoutUpdate(site));

  const again = await runTask(site, "users:export", [file]);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /exists already: .*--force/);
});

Deno.test("users:import: the first sign-in here is no sign-in from a new network, the second may be", async () => {
  await using site = await createSite();
  await site.startServer({ ...UNLIMITED, TRUST_PROXY: "1" });
  const line = JSON.stringify({
    email: "ada@example.org",
    password_hash: DJANGO_DUMP_LINES.map((text) => JSON.parse(text).fields.password).find((hash) =>
      hash?.startsWith("argon2$")
    ),
    created_at: "2020-02-29T12:00:00+02:00",
    last_login_at: "2026-11-01T00:00:00Z",
  });
  await requireTask(site, "users:import", [await write(site, "users.jsonl", line)]);
  const first = await signInAt(site, "ada@example.org", PASSWORD, "192.0.2.1");
  assert.equal(first.body.user.created_at, "2020-02-29T10:00:00.000Z");
  const mails = async () =>
    (await site.call(readMailbox, { headers: { accept: "application/json" } })).body.data.length;
  assert.equal(await mails(), 0);
  const second = await signInAt(site, "ada@example.org", PASSWORD, "198.51.100.7");
  assert.equal((await site.call(readMe, { token: second.body.access_token })).status, 200);
  await eventually("the mail arrives", async () => await mails() === 1);
});

/** An account as users:export writes it. */
interface ExportedAccount {
  readonly id: string;
  readonly email: string;
  readonly username: string | null;
  readonly name: string | null;
  readonly role: string;
  readonly password_hash: string;
}

async function exported(site: Site): Promise<ExportedAccount[]> {
  const lines = (await requireTask(site, "users:export")).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line));
}

async function emailsOf(site: Site): Promise<string[]> {
  return (await exported(site)).map(({ email }) => email).sort();
}

async function signInAt(site: Site, email: string, password = PASSWORD, ip = "192.0.2.1") {
  return await site.call(login, { json: { email, password }, headers: { "x-forwarded-for": ip } });
}

async function write(site: Site, name: string, content: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const path = `${site.folder}/${name}`;
  await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
  return path;
}
