// What stands between a client and a started server: counts what passes, and can answer in the server's place.

/** Answers instead of the server, or calls `pass` and answers what that answers. */
export type Intercept = (request: Request, pass: () => Promise<Response>) => Promise<Response> | Response;

export interface Gateway extends AsyncDisposable {
  readonly url: string;
  /** How many requests came for a method and path: `POST /api/v1/auth/login`. */
  count(operation: string): number;
  /** From now on, for this operation. */
  intercept(operation: string, answer: Intercept): void;
  /** No longer. */
  release(operation: string): void;
}

/** A gateway to the server at `url`, on a port of its own. */
export function openGateway(url: string): Gateway {
  const seen: string[] = [];
  const intercepts = new Map<string, Intercept>();
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    const operation = `${request.method} ${pathname}`;
    seen.push(operation);
    const body = request.body === null ? {} : { body: await request.arrayBuffer() };
    const pass = (): Promise<Response> =>
      fetch(`${url}${pathname}${search}`, {
        client,
        method: request.method,
        headers: request.headers,
        ...body,
      });
    const intercept = intercepts.get(operation);
    return await (intercept ? intercept(request, pass) : pass());
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    count: (operation) => seen.filter((one) => one === operation).length,
    intercept: (operation, answer) => void intercepts.set(operation, answer),
    release: (operation) => void intercepts.delete(operation),
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      client.close();
    },
  };
}
