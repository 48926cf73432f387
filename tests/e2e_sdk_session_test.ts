// The session helper of the TypeScript client against a started server: one renewal for all who wait, an end that is
// told once, tokens that nobody else sees, and no loop whatever the server answers.

import assert from "node:assert/strict";
import { verifyToken } from "../openapi/sessions.ts";
import type { TokenStorage } from "../src/sdk/session.ts";
import type { Intercept } from "./gateway.ts";
import { eventually, freePort } from "./process.ts";
import { ADA, BOB, type Entry, openPlace, openTab, type Place, type Tab } from "./sdk_place.ts";

const REFRESH = "POST /api/v1/auth/token/refresh";
const LOGOUT = "POST /api/v1/auth/logout";
const ME = "GET /api/v1/me";
const NOTES = "POST /api/v1/notes";
const CALLS = 20;
const LATE_MS = 100;

Deno.test("session: twenty calls renew once, shortly before the token ends and after it", async () => {
  await using place = await openPlace({ ACCESS_TOKEN_TTL: "4s" });
  const tab = place.openTab();
  await tab.signIn();
  for (const due of ["renew_at_ms", "ends_at_ms"] as const) {
    const before = place.gateway.count(REFRESH);
    assert.deepEqual(await tab.readMeOften(1), [200]);
    assert.equal(place.gateway.count(REFRESH), before, "A fresh token is not renewed");
    const { [due]: atMs, renew_at_ms, ends_at_ms } = place.entry();
    assert(renew_at_ms < ends_at_ms);
    await eventually("the token is due", () => Date.now() >= atMs);
    assert.deepEqual(await tab.readMeOften(CALLS), Array(CALLS).fill(200));
    assert.equal(place.gateway.count(REFRESH), before + 1);
  }
  assert.deepEqual(tab.ends, []);
});

Deno.test("session: a token that the server refuses is renewed once, and the body is sent again", async () => {
  await using place = await openPlace();
  const tab = place.openTab();
  await tab.signIn();
  place.spoilAccessToken();
  const created = await writeNote(place, tab, "Milk");
  assert.deepEqual([created.status, (await created.json()).title], [201, "Milk"]);
  assert.deepEqual([place.gateway.count(NOTES), place.gateway.count(REFRESH)], [2, 1]);

  // However often it is refused.
  place.gateway.intercept(ME, () => problem(401, "token_invalid"));
  assert.deepEqual(await tab.readMeOften(1), [401]);
  assert.deepEqual([place.gateway.count(ME), place.gateway.count(REFRESH)], [2, 2]);
  assert.deepEqual(tab.ends, []);
});

Deno.test("session: a wrong current password is an answer, not a reason to ask again", async () => {
  await using place = await openPlace();
  const tab = place.openTab();
  await tab.signIn();
  const refused = await tab.session.fetch(`${place.gateway.url}/api/v1/me/password`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ current_password: "not-this-one-7", new_password: "amber-kettle-81" }),
  });
  assert.deepEqual([refused.status, (await refused.json()).code], [401, "password_invalid"]);
  assert.deepEqual([place.gateway.count("POST /api/v1/me/password"), place.gateway.count(REFRESH)], [1, 0]);
});

for (
  const { name, hasLocks, refreshes } of [
    { name: "with Web Locks one renewal does for both", hasLocks: true, refreshes: 1 },
    { name: "without them both get the same successor", hasLocks: false, refreshes: 2 },
  ]
) {
  Deno.test(`session: two tabs of one storage; ${name}`, async () => {
    await using place = await openPlace();
    using _platform = hasLocks ? undefined : hideLocks();
    const tabs = [place.openTab(), place.openTab()] as const;
    await tabs[0].signIn();
    place.gateway.intercept(REFRESH, hasLocks ? slowly : inPairs());
    place.spoilAccessToken();
    const statuses = await Promise.all(tabs.map((tab) => tab.readMeOften(CALLS)));
    assert.deepEqual(statuses.flat(), Array(2 * CALLS).fill(200));
    assert.equal(place.gateway.count(REFRESH), refreshes);
    // The successor in the storage is good, and so is the one after it.
    place.gateway.release(REFRESH);
    for (const tab of tabs) {
      place.spoilAccessToken();
      assert.deepEqual(await tab.readMeOften(1), [200]);
    }
    assert.deepEqual(tabs.flatMap(({ ends }) => ends), []);
  });
}

