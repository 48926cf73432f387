// A server whose store is slow, gone, or loses its answers: it says so in time, lives on, and is well again by itself;
// and what works once is done once, however often the store was asked.

import assert from "node:assert/strict";
import type { RouteConfig } from "@hono/zod-openapi";
import { confirmAccountDeletion, readMe, requestAccountDeletion } from "../openapi/account.ts";
import { createNote, listNotes } from "../openapi/notes.ts";
import { changePassword } from "../openapi/passwords.ts";
import { verifyOtp } from "../openapi/registration.ts";
import { readHealth, readReadiness } from "../openapi/service.ts";
import { listSessions, login, logout, refreshTokens } from "../openapi/sessions.ts";
import {
  type Cluster,
  type ClusterInput,
  codeFor,
  join,
  type Member,
  startProxiedServer,
  startRegistration,
} from "./cluster.ts";
import { type Answer, PASSWORD } from "./harness.ts";
import {
  createSite,
  eventually,
  freePort,
  REPOSITORY,
  type Settings,
  spawnProgram,
  UNSET,
} from "./process.ts";
import { NO_LOSS } from "./store_proxy.ts";
import { startStoreServer, storeSettings } from "./store_server.ts";

/** One call waits 5 s. */
const DEADLINE_MS = 5_000;
const SOON_MS = 1_000;
const NEW_PASSWORD = "amber-kettle-81";

Deno.test("store faults: a slow store is 503 after the deadline, and no fault any more once it is fast", async () => {
  await using cluster = await startProxiedServer();
  const member = await join(cluster, "ada@example.org");
  cluster.proxy.delay(2 * DEADLINE_MS);
  await assertUnavailable(cluster, member);
  assert.equal((await cluster.call(0, readHealth)).status, 200);
  cluster.proxy.delay(0);
  await assertWell(cluster, member);
});

Deno.test("store faults: while the store is gone all is 503, from then on at once; it comes back without a restart", async () => {
  await using cluster = await startProxiedServer();
  const member = await join(cluster, "ada@example.org");
  await cluster.store.kill();
  await assertUnavailable(cluster, member);
  assert.equal((await cluster.call(0, readHealth)).status, 200);
  // One call finds out whether it still is. The two requests with a token wait for the same: for the signing keys.
  await assertUnavailable(cluster, member, { patientMax: 2 });
  await cluster.store.start();
  await assertWell(cluster, member);
});

Deno.test("store faults: a server that may not use its store ends with one line that names it", async (t) => {
  await using store = await startStoreServer();
  await using site = await createSite();
  const cases: { name: string; settings: Settings; line: RegExp }[] = [
    {
      name: "nobody there",
      settings: storeSettings(`http://127.0.0.1:${freePort()}`),
      line: /^The store http:\S+ cannot be opened: .*failed to connect.*\n$/,
    },
    {
      name: "wrong token",
      settings: { ...storeSettings(store.url), DENO_KV_ACCESS_TOKEN: "wrong" },
      line: /^The store http:\S+ cannot be opened: .*Invalid access token\. See DENO_KV_ACCESS_TOKEN\n$/,
    },
  ];
  for (const { name, settings, line } of cases) {
    await t.step(name, async () => {
      const server = site.spawn("start", { settings });
      assert.equal(await server.ended(), 1);
      assert.match(server.stderr(), line);
    });
  }
});

Deno.test("store faults: in development the key of a store elsewhere is kept where the server was started", async () => {
  await using store = await startStoreServer();
  await using site = await createSite();
  const server = spawnProgram(
    [Deno.execPath(), "run", "--quiet", "--allow-all", `${REPOSITORY}/src/main.ts`],
    {
      cwd: site.folder,
      env: { ...UNSET, HOST: "127.0.0.1", PORT: String(site.port), ...storeSettings(store.url) },
    },
  );
  try {
    await eventually("it answers", () => site.call(readHealth).then(() => true, () => false));
    assert.match(await Deno.readTextFile(`${site.folder}/data/secret_key`), /^\S{43}\n$/);
  } finally {
    await server.kill();
  }
});

/** What a person does, and what must be true of it afterwards. `first` prepares it while the store is well. */
interface Deed {
  readonly name: string;
  readonly status: number;
  prepare(cluster: Cluster, member: Member): Promise<Request>;
  /** Whether it has happened, exactly once. */
  hasHappened(cluster: Cluster, member: Member): Promise<boolean>;
}

type Request = readonly [route: RouteConfig, input: ClusterInput];

