// `deno task viewer`: fetches the viewer behind /docs, unless it is here already. It is one file of a pinned npm
// tarball, taken out without the 300 packages that the tarball would like to bring along. Without it the server
// starts all the same, so this never fails.

import { fileURLToPath } from "node:url";
import { hasViewer, VIEWER_VERSION, writeViewer } from "../viewer.ts";

/** Of the tarball of VIEWER_VERSION, as its registry states it (Subresource Integrity). */
const TARBALL_SHA512 =
  "XpEJ0rfc/cXbCrR+iC4kK0o/WwX2dTtGQbT049OlPKAHD6IMIFdTeGz2r+M27P2EDWKyUITRm/NzlP8z2pw/Ow==";
const SCRIPT_PATH = "package/dist/browser/standalone.js";
const FOLDER = fileURLToPath(new URL("../../.viewer/", import.meta.url));
const FETCH_TIMEOUT_MS = 60_000;
const TAR_BLOCK_BYTES = 512;

if (import.meta.main) await ensureViewer();

/** Fetches the viewer unless it is here. Says in a line what came of it; never throws. */
export async function ensureViewer(): Promise<void> {
  if (await hasViewer()) return;
  const line = await fetchViewer().then(
    () => "The viewer of /docs is here.",
    (error: Error) => `/docs has no viewer yet (${error.message}). Run \`deno task viewer\` again later.`,
  );
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** Throws an Error that says in a few words what is in the way. */
async function fetchViewer(): Promise<void> {
  await Deno.mkdir(FOLDER, { recursive: true });
  const scratchFolder = await Deno.makeTempDir({ dir: FOLDER });
  try {
    const tarball = await fetchTarball(scratchFolder);
    await checkIntegrity(tarball);
    await writeViewer(await extractFile(tarball, SCRIPT_PATH), scratchFolder);
  } finally {
    await Deno.remove(scratchFolder, { recursive: true });
  }
}

/** By the ordinary client, so that whatever registry, proxy or cache this machine is set up with is used. */
async function fetchTarball(folder: string): Promise<Uint8Array<ArrayBuffer>> {
  const npm = ["run", "--allow-all", "--quiet", "--no-config", "--no-lock", "npm:npm@11"];
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [...npm, "pack", `@scalar/api-reference@${VIEWER_VERSION}`, "--silent", "--fetch-retries=0"],
    cwd: folder,
    stdout: "null",
    stderr: "null",
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  }).output();
  if (!success) throw new Error("npm could not fetch it");
  return await Deno.readFile(`${folder}/scalar-api-reference-${VIEWER_VERSION}.tgz`);
}

async function checkIntegrity(tarball: Uint8Array<ArrayBuffer>): Promise<void> {
  const sha512 = new Uint8Array(await crypto.subtle.digest("SHA-512", tarball)).toBase64();
  if (sha512 !== TARBALL_SHA512) throw new Error("the fetched package is not the one that was pinned");
}

/** One file out of a gzipped tar archive (POSIX ustar; the path is short enough for its name field). */
async function extractFile(tarball: Uint8Array<ArrayBuffer>, path: string): Promise<Uint8Array<ArrayBuffer>> {
  const gunzipped = new Blob([tarball]).stream().pipeThrough(new DecompressionStream("gzip"));
  const archive = new Uint8Array(await new Response(gunzipped).arrayBuffer());
  const textAt = (start: number, length: number) =>
    new TextDecoder().decode(archive.subarray(start, start + length)).replace(/\0.*$/s, "");
  let header = 0;
  while (header < archive.length) {
    const sizeBytes = Number.parseInt(textAt(header + 124, 12), 8) || 0;
    const content = header + TAR_BLOCK_BYTES;
    if (textAt(header, 100) === path) return archive.slice(content, content + sizeBytes);
    header = content + Math.ceil(sizeBytes / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
  }
  throw new Error(`the package holds no ${path}`);
}