Deno.test("session: a tab that hears late what another one wrote does not renew once more", async () => {
  await using place = await openPlace();
  const entries = [new Map<string, string>(), new Map<string, string>()] as const;
  const tabs = entries.map((own, index) =>
    openTab(place.gateway, { storage: lateStorage(own, entries[1 - index] ?? own) })
  );
  await tabs[0]?.signIn();
  const key = "latchkey.session";
  await eventually("the other tab hears of it", () => entries[1].size > 0);
  for (const own of entries) {
    own.set(key, JSON.stringify({ ...JSON.parse(own.get(key) ?? ""), access_token: "spoiled" }));
  }
  const statuses = await Promise.all(tabs.map((tab) => tab.readMeOften(CALLS)));
  assert.deepEqual(statuses.flat(), Array(2 * CALLS).fill(200));
  assert.equal(place.gateway.count(REFRESH), 1);
  assert.equal(entries[0].get(key), entries[1].get(key));
});

Deno.test("session: a dead refresh token ends it, told once", async () => {
  await using place = await openPlace();
  const tab = place.openTab();
  await tab.signIn();
  await place.endAllSessions(ADA);
  assert.deepEqual(await tab.readMeOften(CALLS), Array(CALLS).fill(401));
  assert.deepEqual([place.gateway.count(ME), place.gateway.count(REFRESH)], [CALLS, 1]);
  assert.deepEqual(tab.ends, ["refused"]);
  assert.equal(place.storage.size, 0);

  assert.deepEqual(await tab.readMeOften(1), [401]);
  assert.equal(place.gateway.count(REFRESH), 1);
  assert.deepEqual([await tab.session.isSignedIn(), await tab.session.accessToken()], [false, null]);
  await tab.signIn();
  assert.deepEqual(await tab.readMeOften(1), [200]);
  assert.deepEqual(tab.ends, ["refused"]);
});

Deno.test("session: a disabled account ends it, told once, and is not asked for again", async () => {
  await using place = await openPlace();
  const tab = place.openTab();
  await tab.signIn();
  for (const operation of [ME, REFRESH]) {
    place.gateway.intercept(operation, () => problem(403, "account_disabled"));
  }
  assert.deepEqual(await tab.readMeOften(CALLS), Array(CALLS).fill(403));
  assert.deepEqual([place.gateway.count(ME), place.gateway.count(REFRESH)], [CALLS, 1]);
  assert.deepEqual(tab.ends, ["refused"]);
  assert.equal(place.storage.size, 0);
});

Deno.test("session: sign-out clears the storage, here and on the server, and is told in every tab", async () => {
  await using place = await openPlace();
  const [tab, other] = [place.openTab(), place.openTab()];
  await tab.signIn();
  assert.deepEqual(await other.readMeOften(1), [200]);
  const { access_token: token } = place.entry();

  assert.equal(await tab.session.signOut(), true);
  assert.equal(place.storage.size, 0);
  assert.deepEqual((await place.site.call(verifyToken, { json: { token } })).body, { active: false });
  assert.deepEqual(await other.readMeOften(CALLS), Array(CALLS).fill(401));
  assert.deepEqual([tab.ends, other.ends], [["signed_out"], ["elsewhere"]]);
  assert.equal(await tab.session.signOut(), true, "A second time there is nothing to do");
  assert.deepEqual(tab.ends, ["signed_out"]);
});

Deno.test("session: sign-out ends the session on the server, also when the access token is over", async () => {
  await using place = await openPlace();
  const tab = place.openTab();
  await tab.signIn();
  const { access_token: token } = place.entry();
  place.spoilAccessToken();
  assert.equal(await tab.session.signOut(), true);
  assert.deepEqual([place.gateway.count(LOGOUT), place.gateway.count(REFRESH)], [2, 1]);
  assert.deepEqual((await place.site.call(verifyToken, { json: { token } })).body, { active: false });
});

