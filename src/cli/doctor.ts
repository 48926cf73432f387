// `deno task doctor`: looks at everything that an installation stands on, and says of each thing that it is well, or
// what to do. Changes nothing but a probe record of the store.

import { email as emailField } from "../../openapi/fields.ts";
import { type Config, readConfig } from "../config.ts";
import { examineAddress, examineProxy } from "../doctor/address.ts";
import { examineFiles } from "../doctor/files.ts";
import { type Finding, toFix, well } from "../doctor/finding.ts";
import { examineHasher } from "../doctor/hashing.ts";
import { examineMail } from "../doctor/mail.ts";
import { examineDotEnv, examineSettings } from "../doctor/settings.ts";
import { examineClock, examineKeys, examineStore } from "../doctor/store.ts";
import { readDotEnv } from "../dot_env.ts";
import { readEnvironment } from "../environment.ts";
import { readSecretKey } from "../secret_key.ts";
import { createSecrets } from "../secrets.ts";
import { createKv, type Kv } from "../store/kv.ts";
import { isFile, isOverNetwork, openDatabase } from "../store/open.ts";
import { readArguments, runProgram, say, ToolFault } from "./tool.ts";

const HELP = `Looks whether everything is well. Works beside a running server.

  deno task doctor [--send-test-mail you@example.org]

  --send-test-mail  send one mail to this address, through the server of SMTP_URL

Each line begins with \`ok\`, or with \`FIX\` and says what to do. The exit status is 0 when all is well, else 1.`;

if (import.meta.main) {
  if (Deno.args.includes("--help")) say(HELP);
  else await runProgram(examineAll);
}

async function examineAll(): Promise<void> {
  const testAddress = readTestAddress();
  let faults = 0;
  /** Whatever goes wrong while looking is one more thing to fix. */
  const report = async (topic: string, examine: () => Finding[] | Promise<Finding[]>): Promise<void> => {
    const findings = await orFinding(topic, examine);
    faults += findings.filter(({ isWell }) => !isWell).length;
    for (const { isWell, topic, text } of findings) say(`${isWell ? "ok " : "FIX"}  ${topic}: ${text}`);
  };

  const dotEnv = await readDotEnv();
  const result = readConfig(await readEnvironment());
  if ("faults" in result) {
    const findings = result.faults.map((fault) => toFix("settings", fault));
    await report("settings", () => [...findings, ...examineDotEnv(dotEnv)]);
    throw new ToolFault(
      "The rest can only be looked at once the settings are read: fix these, then ask again.",
    );
  }
  const { config } = result;
  await report("settings", () => examineSettings(config, dotEnv));
  await report("files", () => examineFiles(config.kvPath));
  const { kv, finding } = await openStore(config);
  await report("store", () => kv ? examineOpenStore(config, kv) : [finding]);
  await report("hasher", async () => [await examineHasher()]);
  await report("mail", () => examineMail(config, { testAddress }));
  await report("address", () => examineAddress(config, kv));
  await report("proxy", async () => [await examineProxy(config, kv)]);
  kv?.close();

  if (faults > 0) throw new ToolFault(`${faults} ${faults === 1 ? "thing" : "things"} to fix.`);
  say("All is well.");
}

async function examineOpenStore(config: Config, kv: Kv): Promise<Finding[]> {
  const secrets = createSecrets(await readSecretKey(config));
  return [...await examineStore(kv, config), ...await examineKeys(kv, secrets), await examineClock(kv)];
}

/** The store when it is there and opens; otherwise what to say of it. */
async function openStore(
  config: Config,
): Promise<{ readonly kv: Kv; readonly finding?: never } | { readonly kv: null; readonly finding: Finding }> {
  if (!await isStoreThere(config)) {
    return { kv: null, finding: well("store", "none yet: the first start of a server makes it") };
  }
  try {
    return {
      kv: createKv(await openDatabase(config.kvPath), Date.now, {
        isOverNetwork: isOverNetwork(config.kvPath),
      }),
    };
  } catch (error) {
    return { kv: null, finding: toFix("store", messageOf(error)) };
  }
}

async function isStoreThere({ kvPath }: Config): Promise<boolean> {
  if (!isFile(kvPath)) return true;
  const isMarked = await sizeOf(`${kvPath}.lock`) > 0;
  // One that was there and is gone must not pass for a new one: opening it says so.
  return isMarked || await sizeOf(kvPath) > 0;
}

async function sizeOf(path: string): Promise<number> {
  return await Deno.stat(path).then(({ size }) => size, () => 0);
}

async function orFinding(
  topic: string,
  examine: () => Finding[] | Promise<Finding[]>,
): Promise<Finding[]> {
  try {
    return await examine();
  } catch (error) {
    return [toFix(topic, messageOf(error))];
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function readTestAddress(): string | null {
  const { values } = readArguments({ help: HELP, options: { "send-test-mail": { type: "string" } } });
  const given = values["send-test-mail"];
  if (given === undefined) return null;
  const address = emailField.safeParse(given);
  if (!address.success) throw new ToolFault("--send-test-mail needs an email address");
  return address.data;
}
