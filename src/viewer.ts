// The viewer behind /docs: one script file, kept under an ignored folder and served from here, so that the page asks
// no other host. src/cli/viewer.ts fetches it.

/** The one version there is; the file carries it in its name, so that an update is a new file. */
export const VIEWER_VERSION = "1.72.1";

const file = new URL(`../.viewer/scalar-${VIEWER_VERSION}.js.gz`, import.meta.url);

/** The script, gzipped, or null when nobody has fetched it. Read for each request, since browsers keep it. */
export async function readViewer(): Promise<Uint8Array<ArrayBuffer> | null> {
  return await orNull(Deno.readFile(file));
}

export async function hasViewer(): Promise<boolean> {
  return await orNull(Deno.stat(file)) !== null;
}

/** Keeps the script; a reader sees the whole of it or nothing. `scratchFolder` is on the same disk. */
export async function writeViewer(script: Uint8Array<ArrayBuffer>, scratchFolder: string): Promise<void> {
  const scratchFile = `${scratchFolder}/viewer.js.gz`;
  await Deno.writeFile(scratchFile, new Blob([script]).stream().pipeThrough(new CompressionStream("gzip")));
  await Deno.rename(scratchFile, file);
}

async function orNull<Value>(read: Promise<Value>): Promise<Value | null> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
