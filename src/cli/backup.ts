// `deno task backup FILE`: a whole copy of the store, also while a server writes to it, proved to open before it gets
// its name.

import type { Config } from "../config.ts";
import { copyStore, provePages } from "../store/backup.ts";
import { createKv } from "../store/kv.ts";
import { connect, isFile } from "../store/open.ts";
import { requireMarker } from "../store/schema.ts";
import { tellOfCopy } from "./copy_event.ts";
import { writeOutput } from "./output_file.ts";
import { readArguments, requireConfig, runProgram, say, ToolFault } from "./tool.ts";

const HELP = `Writes a whole copy of the store to FILE, readable for you alone. Works beside a running server.

  deno task backup FILE [--force]

  --force  replace FILE if it is there; it is replaced only when the copy is complete and proved to open

A copy holds addresses, names and notes as they are, and password hashes: keep it as safe as the store, and SECRET_KEY
apart from it. Without the key no server starts on it, and no code, token or mail can be had from it. Never copy the store
with cp instead: the newest commits stand in another file beside it.`;

if (import.meta.main) {
  if (Deno.args.includes("--help")) say(HELP);
  else await runProgram(backUp);
}

async function backUp(): Promise<void> {
  const { values, positionals: [path] } = readArguments({
    help: HELP,
    options: { force: { type: "boolean" } },
    operandsMax: 1,
  });
  if (!path) throw new ToolFault(`FILE is missing\n\n${HELP}`);
  const config = await requireConfig();
  const storePath = await requireStoreFile(config);

  await writeOutput(path, { isForced: values.force ?? false }, async (draft) => {
    await tellOfCopy(config, "store_backed_up");
    await copyStore(storePath, draft);
    provePages(draft, { name: "The copy" });
    const kv = createKv(await connect(draft), Date.now);
    await requireMarker(kv, { name: `The store ${storePath}` });
    kv.close();
  });
  const { size } = await Deno.stat(path);
  say(`${path} is a whole copy of ${storePath}: ${size.toLocaleString("en")} bytes, proved to open.`);
}

/** The file of the store. Throws a ToolFault that says what to do where there is none. */
async function requireStoreFile({ kvPath }: Pick<Config, "kvPath">): Promise<string> {
  if (kvPath === null) {
    throw new ToolFault(
      "The store is the platform's own, which has no file to copy. `deno task users:export FILE` keeps the accounts",
    );
  }
  if (!isFile(kvPath)) {
    throw new ToolFault(
      `The store is ${kvPath}, which has no file here. Back it up where its server runs, for denokv with ` +
        '`sqlite3 DATABASE ".backup FILE"`; `deno task users:export FILE` keeps the accounts',
    );
  }
  const isThere = await Deno.stat(kvPath).then(({ size }) => size > 0, () => false);
  if (!isThere) throw new ToolFault(`There is no store at ${kvPath}: see KV_PATH`);
  return kvPath;
}
