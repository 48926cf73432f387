// The mail server is away while mails are decided on, and the server is killed meanwhile: all of them arrive, once.

import { requestPasswordReset } from "../../openapi/passwords.ts";
import { register, verifyOtp } from "../../openapi/registration.ts";
import { PASSWORD } from "../harness.ts";
import { eventually } from "../process.ts";
import { type ReceivedMail, type SmtpReceiver, startReceiver } from "../smtp_receiver.ts";
import { type Desk, openDesk } from "./desk.ts";
import { type Figure, pause } from "./figure.ts";

const PEOPLE = 25;
const RETURN_GOAL_MS = 60_000;

export const mails: Figure = {
  number: 5,
  name: "Mails lost, and sent twice, while the mail server is away and the server is killed",
  goal: "0 lost, at most 1 duplicate a mail, all out within 60 s of the return",
  async measure({ isQuick }) {
    let receiver = await startReceiver({ tls: "none" });
    const { port } = receiver;
    try {
      await using desk = await openDesk({ SMTP_URL: `smtp://127.0.0.1:${port}?tls=off`, OTP_TTL: "2h" });
      const people = await Promise.all(
        Array.from({ length: PEOPLE }, (_, number) => signUp(desk, receiver, `person${number}@example.org`)),
      );
      const before = receiver.received.length;
      await receiver.stop();
      for (const [index, email] of people.entries()) {
        await desk.ask(requestPasswordReset, { json: { email } });
        if (index === PEOPLE / 5) await desk.killAndRestart();
      }
      await pause(isQuick ? 8_000 : 600_000);
      receiver = await startReceiver({ tls: "none", port });
      const backMs = performance.now();
      const arrived = (): readonly ReceivedMail[] => receiver.received;
      await eventually("every mail arrives", () => new Set(arrived().map(idOf)).size >= PEOPLE, {
        limitMs: 2 * RETURN_GOAL_MS,
      }).catch(() => {});
      const tookMs = performance.now() - backMs;
      // What would come twice comes now.
      await pause(3_000);
      const ids = arrived().map(idOf);
      const lost = PEOPLE - new Set(ids).size;
      const twice = ids.length - new Set(ids).size;
      return {
        value: `${lost} lost, ${twice} twice, of ${PEOPLE} (${before} before), all out after ${
          (tookMs / 1000).toFixed(1)
        } s`,
        isMet: lost === 0 && twice <= PEOPLE && tookMs <= RETURN_GOAL_MS,
      };
    } finally {
      await receiver.stop();
    }
  },
};

function idOf({ headers }: ReceivedMail): string {
  return headers.get("message-id") ?? "";
}

/** The code is read from the mail itself. Returns the address. */
async function signUp(desk: Desk, { received }: SmtpReceiver, email: string): Promise<string> {
  const { body } = await desk.ask(register, { json: { email, password: PASSWORD } });
  const mail = await eventually("the mail", () => received.find(({ recipients }) => recipients[0] === email));
  const code = /\b\d{6}\b/.exec(mail.headers.get("subject") ?? "")?.[0];
  await desk.ask(verifyOtp, { json: { challenge_id: body.challenge_id, code } });
  return email;
}