Deno.test("session: sign-out forgets the tokens while the server is away, and says that it was", async () => {
  await using place = await openPlace();
  const tab = place.openTab();
  await tab.signIn();
  place.gateway.intercept(LOGOUT, () => problem(503, "unavailable"));
  assert.equal(await tab.session.signOut(), false);
  assert.equal(place.storage.size, 0);
  await tab.signIn();
  place.gateway.intercept(LOGOUT, () => lost());
  assert.equal(await tab.session.signOut(), false);
  assert.equal(place.storage.size, 0);
  assert.deepEqual(tab.ends, ["signed_out", "signed_out"]);
});

Deno.test("session: a renewal that comes back after the sign-out revives nothing", async () => {
  await using place = await openPlace();
  const tab = place.openTab();
  await tab.signIn();
  place.spoilAccessToken();
  const isAsked = Promise.withResolvers<void>();
  const isSignedOut = Promise.withResolvers<void>();
  place.gateway.intercept(REFRESH, async (_, pass) => {
    place.gateway.release(REFRESH);
    isAsked.resolve();
    await isSignedOut.promise;
    return await pass();
  });
  place.gateway.intercept(LOGOUT, () => problem(503, "unavailable"));
  const call = tab.readMeOften(1);
  await isAsked.promise;
  const signOut = tab.session.signOut();
  await eventually("the tokens are forgotten", () => place.storage.size === 0);
  isSignedOut.resolve();
  await signOut;
  assert.deepEqual(await call, [401]);
  assert.equal(place.storage.size, 0);
  assert.deepEqual(tab.ends, ["signed_out"]);
});

Deno.test("session: an answer that got lost is asked for again, and gives the same successor", async () => {
  await using place = await openPlace();
  const tab = place.openTab();
  await tab.signIn();
  place.spoilAccessToken();
  let successor = "";
  place.gateway.intercept(REFRESH, async (_, pass) => {
    place.gateway.release(REFRESH);
    successor = (await (await pass()).json()).refresh_token;
    return lost();
  });
  assert.deepEqual(await tab.readMeOften(CALLS), Array(CALLS).fill(200));
  assert.equal(place.gateway.count(REFRESH), 2);
  assert.equal(place.entry().refresh_token, successor);
});

Deno.test("session: a renewal that is refused for now signs nobody out, and its Retry-After is passed on", async () => {
  await using place = await openPlace();
  const tab = place.openTab();
  await tab.signIn();
  place.gateway.intercept(REFRESH, () => problem(429, "rate_limited", { "retry-after": "7" }));
  // Due, but still good.
  place.change({ renew_at_ms: 0 });
  assert.deepEqual(await tab.readMeOften(CALLS), Array(CALLS).fill(200));
  assert.equal(place.gateway.count(REFRESH), 1);

  place.gateway.intercept(REFRESH, () => lost());
  assert.deepEqual(await tab.readMeOften(1), [200]);
  place.gateway.intercept(REFRESH, () => problem(429, "rate_limited", { "retry-after": "7" }));

  const before = place.gateway.count(REFRESH);
  place.change({ ends_at_ms: 0 });
  const refused = await tab.session.fetch(`${place.gateway.url}/api/v1/me`);
  assert.deepEqual([refused.status, refused.headers.get("retry-after")], [429, "7"]);
  assert.equal((await refused.json()).code, "rate_limited");
  await assert.rejects(tab.session.accessToken(), /429 rate_limited/);
  assert.equal(place.gateway.count(REFRESH), before + 2, "Each was asked once");

  place.gateway.intercept(REFRESH, () => lost());
  await assert.rejects(tab.session.fetch(`${place.gateway.url}/api/v1/me`));
  place.gateway.release(REFRESH);
  assert.deepEqual(await tab.readMeOften(1), [200]);
  assert.deepEqual(tab.ends, []);
});

