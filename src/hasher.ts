// Password hashes: argon2id at the OWASP minimum (m=19456, t=2, p=1), stored as PHC strings. Whoever asks pays for
// one hash, whether the account exists or not, so that time tells nothing (ASVS 6.3.8). As many hashes run as there
// are cores; behind them waits a queue with an end, so that a flood is refused before it fills the memory.

import { timingSafeEqual } from "node:crypto";
import {
  type Argon2Engine,
  type Argon2EngineName,
  type Argon2Hash,
  formatPhc,
  loadArgon2,
  parsePhc,
} from "./argon2.ts";
import { readForeignHash } from "./foreign_hash.ts";

export interface Hasher {
  /** The engine in use; the native one is three times as fast. */
  readonly name: Argon2EngineName;
  /** A PHC string with a salt of its own. Rejects with HashQueueFull. */
  hash(plainPassword: string): Promise<string>;
  /**
   * False for null and for a hash that nobody can read, after the work of one hash; a foreign hash takes the work of
   * its own kind. Rejects with HashQueueFull.
   */
  verify(plainPassword: string, passwordHash: string | null): Promise<boolean>;
  /** True when the cost differs from today's: hash again at the next sign-in, so that all accounts cost the same. */
  needsRehash(passwordHash: string): boolean;
  /** For metrics and readiness. */
  load(): { readonly running: number; readonly waiting: number };
}

export interface HasherOptions {
  readonly engine?: Argon2Engine;
  /** Hashes at once; each takes 19 MiB. Default: one a core. */
  readonly runningMax?: number;
  /** Hashes that may wait for a core. */
  readonly waitingMax?: number;
}

/** Stands where an account has no password: it can be reset, and until then nobody signs in with one. */
export const NO_PASSWORD_HASH = "!";

/** Too many hashes wait already. Becomes 503 `unavailable`; nothing was hashed. */
export class HashQueueFull extends Error {
  override readonly name = "HashQueueFull";
}

const COST = { memoryKib: 19_456, passes: 2, lanes: 1 };
const SALT_BYTES = 16;
const TAG_BYTES = 32;
const WAITING_MAX = 512;

/** What is computed for an account that does not exist. Its tag is never looked at. */
const DECOY: Argon2Hash = { cost: COST, salt: new Uint8Array(SALT_BYTES), tag: new Uint8Array(TAG_BYTES) };

/** Loads the fastest engine that this process may use. Throws when there is none. */
export async function createHasher(options: HasherOptions = {}): Promise<Hasher> {
  const { runningMax = navigator.hardwareConcurrency, waitingMax = WAITING_MAX } = options;
  const engine = options.engine ?? await loadArgon2();
  const queue = createQueue({ runningMax, waitingMax });
  const derive = (plainPassword: string, { cost, salt, tag }: Argon2Hash): Promise<Uint8Array> =>
    queue.run(() => engine.derive(secretOf(plainPassword), { cost, salt, tagBytes: tag.length }));

  return {
    name: engine.name,
    load: queue.load,
    async hash(plainPassword): Promise<string> {
      const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
      const tag = new Uint8Array(await derive(plainPassword, { ...DECOY, salt }));
      return formatPhc({ cost: COST, salt, tag });
    },
    async verify(plainPassword, passwordHash): Promise<boolean> {
      const verifyForeign = readForeignHash(passwordHash ?? "");
      if (verifyForeign) return await queue.run(() => verifyForeign(plainPassword, engine));
      const known = passwordHash === null ? null : parsePhc(passwordHash);
      const expected = known ?? DECOY;
      const isSame = timingSafeEqual(await derive(plainPassword, expected), expected.tag);
      return known !== null && isSame;
    },
    needsRehash(passwordHash): boolean {
      const known = parsePhc(passwordHash);
      return known === null || shapeOf(known) !== shapeOf(DECOY);
    },
  };
}

/** Whether `verify` can answer true for this hash. */
export function isReadableHash(passwordHash: string): boolean {
  return parsePhc(passwordHash) !== null || readForeignHash(passwordHash) !== null;
}

/** NIST SP 800-63B-4 section 3.1.1.2: one spelling of a password, whatever the keyboard sent. */
function secretOf(plainPassword: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(plainPassword.normalize("NFC"));
}

function shapeOf({ cost, salt, tag }: Argon2Hash): string {
  return [cost.memoryKib, cost.passes, cost.lanes, salt.length, tag.length].join();
}

interface Queue {
  run<Result>(task: () => Promise<Result>): Promise<Result>;
  load(): { readonly running: number; readonly waiting: number };
}

/** First come, first served. A place is held until the task has ended, not until the caller gives up. */
function createQueue(
  { runningMax, waitingMax }: { readonly runningMax: number; readonly waitingMax: number },
): Queue {
  const waiting: (() => void)[] = [];
  let running = 0;

  const enter = async (): Promise<void> => {
    if (running < runningMax) {
      running++;
      return;
    }
    if (waiting.length >= waitingMax) throw new HashQueueFull(`${waitingMax} hashes wait already`);
    await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const leave = (): void => {
    const next = waiting.shift();
    // The place passes on as it is, so that a newcomer cannot slip in between.
    if (next) return next();
    running--;
  };

  return {
    load: () => ({ running, waiting: waiting.length }),
    async run<Result>(task: () => Promise<Result>): Promise<Result> {
      await enter();
      try {
        return await task();
      } finally {
        leave();
      }
    },
  };
}
