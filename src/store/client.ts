// Who asks, as far as the network and the request say: what sessions remember, notices tell and the audit trail names.

import type { Deps } from "../deps.ts";
import type { Occasion } from "../mail/letter.ts";

export interface Client {
  /** The network address, for people. */
  readonly address: string;
  /** The keyed hash of its network, for keys. */
  readonly networkHash: string;
  /** Printable and short; null when the client did not say. */
  readonly userAgent: string | null;
  /** Of the request that it makes now. */
  readonly requestId: string;
}

/** Who does something. An operator works on the command line, as nobody in particular and from no network. */
export type Actor =
  | { readonly kind: "anyone"; readonly id: null; readonly client: Client }
  | { readonly kind: "user" | "admin"; readonly id: string; readonly client: Client }
  | { readonly kind: "operator"; readonly id: null; readonly client: null };

/** Whoever has the machine. */
export const OPERATOR: Actor = { kind: "operator", id: null, client: null };

/** Somebody who has not shown who they are. */
export function anyone(client: Client): Actor {
  return { kind: "anyone", id: null, client };
}

/** An account in its own affairs. */
export function owner(userId: string, client: Client): Actor {
  return { kind: "user", id: userId, client };
}

/** An account in somebody else's, or the server's. */
export function admin(userId: string, client: Client): Actor {
  return { kind: "admin", id: userId, client };
}

/** When and from where, for the mail that tells of it. */
export function occasion({ kv }: Pick<Deps, "kv">, { address, userAgent }: Client): Occasion {
  return { atMs: kv.nowMs(), ip: address, device: userAgent };
}
