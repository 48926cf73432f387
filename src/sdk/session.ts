// The session of a person in an app: keeps the tokens, renews them in time, once for all calls and tabs, and tells when
// it is over. `deno task sdk` copies this folder beside the generated client, so it imports nothing from elsewhere and
// runs wherever there is a fetch: browsers, Node 20, Deno, React Native.

import { type Answer, codeOf, endOnServer, isFinal, readTokens, refresh, type Tokens } from "./requests.ts";
import { createMemory, type EndReason, type Entry, openVault, type TokenStorage } from "./vault.ts";

export type { EndReason, TokenStorage };

/** What the helper needs of the answer to `login` or `verifyOtp`. */
export interface SignedInAnswer extends Tokens {
  readonly user: { readonly id: string };
}

export interface SessionOptions {
  /** Where the server is: `https://auth.example.com`. */
  readonly baseUrl: string;
  /** Default: memory, which forgets at a reload and knows of no other tab. */
  readonly storage?: TokenStorage | undefined;
  /** The name of the entry in `storage`. Default: `latchkey.session`. */
  readonly storageKey?: string | undefined;
  /** Other origins that may see the access token: `https://api.example.com`. */
  readonly origins?: readonly string[] | undefined;
  /** Called once for each session that this page knew of, when it is over. */
  readonly onSignedOut?: ((reason: EndReason) => void) | undefined;
}

/** One person, signed in or not. An app has one of these; a server, one for each person that it acts for. */
export interface Session {
  /**
   * `fetch` with the access token, for the server and for `origins`; nobody else ever sees it, and a request with an
   * Authorization of its own passes untouched. Renews a token that is about to end, and one that was refused, once. A
   * renewal that is refused for the moment (429, 503) is the answer, with its Retry-After; it is not tried again. What
   * was asked for one person is never sent again for another, who has signed in meanwhile.
   */
  readonly fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>;
  /** Takes what `login` or `verifyOtp` answered. */
  signIn(answer: SignedInAnswer): Promise<void>;
  /** Forgets the tokens, whatever happens, and ends the session on the server. False when that was not reached. */
  signOut(): Promise<boolean>;
  isSignedIn(): Promise<boolean>;
  /** For what is no fetch. Null when nobody is signed in; throws when a token that is over cannot be renewed now. */
  accessToken(): Promise<string | null>;
}

/** New tokens; null when the session is over; or why there are none now. */
type Renewal = { readonly entry: Entry | null } | { readonly refusal: Answer };

/** How long before its end a token is renewed, but never more than a fifth of its life. */
const RENEW_AHEAD_MS = 60_000;
/** How long to wait for what another tab wrote. */
const CHANGE_WAIT_MS = 1_000;
const CHANGE_INTERVAL_MS = 20;
/** The codes that speak of the access token. Other refusals (`password_invalid`) are answers, and are not asked again. */
const TOKEN_CODES = ["token_invalid", "token_missing", "account_disabled"];