Deno.test("session: the token goes to the server and the origins that are named, and nowhere else", async () => {
  await using place = await openPlace();
  const heard: (string | null)[] = [];
  const listen = (request: Request): Response => {
    heard.push(request.headers.get("authorization"));
    return new Response();
  };
  await using own = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, listen);
  await using foreign = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, listen);
  const tab = place.openTab({ origins: [`http://127.0.0.1:${own.addr.port}`] });
  await tab.signIn();
  for (const { addr } of [own, foreign]) {
    await (await tab.session.fetch(`http://127.0.0.1:${addr.port}/things`)).body?.cancel();
  }
  const headers = { authorization: "Basic Zm9v" };
  await (await tab.session.fetch(`http://127.0.0.1:${own.addr.port}/`, { headers })).body?.cancel();
  assert.deepEqual(heard, [`Bearer ${place.entry().access_token}`, null, headers.authorization]);
});

Deno.test("session: somebody else who signs in in another tab gets nothing from what this page shows", async () => {
  await using place = await openPlace();
  const [tab, other] = [place.openTab(), place.openTab()];
  await tab.signIn();
  await other.signIn(BOB);
  assert.deepEqual(await tab.readMeOften(1), [401], "Asked for Ada, without Bob's token");
  assert.deepEqual([tab.ends, other.ends], [["elsewhere"], []]);
  // Bob stays signed in, whatever the page of Ada does now.
  await other.signIn(ADA);
  await tab.session.fetch(`${place.gateway.url}/api/v1/me`).then((answer) => answer.body?.cancel());
  await other.signIn(BOB);
  assert.equal(await tab.session.signOut(), true);
  assert.equal(place.gateway.count(LOGOUT), 0);
  assert.deepEqual(await other.readMeOften(1), [200]);
});

for (
  const { name, signInBob } of [
    {
      name: "here",
      signInBob: async (tab: Tab): Promise<void> => {
        await tab.session.signOut();
        await tab.signIn(BOB);
      },
    },
    {
      name: "in another tab",
      signInBob: async (tab: Tab, other: Tab): Promise<void> => {
        await other.signIn(BOB);
        assert.equal(
          await tab.session.isSignedIn(),
          false,
          "This look ends Ada's; from the next on it is Bob's",
        );
      },
    },
  ]
) {
  Deno.test(`session: a refused request is never sent again for who signs in meanwhile, ${name}`, async () => {
    await using place = await openPlace();
    const [tab, other] = [place.openTab(), place.openTab()];
    await tab.signIn();
    const isAsked = Promise.withResolvers<void>();
    const isBob = Promise.withResolvers<void>();
    place.gateway.intercept(NOTES, async (_, pass) => {
      place.gateway.release(NOTES);
      isAsked.resolve();
      await isBob.promise;
      return await pass();
    });
    const asked = writeNote(place, tab, "Ada's");
    await isAsked.promise;
    await place.endAllSessions(ADA);
    await signInBob(tab, other);
    isBob.resolve();

    const refused = await asked;
    assert.deepEqual([refused.status, (await refused.json()).code], [401, "token_invalid"]);
    assert.equal(place.gateway.count(NOTES), 1);
    const written = await writeNote(place, tab, "Bob's");
    assert.deepEqual([written.status, (await written.json()).title], [201, "Bob's"]);
  });
}

Deno.test("session: who signs in while another one's renewal is on its way does not wait for it", async () => {
  await using place = await openPlace();
  const tab = place.openTab();
  await tab.signIn();
  place.spoilAccessToken();
  const isAsked = Promise.withResolvers<void>();
  const isBobDone = Promise.withResolvers<void>();
  using _platform = hideLocks();
  place.gateway.intercept(REFRESH, async (_, pass) => {
    place.gateway.release(REFRESH);
    isAsked.resolve();
    await isBobDone.promise;
    return await pass();
  });
  const asked = tab.readMeOften(1);
  await isAsked.promise;
  await tab.signIn(BOB);
  place.spoilAccessToken();
  let statuses: number[] | null = null;
  const answered = tab.readMeOften(CALLS).then((all) => statuses = all);
  try {
    await eventually("Bob's calls are answered", () => statuses !== null);
  } finally {
    isBobDone.resolve();
  }
  assert.deepEqual(await answered, Array(CALLS).fill(200));
  assert.deepEqual(await asked, [401], "Asked for Ada, and not again for Bob");
  assert.deepEqual(await tab.readMeOften(1), [200]);
});

