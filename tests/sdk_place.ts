// Where the session helper of the TypeScript client is tried: a started server with two accounts, a gateway in front of
// it that counts, and the storage of one browser with any number of tabs.

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { readMailbox } from "../openapi/service.ts";
import { endOtherSessions, login } from "../openapi/sessions.ts";
import { createSession, type EndReason, type Session, type TokenStorage } from "../src/sdk/session.ts";
import { type Gateway, openGateway } from "./gateway.ts";
import { PASSWORD, UNLIMITED } from "./harness.ts";
import { createSite, eventually, type Settings, type Site } from "./process.ts";

export const ADA = "ada@example.org";
export const BOB = "bob@example.org";

export interface Entry {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly renew_at_ms: number;
  readonly ends_at_ms: number;
}

/** A server with two accounts, a gateway in front of it, and the storage of one browser. */
export interface Place extends AsyncDisposable {
  readonly site: Site;
  readonly gateway: Gateway;
  readonly storage: ReadonlyMap<string, string>;
  openTab(options?: { readonly origins?: readonly string[] }): Tab;
  entry(): Entry;
  /** As if time had passed, or the clock were another. */
  change(part: Partial<Entry>): void;
  /** As if the server had ended it before its time. */
  spoilAccessToken(): void;
  endAllSessions(email: string): Promise<void>;
}

export interface Tab {
  readonly session: Session;
  /** What `onSignedOut` heard. */
  readonly ends: readonly EndReason[];
  signIn(email?: string): Promise<void>;
  /** So many parallel calls; their statuses. */
  readMeOften(times: number): Promise<number[]>;
}

export async function openPlace(settings: Settings = {}): Promise<Place> {
  const site = await createSite();
  await site.startServer({ ...UNLIMITED, ...settings });
  for (const email of [ADA, BOB]) await signUp(site, email);
  const gateway = openGateway(site.url);
  const storage = new Map<string, string>();
  const key = "latchkey.session";
  const entry = (): Entry => JSON.parse(storage.get(key) ?? "null");
  const change = (part: Partial<Entry>): void =>
    void storage.set(key, JSON.stringify({ ...entry(), ...part }));

  return {
    site,
    gateway,
    storage,
    entry,
    change,
    spoilAccessToken: () => change({ access_token: "spoiled" }),
    openTab: (options = {}) => openTab(gateway, { storage: asStorage(storage), ...options }),
    async endAllSessions(email) {
      const { body: { access_token: token } } = await site.call(login, {
        json: { email, password: PASSWORD },
      });
      assert.equal((await site.call(endOtherSessions, { token })).status, 204);
    },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await site[Symbol.asyncDispose]();
    },
  };
}

/** A tab with the storage as it sees it. */
export function openTab(
  gateway: Gateway,
  options: { readonly storage: TokenStorage; readonly origins?: readonly string[] },
): Tab {
  const ends: EndReason[] = [];
  const session = createSession({
    baseUrl: gateway.url,
    onSignedOut: (reason) => ends.push(reason),
    ...options,
  });
  const readStatus = async (): Promise<number> => {
    const answer = await session.fetch(`${gateway.url}${readMe.path}`);
    await answer.body?.cancel();
    return answer.status;
  };
  return {
    session,
    ends,
    readMeOften: (times) => Promise.all(Array.from({ length: times }, readStatus)),
    async signIn(email = ADA) {
      const answer = await fetch(`${gateway.url}${login.path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ email, password: PASSWORD }),
      });
      await session.signIn(await answer.json());
    },
  };
}

/** An account of `email` with the password of all tests, by the mailbox of development. */
export async function signUp(site: Site, email: string): Promise<void> {
  const challenge = await site.call(register, { json: { email, password: PASSWORD } });
  const code = await eventually("the code is mailed", async () => {
    const { body } = await site.call(readMailbox, { headers: { accept: "application/json" } });
    return body.data.find(({ to }: { readonly to: string }) => to === email)?.code as string | undefined;
  });
  const json = { challenge_id: challenge.body.challenge_id, code };
  assert.equal((await site.call(verifyOtp, { json })).status, 201);
}

/** As a keychain does it: each call takes a moment. */
function asStorage(entries: Map<string, string>): TokenStorage {
  return {
    getItem: (key) => Promise.resolve(entries.get(key) ?? null),
    setItem: (key, value) => Promise.resolve(entries.set(key, value)),
    removeItem: (key) => Promise.resolve(entries.delete(key)),
  };
}
