// Everything that works once, presented by many at the same moment: one wins, or all get the very same answer.

import {
  confirmAccountDeletion,
  confirmEmailChange,
  requestAccountDeletion,
  requestEmailChange,
} from "../../openapi/account.ts";
import {
  confirmPasswordReset,
  requestPasswordReset,
  verifyPasswordResetOtp,
} from "../../openapi/passwords.ts";
import { register, verifyOtp } from "../../openapi/registration.ts";
import { refreshTokens } from "../../openapi/sessions.ts";
import { PASSWORD } from "../harness.ts";
import { type AskOptions, type Desk, openDesk, type Reply } from "./desk.ts";
import type { Figure } from "./figure.ts";
import type { RouteConfig } from "@hono/zod-openapi";

const RIVALS = 50;

interface Prize {
  readonly route: RouteConfig;
  readonly options: AskOptions;
  /** What tells one success from another; without it every success is one of its own. */
  readonly mark?: (reply: Reply) => unknown;
}

/** One round of each: what is presented. */
const prizes: readonly ((desk: Desk, round: number) => Promise<Prize>)[] = [
  async (desk, round) => ({
    route: verifyOtp,
    options: { json: await desk.begin(register, `new${round}@example.org`) },
  }),
  async (desk) => {
    const { email } = await desk.signUp();
    return {
      route: verifyPasswordResetOtp,
      options: { json: await desk.begin(requestPasswordReset, email) },
    };
  },
  async (desk) => {
    const { email } = await desk.signUp();
    const json = { reset_token: await desk.resetTokenFor(email), new_password: PASSWORD };
    return { route: confirmPasswordReset, options: { json } };
  },
  async (desk) => ({
    route: refreshTokens,
    options: { json: { refresh_token: (await desk.signUp()).refreshToken } },
    mark: ({ body }) => body.refresh_token,
  }),
  async (desk, round) => {
    const { accessToken: token } = await desk.signUp();
    const new_email = `moved${round}@example.org`;
    const json = { new_email, current_password: PASSWORD };
    const { body } = await desk.ask(requestEmailChange, { token, json });
    const code = await desk.codeFor(new_email, "email_change");
    return { route: confirmEmailChange, options: { token, json: { challenge_id: body.challenge_id, code } } };
  },
  async (desk) => {
    const { accessToken: token, email } = await desk.signUp();
    const { body } = await desk.ask(requestAccountDeletion, { token, json: {} });
    const code = await desk.codeFor(email, "account_deletion");
    const json = { challenge_id: body.challenge_id, code };
    return { route: confirmAccountDeletion, options: { token, json } };
  },
];

export const winners: Figure = {
  number: 2,
  name: "Extra winners of 50 parallel uses of one code or token",
  goal: "0 in 10,000 rounds; quick: 24",
  async measure({ isQuick }) {
    await using desk = await openDesk();
    // Of each prize.
    const rounds = Math.ceil((isQuick ? 24 : 10_000) / prizes.length);
    let played = 0;
    let extra = 0;
    let lost = 0;
    for (let round = 0; round < rounds; round++) {
      for (const prepare of prizes) {
        const { route, options, mark = () => Symbol() } = await prepare(desk, round);
        const replies = await Promise.all(Array.from({ length: RIVALS }, () => desk.ask(route, options)));
        const won = new Set(replies.filter(({ status }) => status < 300).map(mark)).size;
        extra += Math.max(0, won - 1);
        if (won === 0) lost++;
        played++;
      }
    }
    const none = lost > 0 ? `, and nobody won in ${lost}` : "";
    return { value: `${extra} in ${played} rounds${none}`, isMet: extra === 0 && lost === 0 };
  },
};
