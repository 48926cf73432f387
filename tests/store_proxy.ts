// The way to a store on which things go wrong when a test says so: answers come late or never, or get lost although
// what was asked has happened.

import { freePort } from "./process.ts";

/** Without losses and delays it is as good as the store itself. */
export interface StoreProxy extends AsyncDisposable {
  readonly url: string;
  /** From now on every answer takes so much longer; those under way already do not. */
  delay(ms: number): void;
  /** Loses the first answer to each write from now on. */
  loseAnswers(loss: Loss): void;
  /** Writes since the last `loseAnswers`; one that is sent again counts again. */
  writes(): number;
}

/** Which answers get lost. */
export interface Loss {
  /** A gateway says that it had no answer, and the client sends again; or the answer breaks off. */
  readonly how: "gateway" | "broken_off";
  /** No more than so many. */
  readonly max: number;
}

/** From now on none. */
export const NO_LOSS: Loss = { how: "gateway", max: 0 };

/** Within which the head of an answer and its first bytes have left. */
const HEAD_MS = 20;

/** Starts one in this process. */
export function startStoreProxy(storeUrl: string): StoreProxy {
  const port = freePort();
  const client = Deno.createHttpClient({});
  let delayMs = 0;
  let loss = NO_LOSS;
  let losses = 0;
  let writes = 0;
  /** What was sent; what is sent again is the same to the last byte. */
  const known = new Set<string>();
  const waiting = new Set<() => void>();

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        waiting.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      waiting.add(end);
    });
  }

  function isToBeLost(write: Uint8Array): boolean {
    writes++;
    const text = write.toHex();
    const isKnown = known.has(text);
    known.add(text);
    return !isKnown && ++losses <= loss.max;
  }

  async function forward(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const asked = await request.bytes();
    const isLost = pathname.endsWith("/atomic_write") && isToBeLost(asked);
    const { how } = loss;
    const lateMs = delayMs;
    const response = await fetch(`${storeUrl}${pathname}`, {
      client,
      method: request.method,
      headers: request.headers,
      body: asked,
    });
    const body = await response.bytes();
    if (lateMs > 0) await pause(lateMs);
    if (!isLost) return new Response(body, { status: response.status, headers: response.headers });
    return how === "gateway" ? new Response("No answer", { status: 502 }) : new Response(brokenOff(body));
  }

  const server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, async (request) => {
    try {
      return await forward(request);
    } catch {
      return new Response("No connection", { status: 502 });
    }
  });
  return {
    url: `http://127.0.0.1:${port}`,
    delay(ms) {
      delayMs = ms;
    },
    loseAnswers(next) {
      loss = next;
      losses = 0;
      writes = 0;
      known.clear();
    },
    writes: () => writes,
    async [Symbol.asyncDispose]() {
      for (const end of waiting) end();
      await server.shutdown();
      client.close();
    },
  };
}

/** Ends before its last byte; the first ones are on their way by then. */
function brokenOff(body: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    async start(controller) {
      controller.enqueue(body.subarray(0, -1));
      await new Promise((resolve) => setTimeout(resolve, HEAD_MS));
      controller.error(new Error("Broken off by a test"));
    },
  });
}
