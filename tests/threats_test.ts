// The pages on security, held against the code: every test they name is there, every number of the standard is on its
// page once, every record and every key is listed. And what no test could show by running the server: what its source
// does not do.

import assert from "node:assert/strict";
import { keys } from "../src/store/keys.ts";
import { REPOSITORY } from "./process.ts";
import { isTest } from "./test_names.ts";

const threats = await Deno.readTextFile(`${REPOSITORY}openapi/threats.md`);
const asvs = await Deno.readTextFile(`${REPOSITORY}openapi/asvs.md`);

/** The requirements of levels 1 and 2 of ASVS 5.0.0, section by section. Those of level 3 come last in theirs. */
const REQUIREMENTS = `
  1.1.1-2 1.2.1-9 1.3.1-11 1.4.1-3 1.5.1-2 2.1.1-3 2.2.1-3 2.3.1-4 2.4.1 3.2.1-2 3.3.1-4 3.4.1-6 3.5.1-5 3.7.1-2
  4.1.1-3 4.2.1 4.3.1-2 4.4.1-4 5.1.1 5.2.1-3 5.3.1-2 5.4.1-3 6.1.1-3 6.2.1-12 6.3.1-4 6.4.1-4 6.5.1-5 6.6.1-3 6.8.1-4
  7.1.1-3 7.2.1-4 7.3.1-2 7.4.1-5 7.5.1-2 7.6.1-2 8.1.1-2 8.2.1-3 8.3.1 8.4.1 9.1.1-3 9.2.1-4 10.1.1-2 10.2.1-2
  10.3.1-4 10.4.1-11 10.5.1-5 10.6.1-2 10.7.1-3 11.1.1-2 11.2.1-3 11.3.1-3 11.4.1-4 11.5.1 11.6.1 12.1.1-3 12.2.1-2
  12.3.1-4 13.1.1 13.2.1-5 13.3.1-2 13.4.1-5 14.1.1-2 14.2.1-4 14.3.1-3 15.1.1-3 15.2.1-3 15.3.1-7 16.1.1 16.2.1-5
  16.3.1-4 16.4.1-3 16.5.1-3 17.1.1 17.2.1-4 17.3.1-2
`;
const REQUIREMENTS_COUNT = 253;

/** Where each page says what is proved. */
const pages: Readonly<Record<string, string>> = {
  "threats.md": sectionOf(threats, "What stops them"),
  "asvs.md": asvs.slice(asvs.indexOf("## V1 ")),
};

for (const [page, text] of Object.entries(pages)) {
  Deno.test(`${page}: every test that it names is there`, async () => {
    const named = [...text.matchAll(/^ {2}- `(\w+_test\.ts)`: `(.+)`$/gm)];
    assert(named.length > 40);
    const missing: string[] = [];
    for (const [, file = "", name = ""] of named) {
      if (!await isTest(file, name)) missing.push(`${file}: ${name}`);
    }
    assert.deepEqual(missing, []);
  });

  Deno.test(`${page}: nothing is said to be so without a test, or a reason`, () => {
    const items = text.split(/^(?=- )/m).filter((item) => item.startsWith("- "));
    assert(items.length > 20);
    const isProved = (item: string): boolean => /\n {2}- `\w+_test\.ts`: `/.test(item);
    const isExplained = (item: string): boolean => /^- (not applicable|the operator's|open): /.test(item);
    assert.deepEqual(items.filter((item) => !isProved(item) && !isExplained(item)), []);
  });
}

Deno.test("asvs.md: every requirement of levels 1 and 2 is there once, with a test or a reason", async (t) => {
  const tested = [...asvs.matchAll(/^- (\d+\.\d+\.\d+) \S/gm)].map(([, id = ""]) => id);
  const reasons = [...asvs.matchAll(/^- (not applicable|the operator's|open): ([\d., ]+): \S/gm)]
    .map(([, kind = "", ids = ""]) => ({ kind, ids: ids.split(", ") }));
  const all = requirements();
  assert.equal(all.length, REQUIREMENTS_COUNT);
  const found = [...tested, ...reasons.flatMap(({ ids }) => ids)];
  assert.deepEqual(found.toSorted(), all.toSorted());
  for (const chapter of asvs.split(/^## V/m).slice(1)) {
    const number = /^\d+/.exec(chapter)?.[0];
    for (const [, id = ""] of chapter.matchAll(/(\d+\.\d+\.\d+)(?=[ :,])/g)) {
      assert.equal(id.split(".")[0], number, id);
    }
  }
  const count = (kind: string): number =>
    reasons.filter((reason) => reason.kind === kind).flatMap(({ ids }) => ids).length;
  await t.step(
    `${tested.length} tested, ${count("not applicable")} not applicable, ${
      count("the operator's")
    } the operator's, ` +
      `${count("open")} open`,
    () => {},
  );
});

