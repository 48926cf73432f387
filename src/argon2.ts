// Argon2 (RFC 9106): bytes in, bytes out, from whichever engine this process may use, and the PHC strings that
// carry its results. The native engine is three times as fast but needs --allow-ffi; WebCrypto's (Deno 2.9 and
// later) needs no permission. Both give the same bytes, so a hash made by one verifies with the other.

/** What one hash costs. `memoryKib` is at least 8 times `lanes`. */
export interface Argon2Cost {
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
}

/** A stored hash, taken apart. */
export interface Argon2Hash {
  readonly cost: Argon2Cost;
  readonly salt: Uint8Array<ArrayBuffer>;
  readonly tag: Uint8Array<ArrayBuffer>;
}

/** Ours are all `argon2id`; what was imported may be the older one. */
export type Argon2Variant = "argon2id" | "argon2i";

/** What is to be derived: how dear, with which salt, how long. */
export interface Argon2Request {
  /** Default: `argon2id`. */
  readonly variant?: Argon2Variant;
  readonly cost: Argon2Cost;
  readonly salt: Uint8Array<ArrayBuffer>;
  readonly tagBytes: number;
}

export type Argon2EngineName = "native" | "webcrypto";

export interface Argon2Engine {
  readonly name: Argon2EngineName;
  /** Works off the main thread, so that the event loop stays free. */
  derive(secret: Uint8Array<ArrayBuffer>, request: Argon2Request): Promise<Uint8Array>;
}

// A stored hash may come from an import. Beyond these it could stop the server instead of signing somebody in.
const MEMORY_KIB_MAX = 1024 * 1024;
const PASSES_MAX = 10;
const LANES_MAX = 16;
const SALT_BYTES = { min: 8, max: 64 };
const TAG_BYTES = { min: 16, max: 64 };

const PHC =
  /^\$(argon2id?)\$v=19\$m=([1-9]\d{0,6}),t=([1-9]\d?),p=([1-9]\d?)\$([A-Za-z0-9+/]{1,86})\$([A-Za-z0-9+/]{1,86})$/;

const loaders: Record<Argon2EngineName, () => Promise<Argon2Engine>> = {
  native: loadNative,
  webcrypto: loadWebCrypto,
};

/**
 * The first of `names` that works here; each is asked for one tiny hash. Throws when none does. Without
 * --allow-ffi the native one asks at a terminal, so the server runs with --no-prompt.
 */
export async function loadArgon2(
  names: readonly Argon2EngineName[] = ["native", "webcrypto"],
): Promise<Argon2Engine> {
  const causes: unknown[] = [];
  for (const name of names) {
    try {
      return await loaders[name]();
    } catch (cause) {
      causes.push(cause);
    }
  }
  throw new AggregateError(
    causes,
    "No Argon2id here: allow FFI on @node-rs/argon2, or run Deno 2.9 or later",
  );
}

/** `$argon2id$v=19$m=…,t=…,p=…$salt$tag`, base64 without padding. */
export function formatPhc({ cost, salt, tag }: Argon2Hash): string {
  const parameters = `m=${cost.memoryKib},t=${cost.passes},p=${cost.lanes}`;
  return `$argon2id$v=19$${parameters}$${toBase64(salt)}$${toBase64(tag)}`;
}

/** The parts of a PHC string of `variant`; null when it is anything else, or dearer than a server should pay for. */
export function parsePhc(text: string, variant: Argon2Variant = "argon2id"): Argon2Hash | null {
  const [, name, memory, passes, lanes, saltText, tagText] = PHC.exec(text) ?? [];
  if (name !== variant || saltText === undefined || tagText === undefined) return null;
  const cost = { memoryKib: Number(memory), passes: Number(passes), lanes: Number(lanes) };
  if (!isPayable(cost)) return null;
  const salt = fromBase64(saltText, SALT_BYTES);
  const tag = fromBase64(tagText, TAG_BYTES);
  return salt && tag && { cost, salt, tag };
}

function isPayable({ memoryKib, passes, lanes }: Argon2Cost): boolean {
  return memoryKib <= MEMORY_KIB_MAX && passes <= PASSES_MAX && lanes <= LANES_MAX && memoryKib >= 8 * lanes;
}

/** Its enum, which a module of its own cannot import. */
const NATIVE_ALGORITHMS: Record<Argon2Variant, number> = { argon2i: 1, argon2id: 2 };
const WEBCRYPTO_ALGORITHMS: Record<Argon2Variant, string> = { argon2i: "Argon2i", argon2id: "Argon2id" };

async function loadNative(): Promise<Argon2Engine> {
  const { hashRaw } = await import("@node-rs/argon2");
  return provenEngine({
    name: "native",
    // Its default is version 19.
    derive: (secret, { variant = "argon2id", cost, salt, tagBytes }) =>
      hashRaw(secret, {
        algorithm: NATIVE_ALGORITHMS[variant],
        memoryCost: cost.memoryKib,
        timeCost: cost.passes,
        parallelism: cost.lanes,
        outputLen: tagBytes,
        salt,
      }),
  });
}

function loadWebCrypto(): Promise<Argon2Engine> {
  return provenEngine({
    name: "webcrypto",
    async derive(secret, { variant = "argon2id", cost, salt, tagBytes }): Promise<Uint8Array> {
      const name = WEBCRYPTO_ALGORITHMS[variant];
      // TypeScript does not know this key format yet; Deno does, and rejects it where it does not.
      const format = "raw-secret" as "raw";
      const key = await crypto.subtle.importKey(format, secret, name, false, ["deriveBits"]);
      const algorithm = {
        name,
        nonce: salt,
        memory: cost.memoryKib,
        passes: cost.passes,
        parallelism: cost.lanes,
      };
      return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, tagBytes * 8));
    },
  });
}

async function provenEngine(engine: Argon2Engine): Promise<Argon2Engine> {
  const cost = { memoryKib: 8, passes: 1, lanes: 1 };
  await engine.derive(new Uint8Array(8), { cost, salt: new Uint8Array(16), tagBytes: 16 });
  return engine;
}

function toBase64(bytes: Uint8Array): string {
  return bytes.toBase64({ omitPadding: true });
}

/** Null unless `text` is the one spelling of its bytes, and they are as many as allowed. */
function fromBase64(
  text: string,
  { min, max }: { readonly min: number; readonly max: number },
): Uint8Array<ArrayBuffer> | null {
  try {
    const padding = "=".repeat(-text.length & 3);
    const bytes = Uint8Array.fromBase64(text + padding, { lastChunkHandling: "strict" });
    return bytes.length >= min && bytes.length <= max ? bytes : null;
  } catch {
    return null;
  }
}
