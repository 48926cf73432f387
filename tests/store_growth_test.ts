// What strangers leave behind: thousands of requests from many networks for many addresses, all public operations. Every
// record they cause has an end within the life of its kind, and once that has passed the store is as it was before.
// STRANGERS=100000 sends as many requests as that.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { RouteConfig } from "@hono/zod-openapi";
import { readMe } from "../openapi/account.ts";
import { confirmPasswordReset, requestPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { register, resendOtp, verifyOtp } from "../openapi/registration.ts";
import { readReadiness } from "../openapi/service.ts";
import { login, refreshTokens, verifyToken } from "../openapi/sessions.ts";
import type { AuditEventRecord } from "../src/store/audit_event.ts";
import { keys } from "../src/store/keys.ts";
import { DAY_MS, HOUR_MS, PASSWORD, START_MS, startServer, type TestServer } from "./harness.ts";
import { signUp } from "./person.ts";
import { eventually } from "./process.ts";

const REQUESTS = Number(Deno.env.get("STRANGERS") ?? "2000");
const NETWORKS = REQUESTS / 10;
const LANES = 16;
/** Between two requests: all of them come within a few minutes, the windows of some end. */
const PACE_MS = 100;
/** So many cost no password hash for one that does. */
const CHEAP = 40;
const EMAIL = "ada@example.org";
const AUDIT_LIFE_MS = 365 * DAY_MS;
/** Of events that concern no account. */
const NOBODYS_LIFE_MS = 7 * DAY_MS;
/** Mails are kept for the report. */
const MAIL_LIFE_MS = DAY_MS + 30 * DAY_MS;

/** Every kind of record that strangers cause, and how long one may be kept from the last request that touched it. */
const lives: Readonly<Record<string, number>> = {
  // The longest window, and the slot that a request is counted in.
  windows: DAY_MS + DAY_MS / 256,
  // A pending registration, REGISTRATION_TTL; every other challenge ends with its code.
  challenges: DAY_MS,
  usernames: DAY_MS,
  mails: MAIL_LIFE_MS,
  mails_by_owner: MAIL_LIFE_MS,
  mails_by_state: MAIL_LIFE_MS,
  // AUDIT_RETENTION. The limits of an account bound how many there are of it.
  audit_events: AUDIT_LIFE_MS,
  audit_by_user: AUDIT_LIFE_MS,
  audit_by_type: AUDIT_LIFE_MS,
  "audit_events of nobody": NOBODYS_LIFE_MS,
  "audit_by_user of nobody": NOBODYS_LIFE_MS,
  "audit_by_type of nobody": NOBODYS_LIFE_MS,
};
/** What has no end, and never more records than this, however many requests there are. */
const bounded: Readonly<Record<string, number>> = { audit_heads: 2 * 64, probe: 1 };
/** When all of it has ended, and Deno KV's own slack. */
const ALL_OVER_MS = AUDIT_LIFE_MS + HOUR_MS;
/** For the heads of the audit trail's chains, and what SQLite keeps half full. */
const PAGES_SPARE = 16;

Deno.test("growth: what strangers leave has an end, and after that the store is as large as before", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "latchkey_" });
  const path = `${folder}/store.kv`;
  try {
    {
      await using server = await startServer({ storePath: path });
      await signUp(server, { email: EMAIL });
    }
    const lasting = await letTimePass(path);
    const pagesBefore = pagesIn(path);

    const first = await storm(path, START_MS + ALL_OVER_MS);
    await t.step(
      `a request leaves ${Math.round(first.bytes / REQUESTS)} bytes, until its records end`,
      () => {
        for (const { kind, endsInMs } of first.ending) {
          assert(endsInMs <= (lives[kind] ?? 0), `A record of ${kind} ends in ${endsInMs} ms`);
        }
        assert.deepEqual(
          [...new Set(first.ending.map(({ kind }) => kind))].sort(),
          Object.keys(lives).sort(),
        );
        for (const [kind, count] of first.lasting) {
          const before = lasting.get(kind) ?? 0;
          assert(
            count === before || count <= (bounded[kind] ?? 0),
            `${count} records of ${kind}, ${before} before`,
          );
        }
      },
    );
    const pagesFull = pagesIn(path);

    const after = await letTimePass(path);
    await t.step("once they have ended nothing but what was there before is there", () => {
      assert.deepEqual(withoutBounded(after), withoutBounded(lasting));
    });

    const pages = pagesIn(path);
    await t.step(
      `its pages are free for the next: ${pages} of ${pagesFull} are in use, before ${pagesBefore}`,
      () => {
        assert(pages <= pagesBefore + PAGES_SPARE, `${pages} pages are in use, before ${pagesBefore}`);
      },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** How many records of each kind there are. */
type Counts = ReadonlyMap<string, number>;

interface Leftovers {
  readonly ending: readonly { readonly kind: string; readonly endsInMs: number }[];
  readonly lasting: Counts;
  /** Of keys and values. */
  readonly bytes: number;
}

/** All requests, on the clock of `nowMs`, a few at a time; then what stands in the store that ends, and what does not. */
async function storm(path: string, nowMs: number): Promise<Leftovers> {
  const before = bytesIn(path);
  const ending: { kind: string; endsInMs: number }[] = [];
  const lasting = new Map<string, number>();
  {
    await using server = await startServer({ storePath: path });
    server.clock.nowMs = nowMs;
    await Promise.all(Array.from({ length: LANES }, async (_, lane) => {
      for (let request = lane; request < REQUESTS; request += LANES) await ask(server, request);
    }));
    await server.mails();
    const nobodysIds = await findNobodysEvents(server);
    for await (
      const { key, value } of server.db.list<{ readonly expiresAtMs?: number } | null>({ prefix: [] })
    ) {
      const kind = nobodysIds.has(String(key.at(-1))) ? `${String(key[0])} of nobody` : String(key[0]);
      if (value?.expiresAtMs === undefined) lasting.set(kind, (lasting.get(kind) ?? 0) + 1);
      else ending.push({ kind, endsInMs: value.expiresAtMs - server.clock.nowMs });
    }
  }
  return { ending, lasting, bytes: bytesIn(path) - before };
}

/** The ids of events in which a stranger met no account. */
async function findNobodysEvents({ db }: TestServer): Promise<ReadonlySet<string>> {
  const { path: prefix } = keys.auditEvents();
  const events = await Array.fromAsync(db.list<AuditEventRecord>({ prefix }), ({ value }) => value);
  const nobodys = events.filter(({ actorKind, userId }) => actorKind === "anyone" && userId === null);
  return new Set(nobodys.map(({ id }) => id));
}

/** One request of a stranger, made of its number. Most cost no password hash: there are few of those that do. */
async function ask(server: TestServer, number: number): Promise<void> {
  const id = `0193${number.toString(16).padStart(4, "0").slice(-4)}-0000-7000-8000-${
    number.toString(16).padStart(12, "0")
  }`;
  const email = `stranger-${number}@example.net`;
  const code = "012345";
  const requests: readonly (readonly [route: RouteConfig, json?: unknown])[] = [
    [verifyToken, { token: `junk-${number}` }],
    [refreshTokens, { refresh_token: `lkr_${number}` }],
    [resendOtp, { challenge_id: id }],
    [verifyOtp, { challenge_id: id, code }],
    [requestPasswordReset, { email }],
    [requestPasswordReset, { email: EMAIL }],
    [verifyPasswordResetOtp, { challenge_id: id, code }],
    [confirmPasswordReset, { reset_token: `lkp_${"a".repeat(43)}`, new_password: PASSWORD }],
    [readMe],
    [readReadiness],
  ];
  const costly: readonly (readonly [route: RouteConfig, json: unknown])[] = [
    [login, { email, password: PASSWORD }],
    [login, { email: EMAIL, password: "amber-kettle-81" }],
    [register, { email, password: PASSWORD, username: `stranger-${number}` }],
    [register, { email: EMAIL, password: PASSWORD }],
  ];
  const isCostly = number % CHEAP === 0;
  server.clock.nowMs += PACE_MS;
  const list = isCostly ? costly : requests;
  const [route, json] = list[Math.floor(isCostly ? number / CHEAP : number) % list.length] ??
    [verifyToken, {}];
  await server.call(route, { ...(json === undefined ? {} : { json }), ip: addressOf(number) });
}

/** IPv4 and IPv6, some of them again and again. */
function addressOf(number: number): string {
  const network = Math.floor(number * 7919 % NETWORKS);
  return network % 2 === 0
    ? `10.${network >> 16 & 255}.${network >> 8 & 255}.${network & 255}`
    : `2001:db8:${(network >> 16).toString(16)}:${(network & 0xffff).toString(16)}::${number % 1000}`;
}

/**
 * As if so much time had passed: every end that Deno KV has written down comes that much sooner. Then it is opened,
 * which sweeps. Gives what is left.
 */
async function letTimePass(path: string): Promise<Counts> {
  const database = new DatabaseSync(path);
  database.prepare("UPDATE kv SET expiration_ms = expiration_ms - ? WHERE expiration_ms >= 0").run(
    ALL_OVER_MS,
  );
  database.close();
  const db = await Deno.openKv(path);
  try {
    return await eventually("all that has ended is swept", async () => {
      const entries = await Array.fromAsync(
        db.list<{ readonly expiresAtMs?: number } | null>({ prefix: [] }),
      );
      if (entries.some(({ value }) => value?.expiresAtMs !== undefined)) return null;
      const kinds = Map.groupBy(entries, ({ key: [kind] }) => String(kind));
      return new Map([...kinds].map(([kind, records]) => [kind, records.length]));
    });
  } finally {
    db.close();
  }
}

function bytesIn(path: string): number {
  const database = new DatabaseSync(path, { readOnly: true });
  const row = database.prepare("SELECT sum(length(k) + length(v)) AS bytes FROM kv").get();
  database.close();
  return Number(row?.bytes ?? 0);
}

/** Pages that hold something. The others are used again before the file grows. */
function pagesIn(path: string): number {
  const database = new DatabaseSync(path, { readOnly: true });
  const count = (name: string): number => Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
  const used = count("page_count") - count("freelist_count");
  database.close();
  return used;
}

function withoutBounded(counts: Counts): [string, number][] {
  return [...counts].filter(([kind]) => !(kind in bounded)).sort();
}
