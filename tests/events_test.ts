// The event matrix: reads the table of openapi/events.md and proves each of its cells over HTTP, at once and after a
// restart. An event, a column or a word that this test does not know fails it, and so does one that is missing.

import assert from "node:assert/strict";
import {
  confirmAccountDeletion,
  confirmEmailChange,
  readMe,
  requestAccountDeletion,
  requestEmailChange,
} from "../openapi/account.ts";
import { changePassword, confirmPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { endOtherSessions, endSession, login, logout, refreshTokens } from "../openapi/sessions.ts";
import { OPERATOR } from "../src/store/client.ts";
import type { ChallengePurpose } from "../src/store/keys.ts";
import { replaceUser } from "../src/store/users.ts";
import { type Answer, PASSWORD, SECOND_MS, startServer, type TestServer, UNLIMITED } from "./harness.ts";
import { type Person, sessionIdOf, signIn, signUp, startReset, takeResetToken } from "./person.ts";
import { createSecondInstance } from "./second_instance.ts";

const NEW_PASSWORD = "seven-otters-paddle-41";
const NEW_EMAIL = "countess@example.org";

type Purpose = Exclude<ChallengePurpose, "registration">;

interface PendingCode {
  readonly challenge_id: string;
  readonly code: string;
}

/** An account with two sessions, a pending code of each purpose and a reset token. */
interface Scene {
  readonly server: TestServer;
  /** Its refresh token is the newest of the session. */
  here: Person;
  readonly other: Person;
  readonly codes: Readonly<Record<Purpose, PendingCode>>;
  readonly resetToken: string;
  /** What a sign-in needs after the event; null when the account is gone. */
  credentials: { readonly email: string; readonly password: string } | null;
  /** What tokens answer that are not good, whatever else is the matter with them. */
  refusal: "account_disabled" | null;
  isTakenBack: boolean;
}

interface Event {
  /** The purpose whose code it uses up itself. */
  readonly uses?: Purpose;
  /** What the account is before it. */
  readonly role?: "admin";
  happen(scene: Scene): Promise<void>;
  /** What has ended must not come back with it. */
  takeBack?(scene: Scene): Promise<void>;
}

const events: Readonly<Record<string, Event>> = {
  "logout": {
    happen: ({ server, here }) => expect(server.call(logout, { token: here.accessToken }), 204),
  },
  "end one session": {
    happen: ({ server, here, other }) =>
      expect(
        server.call(endSession, { token: other.accessToken, params: { session_id: sessionIdOf(here) } }),
        204,
      ),
  },
  "end other sessions": {
    happen: ({ server, here }) => expect(server.call(endOtherSessions, { token: here.accessToken }), 204),
  },
  "password change": {
    async happen(scene) {
      const json = { current_password: PASSWORD, new_password: NEW_PASSWORD };
      await expect(scene.server.call(changePassword, { token: scene.here.accessToken, json }), 204);
      scene.credentials = { email: scene.here.email, password: NEW_PASSWORD };
    },
  },
  "password reset": {
    async happen(scene) {
      const resetToken = await takeResetToken(scene.server, scene.here.email);
      const json = { reset_token: resetToken, new_password: NEW_PASSWORD };
      await expect(scene.server.call(confirmPasswordReset, { json }), 204);
      scene.credentials = { email: scene.here.email, password: NEW_PASSWORD };
    },
  },
  "e-mail change": {
    uses: "email_change",
    async happen(scene) {
      const json = scene.codes.email_change;
      await expect(scene.server.call(confirmEmailChange, { token: scene.here.accessToken, json }), 200);
      scene.credentials = { email: NEW_EMAIL, password: PASSWORD };
    },
  },
  "disable": {
    async happen(scene) {
      await change(scene.server, scene.here, { status: "disabled" });
      scene.refusal = "account_disabled";
    },
    async takeBack(scene) {
      await change(scene.server, scene.here, { status: "active" });
      scene.refusal = null;
    },
  },
  "demotion": {
    role: "admin",
    happen: ({ server, here }) => change(server, here, { role: "user" }),
    takeBack: ({ server, here }) => change(server, here, { role: "admin" }),
  },
  "deletion": {
    uses: "account_deletion",
    async happen(scene) {
      const json = scene.codes.account_deletion;
      await expect(scene.server.call(confirmAccountDeletion, { token: scene.here.accessToken, json }), 204);
      scene.credentials = null;
    },
  },
  "replay of a used refresh token": {
    async happen(scene) {
      const { server, here: { refreshToken } } = scene;
      const { body } = await server.call(refreshTokens, { json: { refresh_token: refreshToken } });
      scene.here = { ...scene.here, accessToken: body.access_token, refreshToken: body.refresh_token };
      server.clock.nowMs += 10 * SECOND_MS;
      const replay = await server.call(refreshTokens, { json: { refresh_token: refreshToken } });
      assert.equal(replay.body.code, "refresh_token_reused");
    },
  },
};

type Word = "ends" | "stays" | "refused (role)";

/** What is asked of a scene after its event. */
type Probe = (scene: Scene, word: Word) => Promise<void>;

interface Column {
  look(event: Event): readonly Probe[];
  /** Whether proving that it stays uses it up, and may end other things. */
  readonly isUsedUp: boolean;
}

const columns: Readonly<Record<string, Column>> = {
  "this access token": {
    look: () => [(scene, word) => probeAccess(scene, scene.here, word)],
    isUsedUp: false,
  },
  "this refresh token": {
    look: () => [(scene, word) => probeRefresh(scene, scene.here, word)],
    isUsedUp: false,
  },
  "other sessions": {
    look: () => [
      (scene, word) => probeAccess(scene, scene.other, word),
      (scene, word) => probeRefresh(scene, scene.other, word === "refused (role)" ? "stays" : word),
    ],
    isUsedUp: false,
  },
  "pending codes": {
    look: ({ uses }) =>
      (["password_reset", "email_change", "account_deletion"] as const)
        .filter((purpose) => purpose !== uses)
        .map((purpose) => (scene, word) => probeCode(scene, purpose, word)),
    isUsedUp: true,
  },
  "reset tokens": { look: () => [probeResetToken], isUsedUp: true },
};

interface Proof {
  readonly name: string;
  readonly word: Word;
  readonly probes: readonly Probe[];
}

/** In one scene; a restart changes nothing, and what has ended does not come back when the event is taken back. */
async function proveTogether(t: Deno.TestContext, event: Event, proofs: readonly Proof[]): Promise<void> {
  await using server = await startServer({ env: UNLIMITED });
  const scene = await setScene(server, event);
  const prove = async (when: string): Promise<void> => {
    for (const { name, word, probes } of proofs) {
      await t.step(`${name}, ${when}`, async () => {
        for (const probe of probes) await probe(scene, word);
      });
    }
  };
  await event.happen(scene);
  await prove("at once");
  await server.restart();
  await prove("after a restart");
  if (!event.takeBack) return;
  await event.takeBack(scene);
  scene.isTakenBack = true;
  await prove("once taken back");
}

/** Each probe in scenes of its own: one at once, one after a restart. */
async function proveApart(event: Event, word: Word, probes: readonly Probe[]): Promise<void> {
  for (const probe of probes) {
    for (const isRestarted of [false, true]) {
      await using server = await startServer({ env: UNLIMITED });
      const scene = await setScene(server, event);
      await event.happen(scene);
      if (isRestarted) await server.restart();
      await probe(scene, word);
    }
  }
}

async function probeAccess(scene: Scene, { accessToken, refreshToken }: Person, word: Word): Promise<void> {
  const { server, refusal, isTakenBack } = scene;
  const answer = await server.call(readMe, { token: accessToken });
  if (word === "stays" || word === "refused (role)" && isTakenBack) return assert.equal(answer.status, 200);
  assert.equal(answer.body.code, refusal ?? "token_invalid");
  if (word === "ends") return;
  const refreshed = await server.call(refreshTokens, { json: { refresh_token: refreshToken } });
  const me = await server.call(readMe, { token: refreshed.body.access_token });
  assert.equal(me.body.role, "user");
}

async function probeRefresh({ server, refusal }: Scene, { refreshToken }: Person, word: Word): Promise<void> {
  const answer = await server.call(refreshTokens, { json: { refresh_token: refreshToken } });
  if (word === "stays") {
    assert.equal(answer.status, 200);
    assert.equal((await server.call(readMe, { token: answer.body.access_token })).status, 200);
    return;
  }
  assert.equal(word, "ends", "nothing else can be said of a refresh token");
  assert.equal(answer.body.code, refusal ?? "refresh_token_invalid");
}

async function probeCode(scene: Scene, purpose: Purpose, word: Word): Promise<void> {
  const { server, refusal, codes: { [purpose]: json } } = scene;
  if (purpose === "password_reset") {
    return assertUsable(await server.call(verifyPasswordResetOtp, { json }), word);
  }
  // The others are for who is signed in; nobody is while the account is disabled.
  if (refusal !== null) return;
  const { accessToken: token } = await signInAnew(scene);
  const route = purpose === "email_change" ? confirmEmailChange : confirmAccountDeletion;
  assertUsable(await server.call(route, { token, json }), word);
}

async function probeResetToken({ server, resetToken }: Scene, word: Word): Promise<void> {
  const json = { reset_token: resetToken, new_password: "a-third-one-entirely-77" };
  assertUsable(await server.call(confirmPasswordReset, { json }), word);
}

function assertUsable({ status, text }: Answer, word: Word): void {
  assert(word === "stays" || word === "ends", "nothing else can be said of a code");
  if (word === "ends") assert.equal(status, 410, text);
  else assert(status === 200 || status === 204, text);
}

/** As the account is after the event; who deleted it registers the same address again. */
async function signInAnew(scene: Scene): Promise<Person> {
  const { server, here, credentials } = scene;
  if (credentials) return await signIn(server, { id: here.id, ...credentials });
  const namesake = await signUp(server, { email: here.email });
  scene.credentials = namesake;
  return namesake;
}

async function expect(asked: Promise<Answer>, status: number): Promise<void> {
  const answer = await asked;
  assert.equal(answer.status, status, answer.text);
}

async function change(
  { deps }: TestServer,
  { id }: Person,
  patch: Parameters<typeof replaceUser>[2],
): Promise<void> {
  assert.equal((await replaceUser(deps, id, patch, OPERATOR)).outcome, "changed");
}

async function setScene(server: TestServer, { role }: Event): Promise<Scene> {
  const ada = await signUp(server);
  if (role) {
    // The last admin cannot be demoted.
    for (const admin of [ada, await signUp(server, { email: "root@example.org" })]) {
      await change(server, admin, { role });
    }
  }
  const here = await signIn(server, ada);
  const other = await signIn(server, ada);
  const resetToken = await takeResetToken(server, ada.email);
  const token = here.accessToken;
  const begin = async (email: string, challengeId: string): Promise<PendingCode> => {
    const pending = { challenge_id: challengeId, code: await server.codeFor(email) };
    // Mails of one millisecond have no order.
    server.clock.nowMs += 1;
    return pending;
  };
  const codes = {
    password_reset: await begin(ada.email, await startReset(server, ada.email)),
    email_change: await begin(
      NEW_EMAIL,
      (await server.call(requestEmailChange, {
        token,
        json: { new_email: NEW_EMAIL, current_password: PASSWORD },
      })).body.challenge_id,
    ),
    account_deletion: await begin(
      ada.email,
      (await server.call(requestAccountDeletion, { token, json: {} })).body.challenge_id,
    ),
  };
  const credentials = { email: ada.email, password: PASSWORD };
  return { server, here, other, codes, resetToken, credentials, refusal: null, isTakenBack: false };
}

/** The first table of the page: its events, each with a word for each column. */
async function readMatrix(): Promise<Map<string, Map<string, string>>> {
  const page = await Deno.readTextFile(new URL("../openapi/events.md", import.meta.url));
  const [head = [], , ...body] = page.split("\n").filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim().replaceAll("`", "")));
  const names = head.slice(1);
  return new Map(body.map(([event = "", ...cells]) => {
    assert.equal(cells.length, names.length, `a cell too many or too few: ${event}`);
    return [event, new Map(names.map((name, index) => [name, cells[index] ?? ""]))];
  }));
}

