// The files of a local store: whom they are readable for, and whether the disk has room. A full disk ends the process
// in the middle of its work (a fault of Deno KV), so it is worth a warning long before.

import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { isFile } from "../store/open.ts";
import { type Finding, toFix, well } from "./finding.ts";

const SPACE_BYTES_MIN = 512 * 1024 * 1024;
const FOR_OTHERS = 0o077;

/** Of a store that is no file of this machine, only `.env`. */
export async function examineFiles(kvPath: string | null): Promise<Finding[]> {
  const isLocal = isFile(kvPath);
  const suffixes = ["", "-wal", "-shm", ".lock", ".secret"];
  const paths = isLocal ? [dirname(kvPath), ...suffixes.map((suffix) => kvPath + suffix)] : [];
  const open = (await Promise.all([...paths, ".env"].map(findFault))).filter((fault) => fault !== null);
  const modes = open.length > 0 ? open : [well("files", "for this user only")];
  const hasFolder = isLocal && await statIfThere(dirname(kvPath)) !== null;
  return hasFolder ? [...modes, await examineSpace(kvPath)] : modes;
}

async function findFault(path: string): Promise<Finding | null> {
  const file = await statIfThere(path);
  // No modes on Windows.
  if (!file || file.mode === null || (file.mode & FOR_OTHERS) === 0) return null;
  const mode = (file.mode & 0o777).toString(8);
  const command = `chmod ${file.isDirectory ? 700 : 600} ${path}`;
  return toFix("files", `${path} has mode ${mode}, open to other users of this machine: \`${command}\``);
}

async function examineSpace(kvPath: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(dirname(kvPath));
  const freeBytes = bavail * bsize;
  const storeBytes = (await statIfThere(kvPath))?.size ?? 0;
  const free = `${Math.round(freeBytes / 1024 / 1024).toLocaleString("en")} MiB free`;
  if (freeBytes >= SPACE_BYTES_MIN + storeBytes) return well("disk", `${free} beside the store`);
  return toFix("disk", `${free} beside the store: make room, a full disk stops the server`);
}

async function statIfThere(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
