// Password hashes: the two engines agree with the reference implementation and with each other, every refusal costs
// what a match costs, and the queue neither overruns nor starves anybody.

import assert from "node:assert/strict";
import { type Argon2Engine, type Argon2Request, formatPhc, loadArgon2, parsePhc } from "../src/argon2.ts";
import { MEMORY } from "../src/cli/launch.ts";
import { createHasher, HashQueueFull } from "../src/hasher.ts";

const engineNames = ["native", "webcrypto"] as const;
const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

// The reference implementation's hash of "password", in the form that other servers keep it.
const salt = bytesOf("somesalt").toBase64({ omitPadding: true });
const tag = "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
const IMPORTED = `$argon2id$v=19$m=256,t=2,p=1$${salt}$${tag}`;

for (const name of engineNames) {
  // Vectors of the reference implementation, phc-winner-argon2, src/test.c.
  Deno.test.each([
    [256, 2, 1, "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"],
    [256, 2, 2, "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037"],
    [65536, 1, 1, "f6a5adc1ba723dddef9b5ac1d464e180fcd9dffc9d1cbf76cca2fed795d9ca98"],
  ])(`${name} agrees with the reference at m=%d,t=%d,p=%d`, async (memoryKib, passes, lanes, expected) => {
    const engine = await loadArgon2([name]);
    const cost = { memoryKib, passes, lanes };
    const derived = await engine.derive(bytesOf("password"), {
      cost,
      salt: bytesOf("somesalt"),
      tagBytes: 32,
    });
    assert.equal(derived.toHex(), expected);
  });

  Deno.test(`hash of ${name} verifies with the other engine`, async () => {
    const maker = await createHasher({ engine: await loadArgon2([name]) });
    const other = await createHasher({
      engine: await loadArgon2(engineNames.filter((other) => other !== name)),
    });
    const passwordHash = await maker.hash("correct horse");
    assert.equal(maker.name, name);
    assert.notEqual(other.name, name);
    assert.equal(await other.verify("correct horse", passwordHash), true);
    assert.equal(await other.verify("correct horsf", passwordHash), false);
  });
}

Deno.test("hash is a PHC string with today's cost and a salt of its own", async () => {
  const hasher = await createHasher();
  const [one, two] = await Promise.all([hasher.hash("correct horse"), hasher.hash("correct horse")]);
  assert.match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.notEqual(one, two);
  assert.doesNotMatch(one, /correct|horse/);
  assert.equal(hasher.needsRehash(one), false);
});

Deno.test("verify takes composed and decomposed letters for the same password", async () => {
  const hasher = await createHasher();
  const passwordHash = await hasher.hash("caf\u00e9 au lait");
  assert.equal(await hasher.verify("cafe\u0301 au lait", passwordHash), true);
  assert.equal(await hasher.verify("cafe au lait", passwordHash), false);
});

Deno.test("verify reads the whole password, also the last of 128 characters", async () => {
  const hasher = await createHasher();
  const passwordHash = await hasher.hash("é".repeat(127) + "x");
  assert.equal(await hasher.verify("é".repeat(127) + "x", passwordHash), true);
  assert.equal(await hasher.verify("é".repeat(127) + "y", passwordHash), false);
  assert.equal(await hasher.verify("é".repeat(127), passwordHash), false);
});

Deno.test("verify accepts an imported hash of another cost, which needs a rehash", async () => {
  const hasher = await createHasher();
  assert.equal(await hasher.verify("password", IMPORTED), true);
  assert.equal(await hasher.verify("Password", IMPORTED), false);
  assert.equal(hasher.needsRehash(IMPORTED), true);
});

