// The worker that empties the outbox. It looks as soon as a mail was committed here, and from time to time for what
// another process committed or left behind. What cannot leave now stays in the store: nothing is lost, and only a
// crash between the server's yes and our commit can make a mail arrive twice, under one Message-ID.

import type { Log } from "../log.ts";
import type { Secrets } from "../secrets.ts";
import type { MailDueRecord, MailRecord } from "../store/keys.ts";
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
import { createBreaker, type Passage } from "./breaker.ts";
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

/** Mails under way at once, each over a connection of its own: fewer where the mail server does not take as many. */
const LANES_MAX = 12;
const PAGE = 32;
const PAGES_MAX = 100;
/** Longer than an attempt and its commits can take, so that nobody else takes a mail that is under way. */
const LEASE_MS = SEND_DEADLINE_MS + 20_000;
const RETRY_DELAY_MIN_MS = 3_000;
const RETRY_DELAY_MAX_MS = 5 * 60_000;
const LOOK_INTERVAL_MIN_MS = 250;
const LOOK_INTERVAL_MAX_MS = 15_000;
/** Shorter than the deadline in entry.ts, which ends the process in any case. */
const STOP_WAIT_MS = 3_000;
const SENT: Delivery = { outcome: "sent" };

/** Starts the worker. It never throws, and does not keep the process alive. */
export function startOutbox(deps: OutboxDeps): Outbox {
  const { kv, nowMs, log } = deps;
  const breaker = createBreaker(nowMs);
  const lanes = new Set<Promise<void>>();
  let lanesMax = LANES_MAX;
  /** Lanes that still look for mails. */
  let busy = 0;
  /** What a lane is about to claim: the others need not try. */
  const wanted = new Set<string>();
  /** What the server took while the store could not be told: this process does not send it again. */
  const accepted = new Set<string>();
  let isWoken = false;
  let isStopping = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function wake(): void {
    isWoken = true;
    if (isStopping || busy >= lanesMax) return;
    busy++;
    const lane = runLane().catch((error) => {
      log.error("outbox failed", { error: error instanceof Error ? error.message : String(error) });
      lookIn(RETRY_DELAY_MIN_MS);
    }).then(endLane).finally(() => lanes.delete(lane));
    lanes.add(lane);
  }

  /** Behind the last one nothing is kept open. */
  async function endLane(): Promise<void> {
    if (busy > 0) return;
    lanesMax = LANES_MAX;
    await deps.mailer.hangUp?.().catch(() => {});
  }

  /** Sends one mail after the other. Whoever wakes the worker while all lanes are open is heard at the end of one. */
  async function runLane(): Promise<void> {
    try {
      do {
        isWoken = false;
        while (!isStopping && await sendNext()) continue;
        await planLook();
      } while (isWoken && !isStopping && busy <= lanesMax);
    } finally {
      busy--;
    }
  }

  /** False when there is nothing to send, or the server is down. */
  async function sendNext(): Promise<boolean> {
    const passage = breaker.admit();
    if (passage === "wait") return false;
    try {
      const mail = await claimNext();
      if (mail === null) return false;
      // There may be more: one lane opens the next.
      if (passage === "open") wake();
      return await deliver(mail, passage);
    } finally {
      breaker.giveBack(passage);
    }
  }

  /** The first due mail that this worker can have, or null; and null once it is to stop. */
  async function claimNext(): Promise<MailRecord | null> {
    for (let page = 0; page < PAGES_MAX; page++) {
      const due = (await collectDueMails(kv, PAGE)).filter(({ mailId }) => !wanted.has(mailId));
      if (due.length === 0) return null;
      for (const item of due) {
        if (isStopping) return null;
        const mail = await claim(item);
        if (mail) return mail;
      }
    }
    return null;
  }

  async function claim(item: MailDueRecord): Promise<MailRecord | null> {
    if (wanted.has(item.mailId)) return null;
    wanted.add(item.mailId);
    try {
      return await claimMail(kv, item, { leaseMs: LEASE_MS });
    } finally {
      wanted.delete(item.mailId);
    }
  }

  /** False when this lane is one too many. */
  async function deliver(mail: MailRecord, passage: Passage): Promise<boolean> {
    const fields = { mail_id: mail.id, kind: mail.kind, attempt: mail.attempts };
    const letter = openMail(deps.secrets, mail);
    if (letter === null) {
      await buryMail(kv, mail, "sealed under another SECRET_KEY");
      log.error("mail cannot be opened", fields);
      return true;
    }
    const delivery = accepted.has(mail.id) ? SENT : await attempt(deps, mail, letter);
    if (delivery.outcome === "sent") accepted.add(mail.id);
    judgeServer(delivery, passage);
    const isOurs = await writeDown(kv, mail, delivery);
    accepted.delete(mail.id);

    if (!isOurs) {
      log.warn("mail lease lost", fields);
    } else if (delivery.outcome === "sent") {
      log.info("mail sent", { ...fields, waited_ms: nowMs() - mail.createdAtMs });
    } else {
      const event = delivery.outcome === "refused" ? "mail refused" : "mail put off";
      log.warn(event, { ...fields, reason: delivery.reason });
    }
    return delivery.outcome !== "crowded";
  }

  function judgeServer(delivery: Delivery, passage: Passage): void {
    if (delivery.outcome === "crowded") {
      // This lane ends, and another one takes its mail; when all is sent, as many may try again.
      lanesMax = Math.max(1, Math.min(lanesMax, busy) - 1);
      isWoken = true;
      return;
    }
    if (delivery.outcome === "unreachable") {
      if (breaker.fail(passage)) log.warn("mail server unreachable", { reason: delivery.reason });
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
    case "crowded":
    case "unreachable":
      // It stays due: for the other lanes, or until the breaker says when, and then for all mails at once.
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
