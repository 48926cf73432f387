// What goes wrong in the same manner at every operation. Each turn takes a request that would succeed, and makes it meet
// one refusal.

import assert from "node:assert/strict";
import { decodeJwt } from "jose";
import { type Operation, operationOf } from "./document_judge.ts";
import { MINUTE_MS, SECOND_MS, UNKNOWN_ID } from "./harness.ts";
import { otherThan, overwriteUser } from "./person.ts";
import { type Ask, ROOM, type Stage } from "./reality_stage.ts";

const OTHER_PASSWORD = "marble-otter-57";

/** Code → the request that is refused so. None has an effect: on the same stage the unturned one still succeeds. */
export const harmlessTurns: Readonly<Record<string, (ask: Ask, operation: Operation, stage: Stage) => Ask>> =
  {
    body_malformed: (ask) => ({ ...ask, json: {}, body: '{"twice": 1, "twice": 2}' }),
    body_too_large: (ask) => ({ ...ask, json: {}, body: " ".repeat(65_537) }),
    media_type_unsupported: (ask) => ({ ...ask, json: {}, headers: { "content-type": "text/plain" } }),
    token_missing: ({ token: _, ...ask }) => ask,
    token_invalid: (ask) => ({ ...ask, token: "a.b.c" }),
    role_insufficient: (ask, _, { ada }) => ({ ...ask, token: ada.accessToken }),
    user_not_found: (ask) => ({ ...ask, params: { user_id: UNKNOWN_ID } }),
    session_not_found: (ask) => ({ ...ask, params: { session_id: UNKNOWN_ID } }),
    note_not_found: (ask) => ({ ...ask, params: { note_id: UNKNOWN_ID } }),
    password_invalid: (ask) => withMembers(ask, { current_password: OTHER_PASSWORD }),
    otp_invalid: (ask) => withMembers(ask, { code: otherThan(String(membersOf(ask).code)) }),
    validation_failed: (ask, { bodySchema, parameters }) => {
      if (bodySchema) return withMembers(ask, { surplus: true });
      const [parameter] = parameters;
      assert(parameter, "There is nothing that could fail to fit");
      const misfit = { [parameter.name]: " ".repeat(300) };
      return parameter.in === "path" ? { ...ask, params: misfit } : { ...ask, query: misfit };
    },
  };

/** Status or code → what happens before the request, and the request that then meets it. */
export const turns: Readonly<
  Record<string, (stage: Stage, ask: Ask, operation: Operation) => Ask | Promise<Ask>>
> = {
  "304": async (stage, ask, operation) => {
    const { headers } = await stage.send(operation, ask);
    return { ...ask, headers: { "if-none-match": headers.get("etag") ?? "" } };
  },
  account_disabled: async ({ server }, ask) => {
    await overwriteUser(server, { id: String(decodeJwt(ask.token ?? "").sub) }, { status: "disabled" });
    return ask;
  },
  otp_expired: ({ server }, ask) => {
    server.clock.nowMs += 10 * MINUTE_MS;
    return ask;
  },
  rate_limited: async (stage, ask) => {
    for (const token of ["nobody's", ask.token ?? stage.ada.accessToken]) {
      for (let asked = 0; asked < ROOM; asked++) {
        await stage.send(operationOf("verifyToken"), { json: { token } });
      }
    }
    return ask;
  },
  internal_error: (stage, ask) => {
    loseCaches(stage);
    stage.fault.breakDown({ at: 1, among: "calls", error: new Error("A fault of ours") });
    return ask;
  },
  unavailable: (stage, ask) => {
    loseCaches(stage);
    stage.fault.breakDown({ at: 1, among: "calls" });
    return ask;
  },
};

/** Keys and the proof of a write are kept for a second. */
function loseCaches({ server }: Stage): void {
  server.clock.nowMs += SECOND_MS;
}

function membersOf({ json }: Ask): Readonly<Record<string, unknown>> {
  return typeof json === "object" && json !== null ? { ...json } : {};
}

function withMembers(ask: Ask, members: Readonly<Record<string, unknown>>): Ask {
  return { ...ask, json: { ...membersOf(ask), ...members } };
}