const unreadable = [
  { name: "nothing", passwordHash: null },
  { name: "an empty text", passwordHash: "" },
  { name: "no hash at all", passwordHash: "correct horse" },
  { name: "bcrypt", passwordHash: "$2b$12$C6UzMDM.H6dfI/f/IKcEeO7ZBpD0PPqGQVZb1kq4Wb1S0CKlL0u1i" },
  { name: "argon2i", passwordHash: IMPORTED.replace("argon2id", "argon2i") },
  { name: "version 16", passwordHash: IMPORTED.replace("v=19", "v=16") },
  { name: "no version", passwordHash: IMPORTED.replace("v=19$", "") },
  { name: "more than 1 GiB", passwordHash: IMPORTED.replace("m=256", "m=1048577") },
  { name: "eleven passes", passwordHash: IMPORTED.replace("t=2", "t=11") },
  { name: "no pass", passwordHash: IMPORTED.replace("t=2", "t=0") },
  { name: "17 lanes", passwordHash: IMPORTED.replace("p=1", "p=17") },
  { name: "less memory than its lanes need", passwordHash: IMPORTED.replace("m=256", "m=7") },
  { name: "a leading zero", passwordHash: IMPORTED.replace("m=256", "m=0256") },
  { name: "another order", passwordHash: IMPORTED.replace("m=256,t=2", "t=2,m=256") },
  { name: "a short salt", passwordHash: IMPORTED.replace(salt, "c29tZXNhbA") },
  { name: "a short tag", passwordHash: IMPORTED.replace(tag, "nf65EOgLrQMR") },
  { name: "padding", passwordHash: `${IMPORTED}=` },
  { name: "a second spelling of the same tag", passwordHash: `${IMPORTED.slice(0, -1)}5` },
  { name: "a line break behind", passwordHash: `${IMPORTED}\n` },
];

for (const { name, passwordHash } of unreadable) {
  Deno.test(`verify refuses ${name}, for the price of one hash`, async () => {
    const { engine, requests } = await watchedEngine();
    const hasher = await createHasher({ engine });
    assert.equal(await hasher.verify("password", passwordHash), false);
    assert.deepEqual(requests.map(({ cost, tagBytes }) => ({ ...cost, tagBytes })), [
      { memoryKib: 19_456, passes: 2, lanes: 1, tagBytes: 32 },
    ]);
    if (passwordHash !== null) assert.equal(hasher.needsRehash(passwordHash), true);
  });
}

Deno.test("a PHC string survives being parsed and formatted", () => {
  const parsed = parsePhc(IMPORTED);
  assert.ok(parsed);
  assert.deepEqual(parsed.cost, { memoryKib: 256, passes: 2, lanes: 1 });
  assert.equal(formatPhc(parsed), IMPORTED);
});

Deno.test("hashes run as many at once as allowed, first come first served", async () => {
  const gate = await gatedEngine();
  const hasher = await createHasher({ engine: gate.engine, runningMax: 2, waitingMax: 3 });
  const turns = ["first", "second", "third", "fourth", "fifth"];
  const hashes = turns.map((turn) => hasher.hash(turn));
  await tick();
  assert.deepEqual(hasher.load(), { running: 2, waiting: 3 });
  assert.deepEqual(gate.started, ["first", "second"]);

  await assert.rejects(hasher.verify("password", null), HashQueueFull);
  gate.open();
  await Promise.all(hashes);
  assert.deepEqual(gate.started, turns, "in order, and the refused one never");
  assert.deepEqual(hasher.load(), { running: 0, waiting: 0 });
  assert.equal(gate.runningMost(), 2);
});

Deno.test("the queue holds 512 by default, refuses the next, and takes more afterwards", async () => {
  const gate = await gatedEngine();
  const hasher = await createHasher({ engine: gate.engine, runningMax: 1 });
  const admitted = Array.from({ length: 513 }, () => hasher.verify("password", null));
  await tick();
  assert.deepEqual(hasher.load(), { running: 1, waiting: 512 });
  await assert.rejects(hasher.hash("password"), HashQueueFull);

  gate.open();
  assert.deepEqual(new Set(await Promise.all(admitted)), new Set([false]));
  assert.equal(await hasher.verify("password", null), false);
});

