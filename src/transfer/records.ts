// The records of a file, one after the other, each with the place where it stands: JSON Lines as a stream, whatever
// their number, or one JSON array, which is read whole.

/** One record, or why it cannot be read. */
export interface FileRecord {
  /** `Line 12`, or of an array `Entry 12`. */
  readonly place: string;
  /** How much of the file has been read, from 0 to 1. */
  readonly share: number;
  readonly value?: unknown;
  readonly fault?: string;
}

/** The largest array that is read; JSON Lines may be of any size. */
export const ARRAY_BYTES_MAX = 256 * 1024 * 1024;
const LINE_LENGTH_MAX = 1024 * 1024;
/** What a decoder writes for bytes that are not UTF-8. */
const NOT_UTF8 = "\uFFFD";

/** Whether the file is one JSON array. */
export async function isArrayFile(path: string): Promise<boolean> {
  for await (const { text } of readLines(path)) {
    if (text === null) return true;
    if (text.trim() !== "") return text.trimStart().startsWith("[");
  }
  return false;
}

/** Reads a file of JSON Lines; blank lines are none. */
export async function* readLineRecords(path: string): AsyncGenerator<FileRecord> {
  const { size } = await Deno.stat(path);
  let number = 0;
  for await (const { text, readBytes } of readLines(path)) {
    number++;
    if (text?.trim() === "") continue;
    yield { place: `Line ${number}`, share: readBytes / size, ...parse(text) };
  }
}

/** Reads a file that is one JSON array. */
export async function* readArrayRecords(path: string): AsyncGenerator<FileRecord> {
  const { value, fault } = parse(new TextDecoder().decode(await Deno.readFile(path)));
  if (!Array.isArray(value)) {
    yield { place: "The file", share: 1, fault: fault ?? "Is no array" };
    return;
  }
  for (const [index, entry] of value.entries()) {
    yield { place: `Entry ${index + 1}`, share: (index + 1) / value.length, value: entry };
  }
}

/** V8's own message is left out: it quotes the text, and that holds password hashes. */
function parse(text: string | null): Pick<FileRecord, "value" | "fault"> {
  if (text === null) return { fault: `Is longer than ${LINE_LENGTH_MAX.toLocaleString("en")} characters` };
  if (text.includes(NOT_UTF8)) return { fault: "Holds bytes that are not UTF-8" };
  try {
    return { value: JSON.parse(text) };
  } catch {
    return { fault: "Is no valid JSON" };
  }
}

/** `text` is null for a line that is too long. */
async function* readLines(
  path: string,
): AsyncGenerator<{ readonly text: string | null; readonly readBytes: number }> {
  using file = await Deno.open(path);
  const decoder = new TextDecoder();
  let [rest, isTooLong, readBytes] = ["", false, 0];
  for await (const chunk of file.readable) {
    readBytes += chunk.length;
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) {
      yield { text: isTooLong ? null : text, readBytes };
      isTooLong = false;
    }
    if (rest.length > LINE_LENGTH_MAX) [rest, isTooLong] = ["", true];
  }
  rest += decoder.decode();
  if (rest !== "" || isTooLong) yield { text: isTooLong ? null : rest, readBytes };
}