const deeds: readonly Deed[] = [
  {
    name: "login",
    status: 200,
    prepare: (_, { email }) => Promise.resolve([login, { json: { email, password: PASSWORD } }]),
    async hasHappened(cluster, { accessToken: token }) {
      return (await cluster.call(0, listSessions, { token })).body.data.length === 2;
    },
  },
  {
    name: "refreshTokens",
    status: 200,
    prepare: (_, { refreshToken }) =>
      Promise.resolve([refreshTokens, { json: { refresh_token: refreshToken } }]),
    async hasHappened(cluster, { accessToken: token }) {
      return (await cluster.call(0, listSessions, { token })).body.data.length === 1;
    },
  },
  {
    name: "logout",
    status: 204,
    prepare: (_, { accessToken: token }) => Promise.resolve([logout, { token, json: {} }]),
    async hasHappened(cluster, { accessToken: token }) {
      return (await cluster.call(0, readMe, { token })).body.code === "token_invalid";
    },
  },
  {
    name: "createNote",
    status: 201,
    prepare: (_, { accessToken: token }) => Promise.resolve([createNote, { token, json: { title: "Milk" } }]),
    async hasHappened(cluster, { accessToken: token }) {
      return (await cluster.call(0, listNotes, { token })).body.data.length === 1;
    },
  },
  {
    name: "changePassword",
    status: 204,
    prepare: (_, { accessToken: token }) =>
      Promise.resolve([changePassword, {
        token,
        json: { current_password: PASSWORD, new_password: NEW_PASSWORD },
      }]),
    hasHappened: (cluster, { email }) => opens(cluster, { email, password: NEW_PASSWORD }),
  },
  {
    name: "verifyOtp",
    status: 201,
    async prepare(cluster, { email }) {
      const other = `other-${email}`;
      const challengeId = await startRegistration(cluster, other);
      return [verifyOtp, { json: { challenge_id: challengeId, code: await codeFor(cluster, other) } }];
    },
    hasHappened: (cluster, { email }) => opens(cluster, { email: `other-${email}`, password: PASSWORD }),
  },
  {
    name: "confirmAccountDeletion",
    status: 204,
    async prepare(cluster, { email, accessToken: token }) {
      const challenge = await cluster.call(0, requestAccountDeletion, { token, json: {} });
      const code = await codeFor(cluster, email, { mails: 2 });
      return [confirmAccountDeletion, { token, json: { challenge_id: challenge.body.challenge_id, code } }];
    },
    hasHappened: async (cluster, { email }) => !await opens(cluster, { email, password: PASSWORD }),
  },
];

Deno.test("store faults: what is done once is done once, and answered so, though every answer is lost once", async (t) => {
  await using cluster = await startProxiedServer();
  for (const { name, status, prepare, hasHappened } of deeds) {
    await t.step(name, async () => {
      const member = await join(cluster, `${name.toLowerCase()}-lost@example.org`);
      const [route, input] = await prepare(cluster, member);
      cluster.proxy.loseAnswers({ how: "gateway", max: Infinity });
      const answer = await cluster.call(0, route, input);
      cluster.proxy.loseAnswers(NO_LOSS);
      assert.equal(answer.status, status, answer.text);
      assert(await hasHappened(cluster, member));
    });
  }
});

Deno.test("store faults: when an answer breaks off it is 503, or it was done", async (t) => {
  await using cluster = await startProxiedServer();
  for (const { name, status, prepare, hasHappened } of deeds) {
    await t.step(name, async () => {
      const member = await join(cluster, `${name.toLowerCase()}-broken@example.org`);
      const [route, input] = await prepare(cluster, member);
      cluster.proxy.loseAnswers({ how: "broken_off", max: 1 });
      const answer = await cluster.call(0, route, input);
      cluster.proxy.loseAnswers(NO_LOSS);
      assert([status, 503].includes(answer.status), answer.text);
      if (answer.status === status) assert(await hasHappened(cluster, member));
      else assertRefusal(answer);
    });
  }
});

/** Every request is refused by the deadline of one call, and all but `patientMax` of them long before. */
async function assertUnavailable(
  cluster: Cluster,
  { email, accessToken: token }: Member,
  { patientMax = Infinity } = {},
): Promise<void> {
  const asked: Request[] = [
    [readMe, { token }],
    [login, { json: { email, password: PASSWORD } }],
    [createNote, { token, json: { title: "Milk" } }],
    [readReadiness, {}],
  ];
  const waitsMs = await Promise.all(asked.map(async ([route, input]) => {
    const startedAtMs = performance.now();
    assertRefusal(await cluster.call(0, route, input));
    return performance.now() - startedAtMs;
  }));
  const [patient, late] = [SOON_MS, DEADLINE_MS + SOON_MS].map((limitMs) =>
    waitsMs.filter((waitMs) => waitMs > limitMs).length
  );
  assert(late === 0 && Number(patient) <= patientMax, `They took ${waitsMs.map(Math.round)} ms`);
}

function assertRefusal({ status, body, headers, text }: Answer): void {
  assert.equal(status, 503, text);
  assert.equal(body.code, "unavailable");
  assert.equal(headers.get("retry-after"), String(body.retry_after));
  assert(body.retry_after > 0);
}

/** Within a moment, and without a restart. */
async function assertWell(cluster: Cluster, { email, accessToken: token }: Member): Promise<void> {
  await eventually("it is ready", async () => (await cluster.call(0, readReadiness)).status === 200, {
    limitMs: DEADLINE_MS + SOON_MS,
  });
  assert.equal((await cluster.call(0, readMe, { token })).status, 200);
  assert(await opens(cluster, { email, password: PASSWORD }));
}

async function opens(
  cluster: Cluster,
  json: { readonly email: string; readonly password: string },
): Promise<boolean> {
  return (await cluster.call(0, login, { json })).status === 200;
}
