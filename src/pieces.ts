// An answer that can be larger than what memory should hold: made piece by piece, as fast as its client reads it.

/** The body of an answer, and its end. */
export interface PieceBody {
  /** Whole, where it is small. */
  readonly body: string | ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Resolves once nothing more is made: all of it was read, it broke off, or nobody reads it. Never rejects. */
  readonly isOver: Promise<void>;
}

/** Made before the answer begins: until then what fails is still an error answer, and the length is known. */
const AHEAD_LENGTH = 2 ** 20;
/** A client that does not take so much for so long has gone: the slowest telephone takes more. */
const CHUNK_BYTES = 64 * 1024;
const STALL_MS = 30_000;

/**
 * Makes the first million characters or so, and rejects with what fails there. What fails later is reported, and breaks
 * the connection off, so that nobody takes a part for the whole.
 */
export async function openPieces(
  pieces: AsyncGenerator<string, void>,
  { report, stallMs = STALL_MS }: { readonly report: (error: unknown) => void; readonly stallMs?: number },
): Promise<PieceBody> {
  let ahead = "";
  while (ahead.length < AHEAD_LENGTH) {
    const { done, value } = await pieces.next();
    if (done) return { body: ahead, isOver: Promise.resolve() };
    ahead += value;
  }
  return streamOf(ahead, pieces, { report, stallMs });
}

function streamOf(
  ahead: string,
  pieces: AsyncGenerator<string, void>,
  { report, stallMs }: { readonly report: (error: unknown) => void; readonly stallMs: number },
): PieceBody {
  const encoder = new TextEncoder();
  const over = Promise.withResolvers<void>();
  let rest = encoder.encode(ahead);
  let isEnded = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function takeNext(): Promise<Uint8Array<ArrayBuffer> | null> {
    while (rest.length === 0) {
      const { done, value } = await pieces.next();
      if (done) return null;
      rest = encoder.encode(value);
    }
    const next = rest.subarray(0, CHUNK_BYTES);
    rest = rest.subarray(CHUNK_BYTES);
    return next;
  }
  async function end(): Promise<void> {
    isEnded = true;
    clearTimeout(timer);
    await pieces.return().catch(report);
    over.resolve();
  }
  async function breakOff(controller: ReadableStreamDefaultController, error: unknown): Promise<void> {
    report(error);
    controller.error(error);
    await end();
  }
  function watch(controller: ReadableStreamDefaultController): void {
    timer = setTimeout(() => breakOff(controller, new Error("The client reads no further")), stallMs);
  }

  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: watch,
    async pull(controller) {
      clearTimeout(timer);
      try {
        const bytes = await takeNext();
        // The client has hung up meanwhile.
        if (isEnded) return;
        if (bytes === null) {
          controller.close();
          return await end();
        }
        // Before: whoever is handed the bytes can cancel while this call lasts.
        watch(controller);
        controller.enqueue(bytes);
      } catch (error) {
        await breakOff(controller, error);
      }
    },
    cancel: end,
  }, { highWaterMark: 0 });
  return { body, isOver: over.promise };
}
