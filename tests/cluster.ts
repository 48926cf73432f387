// Several servers over one store, as an operator runs them: processes of their own that share a KV Connect server, a
// mail server, SECRET_KEY and PUBLIC_URL, and nothing else. Requests go to one of them by its number, from 0.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import { register, verifyOtp } from "../openapi/registration.ts";
import { type Answer, type CallInput, PASSWORD, UNLIMITED } from "./harness.ts";
import { createSite, eventually, type Program, type Settings, type Site } from "./process.ts";
import { type SmtpReceiver, startReceiver } from "./smtp_receiver.ts";
import { startStoreProxy, type StoreProxy } from "./store_proxy.ts";
import { startStoreServer, type StoreServer, storeSettings } from "./store_server.ts";

/** Good enough for production. */
export const SECRET_KEY = "7Vb2xk0Qm9ZtRrY4sWcL1pHdJ8gNfEuA";

/** Stopped, with its store, when it is disposed of. */
export interface Cluster extends AsyncDisposable {
  readonly store: StoreServer;
  readonly receiver: SmtpReceiver;
  readonly sites: readonly Site[];
  /** What every server is started with. */
  readonly settings: Settings;
  /** By the number of their site; a server that was killed stays here until it is started again. */
  readonly servers: Program[];
  call(number: number, route: RouteConfig, input?: ClusterInput): Promise<Answer>;
  /** The same request to every server at once, `times` over. */
  callAll(route: RouteConfig, input?: ClusterInput, times?: number): Promise<Answer[]>;
  /** Starts the server of a site again. */
  restart(number: number): Promise<void>;
}

/** What a test says of one request. */
export type ClusterInput = Omit<CallInput, "query" | "ip">;

/** A person who is signed in. */
export interface Member {
  readonly id: string;
  readonly email: string;
  readonly accessToken: string;
  readonly refreshToken: string;
}

/** Starts `size` servers at once on an empty store. */
export async function startCluster(settings: Settings = UNLIMITED, { size = 3 } = {}): Promise<Cluster> {
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await startStoreServer());
  return await startServers(stack.move(), { store, storeUrl: store.url, size, settings });
}

/** Starts one server, with things to go wrong on its way to an empty store. */
export async function startProxiedServer(
  settings: Settings = UNLIMITED,
): Promise<Cluster & { readonly proxy: StoreProxy }> {
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await startStoreServer());
  const proxy = stack.use(startStoreProxy(store.url));
  const cluster = await startServers(stack.move(), { store, storeUrl: proxy.url, size: 1, settings });
  return { ...cluster, proxy };
}

/** Whatever is in `stack` ends with the servers. */
async function startServers(
  started: AsyncDisposableStack,
  { store, storeUrl, size, settings }: {
    readonly store: StoreServer;
    readonly storeUrl: string;
    readonly size: number;
    readonly settings: Settings;
  },
): Promise<Cluster> {
  await using stack = started;
  const receiver = stack.use(await startReceiver({ tls: "none" }));
  const sites = await Promise.all(Array.from({ length: size }, () => createSite()));
  for (const site of sites) stack.use(site);
  const shared: Settings = {
    SECRET_KEY,
    PUBLIC_URL: "http://localhost:8000",
    SMTP_URL: `smtp://localhost:${receiver.port}?tls=off`,
    ...storeSettings(storeUrl),
    ...settings,
  };
  const servers = await Promise.all(sites.map((site) => site.startServer(shared)));

  const call: Cluster["call"] = (number, route, input) => {
    const site = sites[number % size];
    assert(site);
    return site.call(route, input);
  };
  const running = stack.move();
  return {
    store,
    receiver,
    sites,
    settings: shared,
    servers,
    call,
    callAll: (route, input, times = 1) =>
      Promise.all(Array.from({ length: size * times }, (_, number) => call(number, route, input))),
    async restart(number) {
      const site = sites[number];
      assert(site);
      servers[number] = await site.startServer(shared);
    },
    async [Symbol.asyncDispose]() {
      // A mail that is being sent arrives first: the receiver does not close well on one that is cut off.
      await Promise.all(servers.map((server) => server.stop()));
      await running.disposeAsync();
    },
  };
}

/** Registers at one server, confirms at the next; signed in at that one. */
export async function join(cluster: Cluster, email: string, { at = 0 } = {}): Promise<Member> {
  const challengeId = await startRegistration(cluster, email, { at });
  const code = await codeFor(cluster, email);
  const answer = await cluster.call(at + 1, verifyOtp, { json: { challenge_id: challengeId, code } });
  assert.equal(answer.status, 201, answer.text);
  const { user, access_token, refresh_token } = answer.body;
  return { id: user.id, email, accessToken: access_token, refreshToken: refresh_token };
}

/** The challenge id of a registration. */
export async function startRegistration(cluster: Cluster, email: string, { at = 0 } = {}): Promise<string> {
  const answer = await cluster.call(at, register, { json: { email, password: PASSWORD } });
  assert.equal(answer.status, 202, answer.text);
  return answer.body.challenge_id;
}

/** The code in the newest mail to this address, once `mails` of them have arrived. */
export function codeFor(
  { receiver }: Cluster,
  email: string,
  { mails = 1, limitMs }: { readonly mails?: number; readonly limitMs?: number } = {},
): Promise<string> {
  return eventually(`mail ${mails} to ${email} arrives`, () => {
    const received = receiver.received.filter(({ recipients }) => recipients.includes(email));
    const code = /(?<!\d)\d{6}(?!\d)/.exec(received.at(-1)?.headers.get("subject") ?? "")?.[0];
    return received.length >= mails && code;
  }, limitMs === undefined ? {} : { limitMs });
}

/** How often each status was answered. */
export function tally(answers: readonly Answer[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
