// The connection to the mail server, before anything is said on it. The runtime resolves the name, so that permission
// for this one name and port is all that the process needs; nodemailer would look it up by itself, and go anywhere.

import { connect, type LookupFunction, type Socket } from "node:net";

export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  /** What the name stands for (default: what this machine's resolver says). */
  readonly lookup?: LookupFunction;
}

/** For all addresses of the name together, and to find them. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Then the next address is tried. Node's quarter of a second is too short for a server across an ocean. */
const ADDRESS_TIMEOUT_MS = 1_000;

/** An open connection to the first address that takes one, IPv6 or IPv4. Rejects with a code, and with every reason. */
export function openConnection(options: ConnectionOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...options, autoSelectFamilyAttemptTimeout: ADDRESS_TIMEOUT_MS });
    const timer = setTimeout(() => socket.destroy(new Error("Connection timeout")), CONNECT_TIMEOUT_MS);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(Object.assign(new Error(reasonOf(error)), { code: "ECONNECTION" }));
    };
    socket.once("error", fail);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", fail);
      resolve(socket);
    });
  });
}

/** Where several addresses were tried in vain, the error itself says nothing. */
function reasonOf(error: Error): string {
  return error instanceof AggregateError
    ? error.errors.map(({ message }) => message).join(", ")
    : error.message;
}
