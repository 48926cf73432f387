// The worker that empties the outbox. It looks as soon as a mail was committed here, and from time to time for what
// another process committed or left behind. What cannot leave now stays in the store: nothing is lost, and only a
// crash between the server's yes and our commit can make a mail arrive twice, under one Message-ID.

import type { Log } from "../log.ts";
import type { Secrets } from "../secrets.ts";
import type { MailRecord } from "../store/keys.ts";
import type { Kv } from "../store/kv.ts";
import { type MailLetter, openMail } from "../store/mails.ts";
import {
  buryMail,
  claimMail,
  collectDueMails,
  completeMail,
  findNextDueMs,
  requeueMail,
} from "../store/mail_claims.ts";
import { type Admission, createBreaker } from "./breaker.ts";
import { renderMail } from "./content.ts";
import type { MailService } from "./letter.ts";
import { type Delivery, type Mailer, SEND_DEADLINE_MS } from "./mailer.ts";

export interface OutboxDeps {
  readonly kv: Kv;
  readonly secrets: Secrets;
  readonly nowMs: () => number;
  readonly log: Log;
  /** Whose mails these are. */
  readonly config: MailService;
  readonly mailer: Mailer;
}

export interface Outbox {
  /** A mail was committed: look now. A call that gets lost only delays it. */
  wake(): void;
  /** Resolves when everything that can leave now has left, and nothing is under way. */
  settle(): Promise<void>;
  /** Takes nothing new, and waits a few seconds for what is under way. What is not done then is due again later. */
  stop(): Promise<void>;
}

/** Mails under way at once. */
const LANES_MAX = 4;
const PAGE = 32;
const PAGES_MAX = 100;
/** Longer than an attempt and its commits can take, so that nobody else takes a mail that is under way. */
const LEASE_MS = SEND_DEADLINE_MS + 20_000;
const RETRY_DELAY_MIN_MS = 3_000;
const RETRY_DELAY_MAX_MS = 5 * 60_000;
const LOOK_INTERVAL_MIN_MS = 250;
const LOOK_INTERVAL_MAX_MS = 15_000;
const STOP_WAIT_MS = 10_000;
const SENT: Delivery = { outcome: "sent" };

