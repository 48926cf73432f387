// `deno task keys:rotate`: a new key signs access tokens, once everybody who verifies them has it. The older ones verify
// until their last token has expired; with --revoke-old they do not any more, for the day on which one has leaked.

import { setTimeout as delay } from "node:timers/promises";
import { rotateSigningKey, TAKEN_UP_MS } from "../keyring.ts";
import { removeAllSessions } from "../store/sessions.ts";
import { removeOlderSigningKeys } from "../store/signing_keys.ts";
import { rfc3339 } from "../user_view.ts";
import { readArguments, runTool, say, type Tool, ToolFault } from "./tool.ts";

const HELP =
  `Makes a new key that signs access tokens. Works beside running servers, which take it up within a second.

  deno task keys:rotate [--revoke-old] [--end-sessions]

Without options nobody notices: /.well-known/jwks.json shows the new key at once, and it signs six minutes later, when no
cache lacks it any more. The older keys verify until the last access token they signed has expired, and are shown until
then.

  --revoke-old    the new key signs at once, and two seconds later, when no server signs with the older ones, these verify
                  nothing any more: every access token out there is refused. Sessions go on, because refresh tokens are
                  not signed: clients fetch a new access token and nobody has to sign in again. Other services must read
                  /.well-known/jwks.json again, to refuse the old tokens and to take the new ones; a cache between may
                  give them the old keys for up to five minutes.
  --end-sessions  ends every session besides: everybody has to sign in again`;

if (import.meta.main) {
  if (Deno.args.includes("--help")) say(HELP);
  else await runTool(rotateKeys);
}

async function rotateKeys(tool: Tool): Promise<void> {
  const { values } = readArguments({
    help: HELP,
    options: { "revoke-old": { type: "boolean" }, "end-sessions": { type: "boolean" } },
  });
  const isRevoking = values["revoke-old"] ?? false;
  const rotation = await rotateSigningKey(tool, { accessTtlMs: tool.config.accessTtlMs, isRevoking });
  if (!rotation) {
    throw new ToolFault(
      "There are a hundred keys already: wait until the oldest have ended, or use --revoke-old",
    );
  }
  if (isRevoking) {
    say(`The key ${rotation.kid} signs from now on; running servers take it up within a second.`);
    await delay(TAKEN_UP_MS);
    await removeOlderSigningKeys(tool, rotation);
    say("The older keys are revoked: every access token that they signed is refused within a second.");
    say(
      "Other services must read /.well-known/jwks.json again; caches may keep the old one for five minutes.",
    );
  } else {
    say(`The key ${rotation.kid} signs from ${rfc3339(rotation.signsAtMs)} on; it is published already.`);
    say(`The key before it verifies until ${rfc3339(rotation.othersEndAtMs)}; nobody is signed out.`);
  }
  if (values["end-sessions"]) {
    const count = await removeAllSessions(tool);
    say(`${count} ${count === 1 ? "session has" : "sessions have"} ended: everybody has to sign in again.`);
  }
}