Deno.test("a hash that fails frees its place", async () => {
  const broken: Argon2Engine = { name: "native", derive: () => Promise.reject(new Error("out of memory")) };
  const hasher = await createHasher({ engine: broken, runningMax: 1, waitingMax: 1 });
  const results = await Promise.allSettled([hasher.hash("password"), hasher.verify("password", null)]);
  assert.deepEqual(results.map(({ status }) => status), ["rejected", "rejected"]);
  assert.deepEqual(hasher.load(), { running: 0, waiting: 0 });
});

const NATIVE_FLAGS = [
  `--allow-ffi=${
    ["linux-x64-gnu", "linux-arm64-gnu", "darwin-x64", "darwin-arm64", "win32-x64-msvc"]
      .map((target) => `node_modules/.deno/@node-rs+argon2-${target}@2.2.1`)
  }`,
  "--allow-read=/usr/bin/ldd",
  "--ignore-env=NAPI_RS_NATIVE_LIBRARY_PATH,NAPI_RS_FORCE_WASI,NAPI_RS_WASI_FLAVOR,NAPI_RS_ENFORCE_VERSION_CHECK",
];

Deno.test.each([
  { grant: "the start task's permissions", flags: NATIVE_FLAGS, name: "native" },
  { grant: "no permission at all", flags: [], name: "webcrypto" },
])("createHasher is $name with $grant", async ({ flags, name }) => {
  const script = `import { createHasher } from "./src/hasher.ts";
    const hasher = await createHasher();
    console.log(hasher.name, await hasher.verify("password", "${IMPORTED}"));`;
  assert.equal(await runDeno(["run", "--no-prompt", "--no-lock", ...flags, "-"], script), `${name} true\n`);
});

Deno.test("createHasher: what WebCrypto's engine took for its hashes goes back to the system, as we start it", async () => {
  const script = `import { createHasher } from "./src/hasher.ts";
    const hasher = await createHasher();
    const before = Deno.memoryUsage().rss;
    await Promise.all(Array.from({ length: 60 }, () => hasher.hash("password")));
    console.log(Deno.memoryUsage().rss - before);`;
  const grown = Number(await runDeno(["run", "--no-prompt", "--no-lock", "-"], script, MEMORY));
  // Of 1,100 MiB; two hashes at once take 38 of them.
  assert(grown < 150 * 1024 * 1024, `${grown} bytes`);
});

/** What a `deno` without other permissions prints. */
async function runDeno(args: string[], script: string, env: Record<string, string> = {}): Promise<string> {
  const root = new URL("..", import.meta.url);
  const command = new Deno.Command(Deno.execPath(), {
    args,
    env,
    cwd: root,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(bytesOf(script));
  await writer.close();
  return new TextDecoder().decode((await child.output()).stdout);
}

/** The real engine, which remembers what it was asked for. */
async function watchedEngine(): Promise<{ engine: Argon2Engine; requests: Argon2Request[] }> {
  const { name, derive } = await loadArgon2();
  const requests: Argon2Request[] = [];
  const engine: Argon2Engine = {
    name,
    derive: (secret, request) => {
      requests.push(request);
      return derive(secret, request);
    },
  };
  return { engine, requests };
}

/** The real engine at the lowest cost, which begins to work when the gate opens. */
async function gatedEngine(): Promise<{
  engine: Argon2Engine;
  open: () => void;
  started: string[];
  runningMost: () => number;
}> {
  const { name, derive } = await loadArgon2();
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const started: string[] = [];
  let [running, runningMost] = [0, 0];
  const engine: Argon2Engine = {
    name,
    async derive(secret, request): Promise<Uint8Array> {
      started.push(new TextDecoder().decode(secret));
      runningMost = Math.max(runningMost, ++running);
      await opened;
      const tag = await derive(secret, { ...request, cost: { memoryKib: 8, passes: 1, lanes: 1 } });
      running--;
      return tag;
    },
  };
  return { engine, open, started, runningMost: () => runningMost };
}