/** Starts the worker. It never throws, and does not keep the process alive. */
export function startOutbox(deps: OutboxDeps): Outbox {
  const { kv, nowMs, log } = deps;
  const breaker = createBreaker(nowMs);
  const lanes = new Set<Promise<void>>();
  /** What the server took while the store could not be told: this process does not send it again. */
  const accepted = new Set<string>();
  let isWoken = false;
  let isStopping = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function wake(): void {
    isWoken = true;
    if (isStopping || lanes.size >= LANES_MAX) return;
    const lane = runLane().catch((error) => {
      log.error("outbox failed", { error: error instanceof Error ? error.message : String(error) });
      lookIn(RETRY_DELAY_MIN_MS);
    }).finally(() => lanes.delete(lane));
    lanes.add(lane);
  }

  /** Sends one mail after the other. Whoever wakes the worker while all lanes are open is heard at the end of one. */
  async function runLane(): Promise<void> {
    do {
      isWoken = false;
      while (!isStopping && await sendNext()) continue;
      await planLook();
    } while (isWoken && !isStopping);
  }

  /** False when there is nothing to send, or the server is down. */
  async function sendNext(): Promise<boolean> {
    const admission = breaker.admit();
    if (admission === "wait") return false;
    try {
      const mail = await claimNext(kv);
      if (mail === null) return false;
      // There may be more: one lane opens the next.
      if (admission === "open") wake();
      await deliver(mail, admission);
      return true;
    } finally {
      breaker.giveBack(admission);
    }
  }

  async function deliver(mail: MailRecord, admission: Admission): Promise<void> {
    const fields = { mail_id: mail.id, kind: mail.kind, attempt: mail.attempts };
    const letter = openMail(deps.secrets, mail);
    if (letter === null) {
      await buryMail(kv, mail, "sealed under another SECRET_KEY");
      return log.error("mail cannot be opened", fields);
    }
    const delivery = accepted.has(mail.id) ? SENT : await attempt(deps, mail, letter);
    if (delivery.outcome === "sent") accepted.add(mail.id);
    judgeServer(delivery, admission);
    const isOurs = await writeDown(kv, mail, delivery);
    accepted.delete(mail.id);

    if (!isOurs) return log.warn("mail lease lost", fields);
    if (delivery.outcome === "sent") {
      return log.info("mail sent", { ...fields, waited_ms: nowMs() - mail.createdAtMs });
    }
    const event = delivery.outcome === "refused" ? "mail refused" : "mail put off";
    log.warn(event, { ...fields, reason: delivery.reason });
  }

  function judgeServer(delivery: Delivery, admission: Admission): void {
    if (delivery.outcome === "unreachable") {
      if (breaker.fail(admission)) log.warn("mail server unreachable", { reason: delivery.reason });
      return;
    }
    if (breaker.succeed()) log.info("mail server back");
  }

  async function planLook(): Promise<void> {
    const dueAtMs = await findNextDueMs(kv);
    // Jitter: several processes on one store should not all look at the same moment.
    if (dueAtMs === null) return lookIn(LOOK_INTERVAL_MAX_MS * (0.75 + Math.random() / 4));
    lookIn(Math.max(dueAtMs, breaker.probeAtMs() ?? 0) - nowMs());
  }

  function lookIn(delayMs: number): void {
    clearTimeout(timer);
    if (isStopping) return;
    timer = setTimeout(wake, Math.min(Math.max(delayMs, LOOK_INTERVAL_MIN_MS), LOOK_INTERVAL_MAX_MS));
    Deno.unrefTimer(timer);
  }

  wake();
  return {
    wake,
    async settle(): Promise<void> {
      wake();
      while (lanes.size > 0) await Promise.all(lanes);
    },
    async stop(): Promise<void> {
      isStopping = true;
      clearTimeout(timer);
      await within(STOP_WAIT_MS, Promise.all(lanes));
    },
  };
}

/** The longest due mail that this worker can have, or null. */
async function claimNext(kv: Kv): Promise<MailRecord | null> {
  for (let page = 0; page < PAGES_MAX; page++) {
    const due = await collectDueMails(kv, PAGE);
    if (due.length === 0) return null;
    for (const item of due) {
      const mail = await claimMail(kv, item, { leaseMs: LEASE_MS });
      if (mail) return mail;
    }
  }
  return null;
}

async function attempt(
  { config, mailer }: OutboxDeps,
  { id }: MailRecord,
  { to, content }: MailLetter,
): Promise<Delivery> {
  try {
    const rendered = await renderMail(config, content);
    const code = "code" in content ? content.code : null;
    return await mailer.send({ id, kind: content.kind, to, code, ...rendered });
  } catch {
    return { outcome: "delayed", reason: "mailer failed" };
  }
}

/** False when another worker has taken the mail over. */
function writeDown(kv: Kv, mail: MailRecord, delivery: Delivery): Promise<boolean> {
  switch (delivery.outcome) {
    case "sent":
      return completeMail(kv, mail);
    case "refused":
      return buryMail(kv, mail, delivery.reason);
    case "delayed": {
      const delayMs = Math.min(Math.max(mail.retryDelayMs * 2, RETRY_DELAY_MIN_MS), RETRY_DELAY_MAX_MS);
      return requeueMail(kv, mail, { reason: delivery.reason, delayMs, retryDelayMs: delayMs });
    }
    case "unreachable":
      // It stays due: the breaker says when, and then for all mails at once.
      return requeueMail(kv, mail, { reason: delivery.reason, delayMs: 0, retryDelayMs: mail.retryDelayMs });
  }
}

async function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
