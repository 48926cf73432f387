// What a stranger can learn: whether an address has an account, from the time that answers take; and what a thief finds
// of secrets, in the log and in the store.

import {
  confirmPasswordReset,
  requestPasswordReset,
  verifyPasswordResetOtp,
} from "../../openapi/passwords.ts";
import { register, verifyOtp } from "../../openapi/registration.ts";
import { login, refreshTokens } from "../../openapi/sessions.ts";
import type { RouteConfig } from "@hono/zod-openapi";
import { collectTraces } from "../store_invariants.ts";
import { type Account, type Desk, openDesk, type Reply } from "./desk.ts";
import { type Figure, pause, pick, type Random } from "./figure.ts";

const PEOPLE = 20;
const PAUSE_MS = 20;

interface Pair {
  readonly name: string;
  readonly route: RouteConfig;
  json(email: string): unknown;
}

const pairs: readonly Pair[] = [
  { name: "login", route: login, json: (email) => ({ email, password: "a-wrong-password" }) },
  { name: "register", route: register, json: (email) => ({ email, password: "violet-comet-94" }) },
  { name: "reset", route: requestPasswordReset, json: (email) => ({ email }) },
];

export const enumeration: Figure = {
  number: 6,
  name: "Distinguishability of known and unknown addresses by time (AUC; 0.5 is none), with mail up and down",
  goal: "0.45 to 0.55, the same answers",
  async measure({ isQuick, random }) {
    const asked = isQuick ? 150 : 600;
    // The goal, and what chance alone does to so few, with a confidence of 99.7 %.
    const slack = 0.05 + 3 * Math.sqrt((2 * asked + 1) / (12 * asked * asked));
    const found: string[] = [];
    let isMet = true;
    for (const mail of ["up", "down"]) {
      await using desk = await openDesk(mail === "down" ? { SMTP_URL: "smtp://127.0.0.1:9?tls=off" } : {});
      const known = mail === "down" ? await seed(desk) : await signUpAll(desk);
      for (const { name, route, json } of pairs) {
        const { auc, isSame } = await compare(desk, { route, json, known, asked, random });
        isMet &&= isSame && Math.abs(auc - 0.5) <= slack;
        found.push(`${name} ${auc.toFixed(2)}${isSame ? "" : " (other answer)"}`);
      }
    }
    return { value: found.join(", "), isMet };
  },
};

async function signUpAll(desk: Desk): Promise<string[]> {
  const people = await Promise.all(Array.from({ length: PEOPLE }, () => desk.signUp()));
  return people.map(({ email }) => email);
}

/** Where no mail arrives accounts come from the command line. */
async function seed(desk: Desk): Promise<string[]> {
  const emails = Array.from({ length: PEOPLE }, (_, number) => `known${number}@example.org`);
  const file = `${desk.site.folder}/users.jsonl`;
  await Deno.writeTextFile(file, emails.map((email) => `${JSON.stringify({ email })}\n`).join(""));
  await desk.site.spawn("users:import", { args: [file] }).ended();
  return emails;
}

/** Asks in random order; how often a known address takes longer than an unknown one. */
async function compare(
  desk: Desk,
  { route, json, known, asked, random }: {
    readonly route: RouteConfig;
    readonly json: Pair["json"];
    readonly known: readonly string[];
    readonly asked: number;
    readonly random: Random;
  },
): Promise<{ readonly auc: number; readonly isSame: boolean }> {
  const tookMs: { known: number[]; unknown: number[] } = { known: [], unknown: [] };
  const shapes = new Set<string>();
  for (let round = 0; round < asked; round++) {
    const kinds = random() < 0.5 ? ["known", "unknown"] as const : ["unknown", "known"] as const;
    for (const kind of kinds) {
      // As many of either, so that an address has been asked about as often.
      const number = pick(random, known.length);
      const email = kind === "known"
        ? known[number] ?? ""
        : `nobody-${route.operationId}${number}@example.org`;
      // The mail of the request before, if there is one, is on its way by then.
      await pause(PAUSE_MS);
      const reply = await desk.ask(route, { json: json(email) });
      tookMs[kind].push(reply.tookMs);
      shapes.add(shapeOf(reply));
    }
  }
  const pairsOf = tookMs.known.flatMap((a) => tookMs.unknown.map((b) => a > b ? 1 : a === b ? 0.5 : 0));
  const auc = pairsOf.reduce<number>((sum, one) => sum + one, 0) / pairsOf.length;
  return { auc, isSame: shapes.size === 1 };
}

function shapeOf({ status, body }: Reply): string {
  return `${status} ${Object.keys(body).join()} ${body.code ?? ""}`;
}

export const canaries: Figure = {
  number: 12,
  name: "Secrets found in the log and in the store",
  goal: "0 of at least 20",
  async measure() {
    await using desk = await openDesk();
    const secrets: string[] = [];
    const people: Account[] = [];
    for (let number = 0; number < 3; number++) {
      const email = `person${number}@example.org`;
      const begun = await desk.begin(register, email);
      const { body } = await desk.ask(verifyOtp, { json: begun });
      const person = { ...body, id: body.user.id, email, accessToken: body.access_token };
      people.push({ ...person, refreshToken: body.refresh_token });
      const reset = await desk.begin(requestPasswordReset, email);
      const { body: { reset_token } } = await desk.ask(verifyPasswordResetOtp, { json: reset });
      const new_password = `canary-password-${number}`;
      await desk.ask(confirmPasswordReset, { json: { reset_token, new_password } });
      const wrong = `canary-wrong-${number}`;
      await desk.ask(login, { json: { email, password: wrong } });
      const { body: signedIn } = await desk.ask(login, { json: { email, password: new_password } });
      const { body: refreshed } = await desk.ask(refreshTokens, {
        json: { refresh_token: signedIn.refresh_token },
      });
      const pending = await desk.begin(requestPasswordReset, email);
      secrets.push(
        begun.challenge_id,
        reset.challenge_id,
        pending.challenge_id,
        reset_token,
        new_password,
        wrong,
        body.access_token,
        body.refresh_token,
        signedIn.refresh_token,
        refreshed.refresh_token,
        refreshed.access_token,
      );
    }
    await desk.program().stop();
    const log = desk.program().stdout() + desk.program().stderr();
    const db = await Deno.openKv(desk.site.storePath);
    try {
      const stored = await collectTraces(db, secrets);
      const logged = secrets.filter((secret) => log.includes(secret));
      const found = stored.length + logged.length;
      return { value: `${found} of ${secrets.length}`, isMet: found === 0 && log.includes("request") };
    } finally {
      db.close();
    }
  },
};
