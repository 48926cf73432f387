// The open connections to the mail server: who is done with one leaves it to the next mail. None is kept idle for long:
// the outbox ends them all when nothing more is to be sent.

import type { SmtpLine } from "./smtp_line.ts";

/** A line for one mail. */
export interface TakenLine {
  readonly line: SmtpLine;
  /** Another mail went over it before, so that the server may have ended it by now. */
  readonly isUsed: boolean;
}

export interface SmtpLines {
  /**
   * One that nobody else uses, opened when there is none or when a fresh one is asked for. Rejects with why there is
   * none, or with the reason of `signal`.
   */
  take(signal: AbortSignal, wish?: { readonly isFresh: boolean }): Promise<TakenLine>;
  /** For the next mail, if it is still open. */
  putBack(line: SmtpLine): void;
  /** Whether one is open, whoever uses it: then the server is there. */
  hasOpen(): boolean;
  /** Ends those that nobody uses. */
  hangUp(): Promise<void>;
}

export function createLines(open: () => Promise<SmtpLine>): SmtpLines {
  let lines: readonly SmtpLine[] = [];
  const free: SmtpLine[] = [];
  let opening: Promise<void> | undefined;
  const hasOpen = (): boolean => lines.some((line) => line.isOpen());

  async function openOne(): Promise<SmtpLine> {
    const line = await open();
    lines = [...lines.filter((line) => line.isOpen()), line];
    return line;
  }

  function putBack(line: SmtpLine): void {
    if (line.isOpen()) free.push(line);
  }

  async function takeOne(isFresh: boolean): Promise<TakenLine> {
    // Until one is open nobody knows whether the server is there: the first goes ahead alone, for all.
    if (opening && !hasOpen()) await opening;
    while (!isFresh && free.length > 0) {
      const line = free.pop();
      if (line?.isOpen()) return { line, isUsed: true };
    }
    const fresh = openOne();
    if (!hasOpen()) {
      const first = fresh.then(() => {});
      // Who asked hears of it below.
      first.catch(() => {}).finally(() => opening = undefined);
      opening = first;
    }
    return { line: await fresh, isUsed: false };
  }

  return {
    hasOpen,
    putBack,
    take(signal, { isFresh } = { isFresh: false }) {
      return new Promise((resolve, reject) => {
        const abort = (): void => reject(signal.reason);
        if (signal.aborted) return abort();
        signal.addEventListener("abort", abort, { once: true });
        takeOne(isFresh).then((taken) => {
          signal.removeEventListener("abort", abort);
          // Come too late for this mail, but not for another.
          if (signal.aborted) return putBack(taken.line);
          resolve(taken);
        }, reject);
      });
    },
    async hangUp() {
      await Promise.all(free.splice(0).map((line) => line.quit()));
    },
  };
}
