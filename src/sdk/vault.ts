// The tokens in their storage: the one place where they stand, shared by all tabs when the storage is. Looks there each
// time, so that what another tab did counts at once, and tells when the session that this page knew is gone. What a
// storage refuses to take is kept here until it does.

/** Where the tokens are kept: `localStorage` fits as it is, and so does whatever keeps strings by name. */
export interface TokenStorage {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): unknown;
  removeItem(key: string): unknown;
}

/**
 * Why nobody is signed in any more: `signOut` was called here; the server refused the refresh token; or another tab
 * signed out, or signed somebody else in.
 */
export type EndReason = "signed_out" | "refused" | "elsewhere";

/** What is kept. */
export interface Entry {
  readonly user_id: string;
  readonly access_token: string;
  readonly refresh_token: string;
  readonly renew_at_ms: number;
  readonly ends_at_ms: number;
}

export interface Vault {
  /** Null when nobody is signed in. */
  read(): Promise<Entry | null>;
  keep(entry: Entry): Promise<void>;
  /** Unless `old` was replaced meanwhile. Null for `next` says that the server refused. Returns what is there now. */
  replace(old: Entry, next: Entry | null): Promise<Entry | null>;
  /** Removes the entry without a word, and returns it. */
  empty(): Promise<Entry | null>;
}

/** The entry `key` of a storage. */
export function openVault(
  storage: TokenStorage,
  { key, onSignedOut }: { readonly key: string; readonly onSignedOut: (reason: EndReason) => void },
): Vault {
  /** Who was signed in when this page last looked. */
  let knownUserId: string | null = null;
  /** What stood in the storage when this page last looked. */
  let seen: string | null = null;
  /** What the storage did not take, and what stood there: it counts until somebody else writes. */
  let unwritten: { readonly entry: Entry | null; readonly beside: string | null } | null = null;
  let last: Promise<unknown> = Promise.resolve();

  /** One after another: what looks and then writes must not be overtaken by a sign-out. */
  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  }

  async function look(): Promise<Entry | null> {
    seen = await storage.getItem(key);
    if (unwritten !== null && unwritten.beside === seen) return await write(unwritten.entry);
    unwritten = null;
    const entry = parseEntry(seen);
    const isOver = knownUserId !== null && entry?.user_id !== knownUserId;
    // What this page shows is not for whoever is signed in now: the next look begins anew.
    knownUserId = isOver ? null : entry?.user_id ?? null;
    if (isOver) tell("elsewhere");
    return isOver ? null : entry;
  }

  async function write(entry: Entry | null): Promise<Entry | null> {
    knownUserId = entry?.user_id ?? null;
    try {
      await (entry === null ? storage.removeItem(key) : storage.setItem(key, JSON.stringify(entry)));
      unwritten = null;
    } catch {
      // A full or locked storage must not cost the session: the refresh token that stands there is used up.
      unwritten = { entry, beside: seen };
    }
    return entry;
  }

  /** Apart from what goes on here: a fault of the app stays the app's. */
  function tell(reason: EndReason): void {
    queueMicrotask(() => onSignedOut(reason));
  }

  onChangeElsewhere(storage, key, () => inTurn(look));

  return {
    read: () => inTurn(look),
    keep: (entry) =>
      inTurn(async () => {
        seen = await storage.getItem(key);
        await write(entry);
      }),
    replace: (old, next) =>
      inTurn(async () => {
        const entry = await look();
        if (entry?.refresh_token !== old.refresh_token) return entry;
        await write(next);
        if (next === null) tell("refused");
        return next;
      }),
    empty: () =>
      inTurn(async () => {
        const entry = await look();
        // Null may mean that somebody else is signed in now, who stays.
        if (entry !== null) await write(null);
        return entry;
      }),
  };
}

/** A storage that nobody else sees. */
export function createMemory(): TokenStorage {
  const entries = new Map<string, string>();
  return {
    getItem: (key) => entries.get(key) ?? null,
    setItem: (key, value) => entries.set(key, value),
    removeItem: (key) => entries.delete(key),
  };
}

/** Null for what is no entry of ours. */
function parseEntry(text: string | null): Entry | null {
  try {
    const entry = JSON.parse(text ?? "null");
    return typeof entry?.refresh_token === "string" ? entry : null;
  } catch {
    return null;
  }
}

/** A browser tells the other tabs of a change of its own storage. */
function onChangeElsewhere(storage: TokenStorage, key: string, act: () => void): void {
  if (typeof Storage === "undefined" || !(storage instanceof Storage)) return;
  globalThis.addEventListener("storage", (event) => {
    // Only events of this type come here. A key of null says that all of it was cleared.
    const { key: changed } = event as Event & { readonly key: string | null };
    if (changed === key || changed === null) act();
  });
}