Deno.test("session: a storage that refuses the write loses nothing, and takes it at the next look", async () => {
  await using place = await openPlace();
  const entries = new Map<string, string>();
  let isFull = false;
  const refusing = <Result>(work: () => Result): Result => {
    if (isFull) throw new DOMException("The quota has been exceeded", "QuotaExceededError");
    return work();
  };
  const storage: TokenStorage = {
    getItem: (key) => entries.get(key) ?? null,
    setItem: (key, value) => refusing(() => entries.set(key, value)),
    removeItem: (key) => refusing(() => entries.delete(key)),
  };
  const tab = openTab(place.gateway, { storage });
  const kept = (): Entry | null => JSON.parse(entries.get("latchkey.session") ?? "null");
  await tab.signIn();
  const used = kept();
  entries.set("latchkey.session", JSON.stringify({ ...used, access_token: "spoiled" }));

  isFull = true;
  assert.deepEqual(await tab.readMeOften(CALLS), Array(CALLS).fill(200));
  assert.equal(place.gateway.count(REFRESH), 1);
  assert.equal(kept()?.refresh_token, used?.refresh_token, "What stands there is used up");
  isFull = false;
  assert.deepEqual(await tab.readMeOften(1), [200]);
  assert.notEqual(kept()?.refresh_token, used?.refresh_token);
  assert.equal(place.gateway.count(REFRESH), 1);

  // A sign-out, too: what cannot be removed is not used any more.
  isFull = true;
  assert.equal(await tab.session.signOut(), true);
  assert.deepEqual(await tab.readMeOften(1), [401]);
  isFull = false;
  assert.deepEqual([await tab.session.isSignedIn(), kept()], [false, null]);

  // What somebody else writes counts more than what was refused.
  isFull = true;
  await tab.signIn(ADA);
  isFull = false;
  await openTab(place.gateway, { storage }).signIn(BOB);
  assert.deepEqual(await tab.readMeOften(1), [401]);
  assert.deepEqual(tab.ends, ["signed_out", "elsewhere"]);
});

function writeNote({ gateway }: Place, { session }: Tab, title: string): Promise<Response> {
  return session.fetch(`${gateway.url}/api/v1/notes`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ title }),
  });
}

/** As Chromium keeps localStorage: each tab has a copy, and what the others write comes a little later. */
function lateStorage(own: Map<string, string>, other: Map<string, string>): TokenStorage {
  return {
    getItem: (key) => own.get(key) ?? null,
    setItem: (key, value) => {
      own.set(key, value);
      setTimeout(() => other.set(key, value), LATE_MS);
    },
    removeItem: (key) => own.delete(key),
  };
}

function hideLocks(): Disposable {
  Object.defineProperty(navigator, "locks", { value: undefined, configurable: true });
  return { [Symbol.dispose]: () => void Reflect.deleteProperty(navigator, "locks") };
}

/** Longer than a tab looks for what another one wrote: what it waits for is the lock. */
const slowly: Intercept = async (_, pass) => {
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  return await pass();
};

/** The first waits for the second: both have their question on the way before either has an answer. */
function inPairs(): Intercept {
  const both = Promise.withResolvers<void>();
  let arrived = 0;
  return async (_, pass) => {
    if (++arrived === 2) both.resolve();
    await both.promise;
    return await pass();
  };
}

function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  const body = JSON.stringify({ type: "about:blank", title: code, status, code, request_id: "gateway" });
  return new Response(body, { status, headers: { "content-type": "application/problem+json", ...headers } });
}

/** Leads to where nobody listens: the client gets no answer. */
function lost(): Response {
  return Response.redirect(`http://127.0.0.1:${freePort()}/`, 307);
}