function requireWord(text: string): Word {
  assert(text === "ends" || text === "stays" || text === "refused (role)", `no word of the table: ${text}`);
  return text;
}

const matrix = await readMatrix();

Deno.test("events: the table has every event and column once, and no other", () => {
  assert.deepEqual([...matrix.keys()].sort(), Object.keys(events).sort());
  for (const cells of matrix.values()) assert.deepEqual([...cells.keys()], Object.keys(columns));
});

for (const [name, cells] of matrix) {
  Deno.test(`event ${name}: each cell of the table is true, at once and after a restart`, async (t) => {
    const event = events[name] ?? assert.fail(`Nobody knows how to make this happen: ${name}`);
    const proofs = [...cells].map(([column, text]) => {
      const { look, isUsedUp } = columns[column] ??
        assert.fail(`Nobody knows how to look at this: ${column}`);
      const word = requireWord(text);
      return {
        name: `${column}: ${word}`,
        word,
        probes: look(event),
        isLasting: word !== "stays" || !isUsedUp,
      };
    });
    await proveTogether(t, event, proofs.filter(({ isLasting }) => isLasting));
    for (const { name, word, probes } of proofs.filter(({ isLasting }) => !isLasting)) {
      await t.step(name, () => proveApart(event, word, probes));
    }
  });

  Deno.test(`event ${name}: a second server refuses what it ends at the very next request`, async () => {
    const event = events[name] ?? assert.fail();
    await using server = await startServer({ env: UNLIMITED });
    const scene = await setScene(server, event);
    const second = await createSecondInstance(server);
    const ask = async ({ accessToken }: Person): Promise<boolean> =>
      (await second.request(`http://localhost:8000${readMe.path}`, {
        headers: { authorization: `Bearer ${accessToken}` },
      })).ok;
    // It knows the tokens already when the event happens elsewhere.
    assert.deepEqual([await ask(scene.here), await ask(scene.other)], [true, true]);
    await event.happen(scene);
    const isGood = (column: string): boolean => cells.get(column) === "stays";
    assert.deepEqual([await ask(scene.here), await ask(scene.other)], [
      isGood("this access token"),
      isGood("other sessions"),
    ]);
  });
}

Deno.test("events: a promotion ends nothing and counts at once", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  await change(server, ada, { role: "admin" });
  assert.equal((await server.call(readMe, { token: ada.accessToken })).body.role, "admin");
  assert.equal((await server.call(login, { json: { email: ada.email, password: PASSWORD } })).status, 200);
});
