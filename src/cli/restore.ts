// `deno task restore FILE`: puts a backup where the store is, once it is proved to be one of ours that this SECRET_KEY
// opens. No server may run. The store that was there is kept beside it.

import { resolve } from "node:path";
import { openKeyring, WrongSecretKey } from "../keyring.ts";
import { findSecretKey } from "../secret_key.ts";
import { createSecrets, type Secrets } from "../secrets.ts";
import { insertAuditEvent } from "../store/audit.ts";
import { provePages, removeStore, swapStore } from "../store/backup.ts";
import { OPERATOR } from "../store/client.ts";
import { createKv, type Kv } from "../store/kv.ts";
import { connect, isFile, lockStore, makeFolder } from "../store/open.ts";
import { migrateStore, requireMarker } from "../store/schema.ts";
import { removeAllSessions } from "../store/sessions.ts";
import { rfc3339 } from "../user_view.ts";
import { requireName } from "./output_file.ts";
import { readArguments, requireConfig, runProgram, say, ToolFault } from "./tool.ts";

const HELP = `Puts the backup FILE where the store is. Stop the server first.

  deno task restore FILE [--end-sessions]

  --end-sessions  everybody has to sign in again. Without it the sessions of the backup live again, also those that
                  were ended since it was made

Nothing happens unless FILE is a whole store of Latchkey, not of a newer version, made under this SECRET_KEY. The store
that was there is kept beside it, under its name and \`.before-restore-\` with the time; remove it when all is well.`;

/** Nobody ever set the key of a development server. */
const KEPT_KEY = "A development server keeps it beside its store: " +
  "export SECRET_KEY=$(cat data/latchkey.kv.secret)";

if (import.meta.main) {
  if (Deno.args.includes("--help")) say(HELP);
  else await runProgram(restore);
}

async function restore(): Promise<void> {
  const { values, positionals: [path] } = readArguments({
    help: HELP,
    options: { "end-sessions": { type: "boolean" } },
    operandsMax: 1,
  });
  if (!path) throw new ToolFault(`FILE is missing\n\n${HELP}`);
  requireName(path);
  const config = await requireConfig();
  const { kvPath } = config;
  if (!isFile(kvPath)) {
    throw new ToolFault("Only a store in a file of this machine can be restored: see KV_PATH");
  }
  if (resolve(path) === resolve(kvPath)) throw new ToolFault(`${path} is the store itself`);

  const secretKey = await findSecretKey(config);
  // One that is made here would not be the one of FILE.
  if (secretKey === null) {
    throw new ToolFault(`SECRET_KEY is missing: set the one that ${path} was made under. ${KEPT_KEY}`);
  }
  await makeFolder(kvPath);
  const lock = await lockStore(kvPath);
  if (!lock) throw new ToolFault(`A Latchkey server runs on the store ${kvPath}: stop it first`);
  const draft = `${kvPath}.restoring`;
  try {
    await copyWithLog(path, draft);
    provePages(draft, { name: path });
    const kv = createKv(await connect(draft), Date.now);
    await requireMarker(kv, { name: path });
    await migrateStore(kv, { name: path });
    const secrets = createSecrets(secretKey);
    await requireOpenKeys(kv, secrets, { path });
    const deps = { kv, secrets, config };
    await insertAuditEvent(deps, { type: "store_restored", actor: OPERATOR, userId: null });
    const endedCount = values["end-sessions"] ? await removeAllSessions(deps) : null;
    kv.close();
    const keptPath = `${kvPath}.before-restore-${rfc3339(Date.now()).replaceAll(/[:.]/g, "-")}`;
    const isKept = await swapStore(kvPath, { draft, keptPath });
    say(`${kvPath} is the store of ${path} now.`);
    if (endedCount !== null) say(`Its sessions (${endedCount}) have ended: everybody has to sign in again.`);
    if (isKept) say(`The store that was there is kept as ${keptPath}: remove it when all is well.`);
  } finally {
    await removeStore(draft);
    lock.close();
  }
}

/** A store that was in use when it was laid aside has its newest commits in the log. */
async function copyWithLog(path: string, draft: string): Promise<void> {
  await removeStore(draft);
  if (!await copyIfThere(path, draft)) throw new ToolFault(`There is no file ${path}`);
  await copyIfThere(`${path}-wal`, `${draft}-wal`);
}

/** False when it is not there. The copy is for this user only, and on the disk. */
async function copyIfThere(from: string, to: string): Promise<boolean> {
  try {
    await Deno.copyFile(from, to);
    await Deno.chmod(to, 0o600);
    using copy = await Deno.open(to, { write: true });
    await copy.sync();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw new ToolFault(`${from} cannot be copied: ${error instanceof Error ? error.message : error}`);
  }
}

async function requireOpenKeys(
  kv: Kv,
  secrets: Secrets,
  { path }: { readonly path: string },
): Promise<void> {
  try {
    await openKeyring(kv, secrets);
  } catch (error) {
    if (!(error instanceof WrongSecretKey)) throw error;
    throw new ToolFault(`${path} was made under another SECRET_KEY: set that one, then restore. ${KEPT_KEY}`);
  }
}
