// What this machine does at most, measured in the same run as the server, because machines differ: a share of the limit
// says more than a rate.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createHasher } from "../../src/hasher.ts";
import { PASSWORD } from "../harness.ts";
import { eventually, spawnProgram } from "../process.ts";
import type { BareServerAddress } from "./bare_server.ts";
import { connect, encodeRequest } from "./connection.ts";
import type { Lane } from "./measure.ts";
import { treeOf } from "./process_tree.ts";

/** Of each limit, what does it. */
export const LIMITS = {
  hono: "bare Hono",
  ed25519: "bare Hono, Ed25519 verified",
  argon2id: "bare argon2id verify",
  kvGet: "bare KV get",
  kvCommit: "bare KV commit",
} as const;

export type LimitName = keyof typeof LIMITS;

/** What can be measured of it. */
export interface MachineWork {
  readonly limit: LimitName;
  readonly tree: readonly number[];
  readonly openLane: (number: number) => Promise<Lane>;
}

export interface Machine extends AsyncDisposable {
  readonly works: readonly MachineWork[];
}

/** Starts the bare server and opens a store of its own. */
export async function startMachine(): Promise<Machine> {
  await using stack = new AsyncDisposableStack();
  const script = fileURLToPath(new URL("bare_server.ts", import.meta.url));
  const server = spawnProgram([Deno.execPath(), "run", "--quiet", "--frozen", "--allow-all", script]);
  stack.defer(() => server.kill());
  const line = await eventually(
    () => `the bare server listens:\n${server.stderr()}`,
    () => server.stdout() || null,
  );
  const { port, token }: BareServerAddress = JSON.parse(line);
  const serverTree = await treeOf(server.pid);

  const folder = await Deno.makeTempDir({ prefix: "latchkey_bench_" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const kv = stack.adopt(await Deno.openKv(`${folder}/bare.kv`), (kv) => kv.close());
  await kv.set(["read"], { some: "value" });
  const hasher = await createHasher();
  const passwordHash = await hasher.hash(PASSWORD);

  const here = [Deno.pid];
  const started = stack.move();
  return {
    works: [
      { limit: "hono", tree: serverTree, openLane: () => openRoute(port, { path: "/answer" }) },
      { limit: "ed25519", tree: serverTree, openLane: () => openRoute(port, { path: "/token", token }) },
      {
        limit: "argon2id",
        tree: here,
        openLane: () => openWork(() => hasher.verify(PASSWORD, passwordHash)),
      },
      { limit: "kvGet", tree: here, openLane: () => openWork(() => kv.get(["read"])) },
      {
        limit: "kvCommit",
        tree: here,
        // Two records, as an exchange of a refresh token writes.
        openLane: (lane) =>
          openWork((turn) => kv.atomic().set(["one", lane], turn).set(["two", lane, turn], turn).commit()),
      },
    ],
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

async function openRoute(
  port: number,
  { path, token }: { readonly path: string; readonly token?: string },
): Promise<Lane> {
  const connection = await connect(port);
  const request = encodeRequest({ method: "get", path, ...(token === undefined ? {} : { token }) });
  return {
    async ask() {
      assert.equal((await connection.ask(request)).status, 200);
    },
    [Symbol.dispose]: () => connection[Symbol.dispose](),
  };
}

function openWork(work: (turn: number) => Promise<unknown>): Promise<Lane> {
  let turn = 0;
  return Promise.resolve({ ask: () => work(turn++), [Symbol.dispose]: () => {} });
}
