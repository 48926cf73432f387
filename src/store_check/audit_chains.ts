// The chains of the audit trail, as far as they show without SECRET_KEY: each goes on without a gap to its head, and
// events are missing only where they have ended. Of what a running server adds meanwhile only the head is looked for.

import type { AuditEventRecord, AuditHeadRecord } from "../store/audit_event.ts";
import { keys } from "../store/keys.ts";
import { isPresent, type Kv } from "../store/kv.ts";
import { pagesOf } from "../store/page.ts";
import { type Examiner, kindOf, nameOf, type Suspect } from "./examiner.ts";

type Link = Pick<AuditEventRecord, "number" | "hash">;

const BEFORE_THE_FIRST: Link = { number: 0, hash: "" };
const EVENTS = kindOf(keys.auditEvents());
const STEP = 500;

/**
 * Takes all events, oldest first: within a chain ids go up. None may have been read before this has read the heads.
 * Keeps one or two events of each chain in mind.
 */
export async function createChainExaminer(kv: Kv): Promise<Examiner> {
  const heads = await collectHeads(kv);
  const links = new Map<string, Link>();
  /** By chain, the last event beyond the head that was read at first. */
  const beyond = new Map<string, AuditEventRecord>();

  function follow(event: AuditEventRecord): Suspect[] {
    const { chain, number } = event;
    const head = heads.get(chain);
    if (!head || number > head.number) {
      beyond.set(chain, event);
      return [];
    }
    const before = links.get(chain) ?? BEFORE_THE_FIRST;
    links.set(chain, event);
    return isNext(event, before, kv.nowMs()) ? [] : [gap(kv, event, before)];
  }

  return {
    examine(records) {
      const events = records.filter(({ key }) => kindOf(key) === EVENTS).map(({ value }) => value);
      return Promise.resolve(events.filter(isEvent).flatMap(follow));
    },
    async conclude() {
      return [
        ...[...heads].filter(([chain, head]) => isEarlyEnd(kv, head, links.get(chain)))
          .map(([chain, head]) => earlyEnd(kv, { chain, head, last: links.get(chain) })),
        ...await findOverruns(kv, [...beyond.values()]),
      ];
    },
  };
}

/** An event follows the one before it, unless that one has ended; those of a chain end in its order. */
function isNext(
  { number, previousHash, previousExpiresAtMs }: AuditEventRecord,
  before: Link,
  nowMs: number,
): boolean {
  if (number === before.number + 1) return previousHash === before.hash;
  return number > before.number + 1 && previousExpiresAtMs <= nowMs;
}

function gap(kv: Kv, { id }: AuditEventRecord, before: Link): Suspect {
  const key = keys.auditEvent(id);
  const fault = `${nameOf(key)} does not follow event ${Number(before.number)} of its chain`;
  return {
    faults: [fault],
    async lookAgain() {
      const { value: event } = await kv.find(key);
      return event === null || isNext(event, before, kv.nowMs()) ? [] : [fault];
    },
  };
}

function isEarlyEnd(kv: Kv, head: AuditHeadRecord, last: Link | undefined): boolean {
  const isReached = last?.number === head.number && last.hash === head.hash;
  return !isReached && head.newestExpiresAtMs > kv.nowMs();
}

function earlyEnd(
  kv: Kv,
  { chain, head, last }: {
    readonly chain: string;
    readonly head: AuditHeadRecord;
    readonly last: Link | undefined;
  },
): Suspect {
  const fault = `${nameOf(keys.auditHead(chain))} is not that of the last event of its chain`;
  return {
    faults: [fault],
    lookAgain: () => Promise.resolve(isEarlyEnd(kv, head, last) ? [fault] : []),
  };
}

/** Events that no head knows: a server writes both in one commit. The heads are read anew, because it goes on. */
async function findOverruns(kv: Kv, events: readonly AuditEventRecord[]): Promise<Suspect[]> {
  const heads = await collectHeads(kv);
  return events.filter(({ chain, number }) => number > (heads.get(chain)?.number ?? 0)).map(({ id }) => {
    const faults = [`${nameOf(keys.auditEvent(id))} is beyond the head of its chain`];
    return { faults, lookAgain: () => Promise.resolve(faults) };
  });
}

async function collectHeads(kv: Kv): Promise<ReadonlyMap<string, AuditHeadRecord>> {
  const heads = new Map<string, AuditHeadRecord>();
  for await (const page of pagesOf(kv, keys.auditHeads(), STEP)) {
    for (const { key, value } of page.filter(isPresent)) heads.set(key.path.slice(1).join("/"), value);
  }
  return heads;
}

/** The rules say so of what is none. */
function isEvent(value: unknown): value is AuditEventRecord {
  return typeof value === "object" && value !== null && "chain" in value && "number" in value;
}
