// Who asks, as far as the network and the request say: what sessions remember and notices tell.

import type { Deps } from "../deps.ts";
import type { Occasion } from "../mail/letter.ts";

export interface Client {
  /** The network address, for people. */
  readonly address: string;
  /** The keyed hash of its network, for keys. */
  readonly networkHash: string;
  /** Printable and short; null when the client did not say. */
  readonly userAgent: string | null;
}

/** When and from where, for the mail that tells of it. */
export function occasion({ nowMs }: Pick<Deps, "nowMs">, { address, userAgent }: Client): Occasion {
  return { atMs: nowMs(), ip: address, device: userAgent };
}
