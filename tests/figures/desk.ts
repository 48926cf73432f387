// A started server behind a make-believe proxy, so that every request can come from an address of its own; the codes are
// read from the development mailbox.

import assert from "node:assert/strict";
import { register, verifyOtp } from "../../openapi/registration.ts";
import { login } from "../../openapi/sessions.ts";
import { requestPasswordReset, verifyPasswordResetOtp } from "../../openapi/passwords.ts";
import type { RouteConfig } from "@hono/zod-openapi";
import type { ChallengePurpose } from "../../src/store/keys.ts";
import { PASSWORD, UNLIMITED } from "../harness.ts";
import { createSite, eventually, type Program, type Settings, type Site } from "../process.ts";

export interface Reply {
  readonly status: number;
  // What a body holds is what the figure looks at.
  // deno-lint-ignore no-explicit-any
  readonly body: any;
  readonly tookMs: number;
}

export interface AskOptions {
  readonly json?: unknown;
  readonly token?: string;
  readonly params?: Readonly<Record<string, string>>;
  /** Default: another address with each request. */
  readonly ip?: string;
}

export interface Account {
  readonly id: string;
  readonly email: string;
  readonly accessToken: string;
  refreshToken: string;
}

export interface Desk extends AsyncDisposable {
  readonly site: Site;
  ask(route: RouteConfig, options?: AskOptions): Promise<Reply>;
  /** The code that was mailed to an address for a purpose, once there is a mail other than `knownId`. */
  codeFor(email: string, purpose: ChallengePurpose, knownId?: string): Promise<string>;
  signUp(email?: string): Promise<Account>;
  signIn(email: string): Promise<Reply>;
  /** A registration or a reset that waits for its code. */
  begin(route: RouteConfig, email: string): Promise<{ readonly challenge_id: string; readonly code: string }>;
  resetTokenFor(email: string): Promise<string>;
  /** SIGKILL to the server; the next one is started on the same store, until it answers. In between the store is free. */
  killAndRestart(inBetween?: () => Promise<void>): Promise<void>;
  program(): Program;
}

/** Starts it; no limits but those of `settings`. */
export async function openDesk(settings: Settings = {}): Promise<Desk> {
  const site = await createSite();
  const all = { ...UNLIMITED, TRUST_PROXY: "1", FREE_NOTES: "100000", ...settings };
  let program = await site.startServer(all);
  let asked = 0;
  let people = 0;

  const ask: Desk["ask"] = async ({ method, path }, { json, token, params = {}, ip } = {}) => {
    const startMs = performance.now();
    const target = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params[name] ?? "");
    const response = await fetch(`${site.url}${target}`, {
      method: method.toUpperCase(),
      headers: {
        "x-forwarded-for": ip ?? addressOf(asked++),
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
    const text = await response.text();
    const isJson = /\bjson\b/.test(response.headers.get("content-type") ?? "");
    return {
      status: response.status,
      body: isJson ? JSON.parse(text) : text,
      tookMs: performance.now() - startMs,
    };
  };
  const newestMail = async (email: string, purpose: ChallengePurpose): Promise<Mail | undefined> => {
    const response = await fetch(`${site.url}/dev/mailbox`);
    const { data } = await response.json();
    // Newest first.
    return data.find((mail: Mail) => mail.to === email && mail.kind === `${purpose}_code`);
  };
  const codeFor: Desk["codeFor"] = (email, purpose, knownId) =>
    eventually(`a code is mailed to ${email}`, async () => {
      const mail = await newestMail(email, purpose);
      return mail?.id === knownId ? null : mail?.code;
    });
  const begin: Desk["begin"] = async (route, email) => {
    const purpose = route === register ? "registration" : "password_reset";
    const known = await newestMail(email, purpose);
    const json = route === register ? { email, password: PASSWORD } : { email };
    const { status, body } = await ask(route, { json });
    assert.equal(status, 202, JSON.stringify(body));
    return { challenge_id: body.challenge_id, code: await codeFor(email, purpose, known?.id) };
  };

  return {
    site,
    ask,
    codeFor,
    begin,
    async signUp(email = `person${people++}@example.org`) {
      const { status, body } = await ask(verifyOtp, { json: await begin(register, email) });
      assert.equal(status, 201, JSON.stringify(body));
      return {
        id: body.user.id,
        email,
        accessToken: body.access_token,
        refreshToken: body.refresh_token,
      };
    },
    signIn: (email) => ask(login, { json: { email, password: PASSWORD } }),
    async resetTokenFor(email) {
      const { body } = await ask(verifyPasswordResetOtp, { json: await begin(requestPasswordReset, email) });
      return body.reset_token;
    },
    async killAndRestart(inBetween) {
      await program.kill();
      await inBetween?.();
      program = await site.startServer(all);
    },
    program: () => program,
    [Symbol.asyncDispose]: () => site[Symbol.asyncDispose](),
  };
}

interface Mail {
  readonly id: string;
  readonly to: string;
  readonly kind: string;
  readonly code: string;
}

/** An address for each number, of networks that differ. */
function addressOf(number: number): string {
  return `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
}
