// A limit under random schedules, in real time: when each request was surely under way is known, and so is when more were
// admitted than the window allows, or one was refused although there was room.

import { login } from "../../openapi/sessions.ts";
import { openDesk } from "./desk.ts";
import { type Figure, pause, pick } from "./figure.ts";

const LIMIT = 4;
const WINDOW_MS = 3_000;
const SCHEDULES = 20;

interface Span {
  readonly sentMs: number;
  readonly receivedMs: number;
}

export const windows: Figure = {
  number: 3,
  name: "Requests admitted over a limit of 4 in 3 s, and wrongly refused, over random schedules",
  goal: "0 over; at most 1 % wrongly refused",
  async measure({ isQuick, random }) {
    await using desk = await openDesk({ THROTTLE_LOGIN: `${LIMIT}/${WINDOW_MS / 1000}s` });
    const requests = isQuick ? 30 : 200;
    const schedules = Array.from({ length: SCHEDULES }, (_, number) => {
      const waitsMs = Array.from({ length: requests }, () => random() < 0.3 ? 0 : pick(random, 400));
      return { ip: `192.0.2.${number}`, waitsMs };
    });
    const tallies = await Promise.all(schedules.map(async ({ ip, waitsMs }) => {
      const admitted: Span[] = [];
      const refused: Span[] = [];
      await Promise.all(waitsMs.map(async (_, index) => {
        await pause(waitsMs.slice(0, index + 1).reduce((sum, ms) => sum + ms, 0));
        const sentMs = performance.now();
        // Nobody's address: the limit by network is the one that counts.
        const json = { email: `${ip}-${index}@example.org`, password: "wrong" };
        const { status } = await desk.ask(login, { json, ip });
        (status === 429 ? refused : admitted).push({ sentMs, receivedMs: performance.now() });
      }));
      return { over: overOf(admitted), wrong: wrongOf(admitted, refused), asked: waitsMs.length };
    }));
    const sum = (member: "over" | "wrong" | "asked"): number =>
      tallies.reduce((total, tally) => total + tally[member], 0);
    const share = sum("wrong") / sum("asked");
    return {
      value: `${sum("over")} over, ${(share * 100).toFixed(2)} % wrongly refused, of ${sum("asked")}`,
      isMet: sum("over") === 0 && share <= 0.01,
    };
  },
};

/** Sets of one more than the limit that were sent and answered within less than a window. */
function overOf(admitted: readonly Span[]): number {
  const bySent = admitted.toSorted((a, b) => a.sentMs - b.sentMs);
  return bySent.filter((first, index) => {
    const set = bySent.slice(index, index + LIMIT + 1);
    return set.length > LIMIT &&
      Math.max(...set.map(({ receivedMs }) => receivedMs)) - first.sentMs < WINDOW_MS;
  }).length;
}

/** Refused, although even with all that may have counted there was room. */
function wrongOf(admitted: readonly Span[], refused: readonly Span[]): number {
  return refused.filter((one) => {
    const counting = admitted.filter(({ sentMs, receivedMs }) =>
      sentMs < one.receivedMs && receivedMs > one.sentMs - WINDOW_MS
    );
    return counting.length < LIMIT;
  }).length;
}
