// A stage for one answer: the scene of operations.ts behind a real socket, over a store that can fail, on a server whose
// parts can be replaced.

import type { App } from "../src/app_env.ts";
import { createApp } from "../src/app.ts";
import type { Deps } from "../src/deps.ts";
import type { Answer, Operation } from "./document_judge.ts";
import { createFaultyKv, type FaultyKv } from "./faulty_kv.ts";
import { type CallInput, initOf, pathOf, UNLIMITED } from "./harness.ts";
import { type Scene, setScene } from "./operations.ts";

/** What a request brings, whichever operation it goes to. */
export interface Ask extends Omit<CallInput, "ip"> {
  /** Sent as it is, in place of what `json` comes to. */
  readonly body?: BodyInit;
}

export interface Stage extends Scene, AsyncDisposable {
  readonly fault: FaultyKv;
  /** From now on requests go to an instance over the same store that differs in these parts. */
  replace(parts: Partial<Deps>): void;
  /** One request through the socket. */
  send(operation: Pick<Operation, "method" | "path">, ask?: Ask): Promise<Answer>;
}

/** Requests that every limit has room for: enough for any row, and soon used up by one that wants to. */
export const ROOM = 30;

export const METRICS_TOKEN = "3f9c1e7a5b2d8460";

/** Nothing is off, so that every answer has the headers that it owes; each limit has room for `room` a day. */
export function settingsFor(room: number): Readonly<Record<string, string>> {
  const limits = Object.keys(UNLIMITED).map((name) => [name, `${room}/1d`]);
  return { ...Object.fromEntries(limits), METRICS_TOKEN };
}

/** A stage on which each limit has room for `room` requests a day. */
export async function openStage({ room = ROOM }: { readonly room?: number } = {}): Promise<Stage> {
  const fault = createFaultyKv();
  const scene = await setScene({ env: settingsFor(room), wrapKv: fault.wrap });
  const { server } = scene;
  let app: App = server.app;
  const listener = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request, info) => app.fetch(request, info),
  );
  const client = Deno.createHttpClient({});
  const origin = `http://127.0.0.1:${listener.addr.port}`;

  return {
    ...scene,
    fault,
    replace(parts) {
      app = createApp({ ...server.deps, ...parts });
    },
    async send(operation, { body, ...ask } = {}) {
      const response = await fetch(`${origin}${pathOf(operation, ask)}`, {
        client,
        ...initOf(operation, ask),
        ...body === undefined ? {} : { body },
      });
      const { status, headers } = response;
      return { method: operation.method, status, headers, text: await response.text() };
    },
    async [Symbol.asyncDispose]() {
      await listener.shutdown();
      client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}