Deno.test("threats.md: every kind of record is among what is kept", () => {
  const kinds = Object.values(keys).map(kindOf);
  const table = sectionOf(threats, "What is to be kept");
  const named = [...table.matchAll(/`([a-z_]+)`/g)].map(([, name]) => name);
  assert.deepEqual([...new Set(kinds)].filter((kind) => kind !== "" && !named.includes(kind)), []);
});

Deno.test("threats.md: every use of SECRET_KEY is among the keys", async () => {
  const uses = (await sources()).flatMap(({ text }) =>
    [...text.matchAll(/\b(mac|seal)\(\s*"([a-z-]+)"/g)].map(([, how, use]) => `${how} ${use}`)
  );
  assert(uses.length > 10);
  const table = sectionOf(threats, "Keys");
  const named = [...table.matchAll(/^\| (mac|seal) ([^|]+)\|/gm)]
    .flatMap(([, how, list = ""]) => [...list.matchAll(/`([a-z-]+)`/g)].map(([, use]) => `${how} ${use}`));
  assert.deepEqual([...new Set(uses)].toSorted(), named.toSorted());
});

Deno.test("source: the server makes no code of data, and runs no program", async () => {
  const dynamic = /\beval\(|\bnew Function\(|\bFunction\("|\bimport\((?!")|\bsetTimeout\("/;
  const programs = /\bDeno\.Command\b|node:child_process|\bDeno\.dlopen\b/;
  const served = (await sources()).filter(({ path }) => !/^src\/(cli|sdk|doctor)\//.test(path));
  assert.deepEqual(served.filter(({ text }) => dynamic.test(text)).map(({ path }) => path), []);
  assert.deepEqual(served.filter(({ text }) => programs.test(text)).map(({ path }) => path), []);
});

Deno.test("source: no cipher but AES-256-GCM, no hash but SHA-256 and those of imported passwords", async () => {
  const ciphers = /\b(?:aes|des|rc4|chacha20|bf)-?[\w-]*\b(?=")/gi;
  const hashes = /"(?:md5|sha-?1|sha-?(?:224|256|384|512)|ripemd\w*)"/gi;
  const used = (form: RegExp, except: RegExp): string[] =>
    all.filter(({ path }) => !except.test(path)).flatMap(({ text }) => text.match(form) ?? []);
  const all = await sources();
  assert.deepEqual([...new Set(used(ciphers, /^$/))], ["aes-256-gcm"]);
  // The viewer's package is held against the registry's own hash.
  const names = used(hashes, /^src\/(foreign_hash|cli\/viewer)\.ts$/).map((name) => name.toLowerCase());
  assert.deepEqual([...new Set(names)].filter((name) => !/^"sha-?256"$/.test(name)), []);
});

function sectionOf(page: string, title: string): string {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${title}\n`));
  assert(section, `There is no section ${title}`);
  return section;
}

function requirements(): string[] {
  return REQUIREMENTS.trim().split(/\s+/).flatMap((range) => {
    const [, section = "", first = "", last = first] = /^(\d+\.\d+)\.(\d+)(?:-(\d+))?$/.exec(range) ?? [];
    return Array.from(
      { length: Number(last) - Number(first) + 1 },
      (_, at) => `${section}.${Number(first) + at}`,
    );
  });
}

/** The first part of the key that a maker of keys makes, of whatever it is given. */
function kindOf(make: unknown): string {
  const anything = { role: "user", status: "active", plan: "free", id: "x", dueAtMs: 0, mailId: "x" };
  // Each takes texts, or one record of which it uses such members; all give a path.
  const { path: [kind] } = (make as (...parts: unknown[]) => { readonly path: Deno.KvKey })(
    anything,
    "x",
    "x",
  );
  return typeof kind === "string" ? kind : "";
}

/** The code that the server and its tools consist of. */
async function sources(folder = "src"): Promise<{ readonly path: string; readonly text: string }[]> {
  const found: { path: string; text: string }[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${REPOSITORY}${folder}`)) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await sources(path));
    else if (name.endsWith(".ts")) {
      found.push({ path, text: await Deno.readTextFile(`${REPOSITORY}${path}`) });
    }
  }
  return found;
}
