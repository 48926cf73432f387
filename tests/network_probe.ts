// A program that tries to get out, for tests of what keeps it in: takes its attempts as JSON, and prints what came of
// each: `open`, or the error. Started with the flags of another program, it can do what that one can.

import { openConnection } from "../src/mail/connection.ts";
import { readForeignHash } from "../src/foreign_hash.ts";
import { DJANGO_HASHES } from "./django_users.ts";

/** A way out. */
export interface Attempt {
  readonly how: keyof typeof ways;
  readonly host: string;
  readonly port: number;
}

const ways = {
  /** As the server connects to the mail server. */
  mail: async ({ host, port }: Attempt) => void (await openConnection({ host, port })).destroy(),
  connect: async ({ host, port }: Attempt) => (await Deno.connect({ hostname: host, port })).close(),
  fetch: async ({ host, port }: Attempt) => await (await fetch(`http://${host}:${port}/`)).body?.cancel(),
  resolve: async ({ host }: Attempt) => void await Deno.resolveDns(host, "A"),
  listen: ({ host, port }: Attempt) => Deno.listen({ hostname: host, port }).close(),
  /** In the thread that verifies bcrypt, and with its permissions. */
  thread: connectFromThread,
};

if (import.meta.main) {
  const attempts: Attempt[] = JSON.parse(Deno.args[0] ?? "[]");
  const outcomes: string[] = [];
  for (const attempt of attempts) {
    outcomes.push(await Promise.try(ways[attempt.how], attempt).then(() => "open", outcomeOf));
  }
  // deno-lint-ignore no-console -- what the test reads.
  console.log(JSON.stringify(outcomes));
  Deno.exit();
}

/** The name of the error, or what it says when any could have this one. */
function outcomeOf(error: Error): string {
  return error.name === "Error" ? error.message : error.name;
}

/** Puts another script where the server puts its own: everything else about the thread is the server's doing. */
async function connectFromThread({ host, port }: Attempt): Promise<void> {
  const script = `self.onmessage = () => Deno.connect({ hostname: "${host}", port: ${port} })
    .then(() => self.postMessage(true), () => self.postMessage(false));`;
  const RealWorker = globalThis.Worker;
  globalThis.Worker = class extends RealWorker {
    constructor(_script: string | URL, options?: WorkerOptions) {
      super(`data:text/javascript,${encodeURIComponent(script)}`, options);
    }
  };
  const hash = DJANGO_HASHES.find(({ name }) => name === "bcrypt")?.hash ?? "";
  // Not asked: bcrypt needs no engine.
  const isOpen = await readForeignHash(hash)?.("", { name: "native", derive: () => Promise.reject() });
  if (!isOpen) throw new Deno.errors.NotCapable("the thread cannot");
}