/** A session, which goes on where `storage` left it. Throws a TypeError for a URL that is none. */
export function createSession(options: SessionOptions): Session {
  const { storage, storageKey = "latchkey.session", origins = [], onSignedOut = () => {} } = options;
  const server = options.baseUrl.replace(/\/+$/, "");
  const trusted = [server, ...origins].map((url) => new URL(url, globalThis.location?.href).origin);
  const vault = openVault(storage ?? createMemory(), { key: storageKey, onSignedOut });
  /** By refresh token: whoever signs in meanwhile waits for nobody else's. */
  const renewals = new Map<string, Promise<Renewal>>();

  /** One renewal for all calls, and for all tabs that share the storage. Never tokens of somebody else. */
  function renew(stale: Entry): Promise<Renewal> {
    const { user_id, refresh_token } = stale;
    const running = renewals.get(refresh_token);
    if (running) return running;
    const run = (wasBusy: boolean): Promise<Renewal> => exchange(stale, wasBusy);
    const renewal = (storage ? alone(`latchkey:${storageKey}`, run) : run(false))
      .then((renewed) =>
        "refusal" in renewed || renewed.entry?.user_id === user_id ? renewed : { entry: null }
      )
      .finally(() => renewals.delete(refresh_token));
    renewals.set(refresh_token, renewal);
    return renewal;
  }

  async function exchange(stale: Entry, wasBusy: boolean): Promise<Renewal> {
    // A browser tells a tab that the lock is free a little before it tells what was written.
    const entry = await readChange(stale, wasBusy ? CHANGE_WAIT_MS : 0);
    // Another tab was quicker, or signed out; or somebody else is signed in by now.
    if (entry?.access_token !== stale.access_token) return { entry };
    const answer = await refresh(server, entry);
    if (answer.status === 200) {
      return { entry: await vault.replace(entry, toEntry(readTokens(answer), entry.user_id)) };
    }
    if (!isFinal(answer)) return { refusal: answer };
    return { entry: await vault.replace(entry, null) };
  }

  /** The entry, as soon as it is another one, or else after `waitMs`. */
  async function readChange({ access_token }: Entry, waitMs: number): Promise<Entry | null> {
    const endMs = Date.now() + waitMs;
    for (;;) {
      const entry = await vault.read();
      if (entry?.access_token !== access_token || Date.now() >= endMs) return entry;
      await new Promise((resolve) => setTimeout(resolve, CHANGE_INTERVAL_MS));
    }
  }

  async function current(): Promise<Renewal> {
    const entry = await vault.read();
    if (entry === null || Date.now() < entry.renew_at_ms) return { entry };
    // Until it ends, the old token is as good as a new one.
    const isGood = (): boolean => Date.now() < entry.ends_at_ms;
    try {
      const renewed = await renew(entry);
      return "refusal" in renewed && isGood() ? { entry } : renewed;
    } catch (error) {
      if (isGood()) return { entry };
      throw error;
    }
  }

  async function fetchSignedIn(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const request = new Request(input, init);
    const isOurs = trusted.includes(new URL(request.url).origin) && !request.headers.has("authorization");
    const before = isOurs ? await current() : { entry: null };
    if ("refusal" in before) return toResponse(before.refusal);
    if (before.entry === null) return await fetch(request);

    // A body can be sent only once.
    const second = request.clone();
    const response = await fetch(authorize(request, before.entry));
    const refusal = await readTokenRefusal(response);
    if (refusal === null) return response;
    const after = await renew(before.entry);
    if ("refusal" in after) return toResponse(after.refusal);
    if (after.entry === null || refusal === "account_disabled") return response;
    return await fetch(authorize(second, after.entry));
  }

  return {
    fetch: fetchSignedIn,
    signIn: (answer) => vault.keep(toEntry(answer, answer.user.id)),
    async signOut() {
      const entry = await vault.empty();
      if (entry === null) return true;
      const isEnded = await endOnServer(server, entry).catch(() => false);
      // Only now: whoever hears it may leave the page.
      onSignedOut("signed_out");
      return isEnded;
    },
    isSignedIn: async () => await vault.read() !== null,
    async accessToken() {
      const now = await current();
      if ("entry" in now) return now.entry?.access_token ?? null;
      throw new Error(`The token cannot be renewed now: ${now.refusal.status} ${codeOf(now.refusal) ?? ""}`);
    },
  };
}

function authorize(request: Request, { access_token }: Entry): Request {
  request.headers.set("authorization", `Bearer ${access_token}`);
  return request;
}

/** The code with which a token was refused, empty when a service gives none; null for any other answer. */
async function readTokenRefusal(response: Response): Promise<string | null> {
  if (response.status !== 401 && response.status !== 403) return null;
  const code = codeOf({ text: await response.clone().text() });
  if (code === undefined) return response.status === 401 ? "" : null;
  return TOKEN_CODES.includes(code) ? code : null;
}

function toResponse({ status, headers, text }: Answer): Response {
  return new Response(text, { status, headers });
}

/** Times are those of this device, so that its clock need not be right. */
function toEntry({ access_token, refresh_token, expires_in }: Tokens, userId: string): Entry {
  const lifeMs = expires_in * 1000;
  const endsAtMs = Date.now() + lifeMs;
  const renewAtMs = endsAtMs - Math.min(RENEW_AHEAD_MS, lifeMs / 5);
  return { user_id: userId, access_token, refresh_token, renew_at_ms: renewAtMs, ends_at_ms: endsAtMs };
}

interface Locks {
  request<Result>(
    name: string,
    options: { readonly ifAvailable?: boolean },
    work: (lock: unknown) => Promise<Result>,
  ): Promise<Result>;
}

/**
 * Runs `work` while no other tab does, where the platform has locks (Web Locks API), and tells it whether one just did.
 */
async function alone<Result>(name: string, work: (wasBusy: boolean) => Promise<Result>): Promise<Result> {
  // Missing in React Native, in Node 20 and on pages without TLS: there the server's ten seconds do.
  const { navigator } = globalThis as { readonly navigator?: { readonly locks?: Locks } };
  if (!navigator?.locks) return await work(false);
  const atOnce = await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
    return lock ? { result: await work(false) } : null;
  });
  return atOnce ? atOnce.result : await navigator.locks.request(name, {}, () => work(true));
}
