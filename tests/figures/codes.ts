// Guessing at codes: how many guesses are compared, however parallel, and what a year of guessing comes to.

import { requestPasswordReset, verifyPasswordResetOtp } from "../../openapi/passwords.ts";
import { register, verifyOtp } from "../../openapi/registration.ts";
import { type Desk, openDesk } from "./desk.ts";
import type { Figure } from "./figure.ts";

const GUESSES = 1_000;
const GUESSES_A_DAY = 10;
const CODES = 1_000_000;

export const guesses: Figure = {
  number: 1,
  name: "Guesses compared of 1,000 parallel ones from 1,000 addresses, a restart among them",
  goal: "at most 5",
  async measure() {
    await using desk = await openDesk();
    const { email } = await desk.signUp();
    const flows = [
      { begun: await desk.begin(register, "stranger@example.org"), route: verifyOtp },
      { begun: await desk.begin(requestPasswordReset, email), route: verifyPasswordResetOtp },
    ];
    const compared: number[] = [];
    for (const { begun, route } of flows) {
      const first = await guess(desk, route, begun);
      await desk.killAndRestart();
      compared.push(first + await guess(desk, route, begun));
    }
    return { value: compared.join(" and "), isMet: compared.every((count) => count === 5) };
  },
};

/** How many of half the guesses were compared with the code. */
async function guess(
  desk: Desk,
  route: typeof verifyOtp | typeof verifyPasswordResetOtp,
  { challenge_id, code }: { readonly challenge_id: string; readonly code: string },
): Promise<number> {
  const wrong = Array.from({ length: GUESSES / 2 }, (_, index) => (Number(code) + index + 1) % CODES);
  const replies = await Promise.all(
    wrong.map((number) => desk.ask(route, { json: { challenge_id, code: String(number).padStart(6, "0") } })),
  );
  return replies.filter(({ status }) => status !== 410).length;
}

export const takeover: Figure = {
  number: 13,
  name: "Chance that a stranger takes an account in a year by guessing codes at the full rate",
  goal: "at most 0.4 %",
  async measure() {
    await using desk = await openDesk();
    const { email } = await desk.signUp();
    let isLong = false;
    let compared = 0;
    // Resets opened side by side, each guessed at until it is dead, until codes are no longer six digits.
    while (!isLong && compared < 100) {
      const { challenge_id, code } = await desk.begin(requestPasswordReset, email);
      isLong = code.replaceAll("-", "").length > 6;
      if (isLong) break;
      for (let status = 400; status === 400;) {
        const wrong = String((Number(code) + 1) % CODES).padStart(6, "0");
        ({ status } = await desk.ask(verifyPasswordResetOtp, { json: { challenge_id, code: wrong } }));
        if (status === 400) compared++;
      }
    }
    const chance = 1 - (1 - 1 / CODES) ** (compared * 365);
    return {
      value: `${(chance * 100).toFixed(2)} % (${compared} guesses a day at six digits)`,
      isMet: compared <= GUESSES_A_DAY && chance <= 0.004,
    };
  },
};
