// A TCP connection to the server on which a test can say what no HTTP client would, and the answers read from it.

/** One answer of HTTP/1. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

export interface RawConnection extends Disposable {
  /** Sends what the server takes; nothing more once it has hung up. */
  send(bytes: string | Uint8Array): Promise<void>;
  /** Says that nothing more will be sent. */
  endSending(): void;
  /** The next answer but for 1xx ones; null when the connection ends first. Fails when neither comes. */
  readAnswer(): Promise<RawAnswer | null>;
  /** What is there next, as it came; null at the end of the connection. */
  readBytes(): Promise<Uint8Array | null>;
}

const WAIT_LIMIT_MS = 20_000;

/** A connection of its own to a port of loopback. */
export async function connectRaw(port: number): Promise<RawConnection> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const buffer = new Uint8Array(64 * 1024);
  let text = "";

  /** Null at the end, however it comes: a server that refuses does not read on, and what it left unread resets. */
  const readBytes = async (): Promise<Uint8Array | null> => {
    const length = await inTime(connection.read(buffer)).catch((error) => {
      if (error instanceof Deno.errors.ConnectionReset) return null;
      throw error;
    });
    return length === null ? null : buffer.slice(0, length);
  };
  /** Takes the text up to `end()`, which is asked again whenever there is more. */
  const take = async (end: () => number): Promise<string | null> => {
    while (true) {
      if (text.length >= end()) {
        const found = text.slice(0, end());
        text = text.slice(found.length);
        return found;
      }
      const bytes = await readBytes();
      if (bytes === null) return null;
      text += LATIN_1.decode(bytes);
    }
  };
  const readAnswer = async (): Promise<RawAnswer | null> => {
    const head = await take(() =>
      text.includes(HEAD_END) ? text.indexOf(HEAD_END) + HEAD_END.length : Infinity
    );
    if (head === null) return null;
    const [statusLine = "", ...lines] = head.trim().split("\r\n");
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1]);
    if (status < 200) return await readAnswer();
    const headers = new Headers(lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }));
    const length = Number(headers.get("content-length") ?? 0);
    return { status, headers, body: await take(() => length) ?? "" };
  };

  return {
    readAnswer,
    readBytes,
    async send(bytes) {
      let rest = typeof bytes === "string" ? Uint8Array.from(bytes, byteOf) : bytes;
      try {
        while (rest.length > 0) rest = rest.subarray(await inTime(connection.write(rest)));
      } catch (error) {
        if (!isHangUp(error)) throw error;
      }
    },
    endSending: () => void connection.closeWrite().catch(() => {}),
    [Symbol.dispose]: () => connection.close(),
  };
}

const HEAD_END = "\r\n\r\n";
const LATIN_1 = new TextDecoder("latin1");

/** A character is a byte, so that tests can send those that no encoding has. */
function byteOf(character: string): number {
  return character.charCodeAt(0);
}

function isHangUp(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset;
}

async function inTime<Result>(work: Promise<Result>): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer within ${WAIT_LIMIT_MS} ms`)), WAIT_LIMIT_MS);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
