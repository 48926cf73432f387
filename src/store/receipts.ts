// Commits over a network. When an answer gets lost Deno's client sends the commit again, and then either does it twice,
// or is told that a check failed: its own, on what it had just changed. So each commit there also writes a receipt,
// and checks that it has not: it happens once at most, and whether it did can be read.

import { keys, type ReceiptRecord } from "./keys.ts";

/** Commits `operation` at most once, however often it is sent. True when it has happened. Takes one check of it. */
export type CommitOnce = (operation: Deno.AtomicOperation) => Promise<boolean>;

/** A record for receipts that no other commit uses meanwhile. */
interface Slip {
  readonly path: Deno.KvKey;
  readonly versionstamp: string | null;
  /** On the clock of `performance.now()`. */
  readonly writtenAtMs: number;
}

const RECEIPT_TTL_MS = 24 * 60 * 60 * 1000;
/** A slip that may have been swept is not used again. */
const SLIP_AGE_MAX_MS = RECEIPT_TTL_MS / 2;
/**
 * Deno's client sends a request that is longer than 1 KiB in two packets, and keeps the second until the first one is
 * acknowledged (denoland/deno, pull request 35581), for which a kernel that has nothing to answer takes 40 ms. So
 * every commit is made that long, and follows a read that is answered at once.
 */
const FILLING = new Uint8Array(1024);

/** For one open store. There are as many slips as there are commits under way at once. */
export function createCommitOnce(db: Deno.Kv): CommitOnce {
  const processId = crypto.randomUUID();
  const free: Slip[] = [];
  let slips = 0;
  let commits = 0;

  function takeSlip(): Slip {
    const slip = free.pop();
    if (slip && performance.now() - slip.writtenAtMs < SLIP_AGE_MAX_MS) return slip;
    return { path: keys.receipt(processId, slips++).path, versionstamp: null, writtenAtMs: 0 };
  }

  return async (operation) => {
    // Not given back when this throws: nobody knows what will stand there.
    const { path, versionstamp } = takeSlip();
    const number = commits++;
    const writtenAtMs = performance.now();
    operation.check({ key: path, versionstamp })
      .set(path, { number, filling: FILLING }, { expireIn: RECEIPT_TTL_MS });
    const forerunner = db.get(path).catch(() => null);
    const [result] = await Promise.all([operation.commit(), forerunner]);
    if (result.ok) {
      free.push({ path, versionstamp: result.versionstamp, writtenAtMs });
      return true;
    }
    const receipt = await db.get<ReceiptRecord>(path);
    free.push({ path, versionstamp: receipt.versionstamp, writtenAtMs });
    return receipt.value?.number === number;
  };
}
