// What makes the code of a challenge worthless, whichever flow of a signed-in person it belongs to: one table for the
// e-mail change and the deletion, which add what is their own.

import assert from "node:assert/strict";
import { changePassword } from "../openapi/passwords.ts";
import { MINUTE_MS, type TestServer, UNKNOWN_ID } from "./harness.ts";
import { otherThan, type Person } from "./person.ts";

/** What a confirmation asks for. */
export interface Proof {
  readonly challenge_id: string;
  readonly code: string;
}

/** What happens between the request and its confirmation, and what the right code is worth then. */
export interface Refusal {
  readonly name: string;
  /** What it returns stands in the confirmation instead. */
  readonly meddle: (server: TestServer, ada: Person, proof: Proof) => Promise<Partial<Proof> | void>;
  readonly problem: string;
}

export const refusals: readonly Refusal[] = [
  {
    name: "a wrong code",
    meddle: (_server, _ada, { code }) => Promise.resolve({ code: otherThan(code) }),
    problem: "otp_invalid",
  },
  {
    name: "a code of ten minutes ago",
    meddle: ({ clock }) => Promise.resolve(void (clock.nowMs += 10 * MINUTE_MS)),
    problem: "otp_expired",
  },
  {
    name: "an unknown challenge",
    meddle: () => Promise.resolve({ challenge_id: UNKNOWN_ID }),
    problem: "otp_expired",
  },
  { name: "no code", meddle: () => Promise.resolve({ code: "" }), problem: "validation_failed" },
  {
    name: "no challenge id",
    meddle: () => Promise.resolve({ challenge_id: "42" }),
    problem: "validation_failed",
  },
  {
    name: "a change of password",
    meddle: async (server, { accessToken: token, password }) => {
      const json = { current_password: password, new_password: "granite-otter-58" };
      assert.equal((await server.call(changePassword, { token, json })).status, 204);
    },
    problem: "otp_expired",
  },
];
