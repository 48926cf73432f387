// `deno task keys:rotate`: a new key signs access tokens, at once or once nobody's cache lacks it. The older ones verify
// until their last token has expired; with --revoke-old they do not any more, for the day on which one has leaked.

import { setTimeout as delay } from "node:timers/promises";
import { rotateSigningKey, type RotationKind, TAKEN_UP_MS } from "../keyring.ts";
import { removeAllSessions } from "../store/sessions.ts";
import { removeOlderSigningKeys } from "../store/signing_keys.ts";
import { rfc3339 } from "../user_view.ts";
import { readArguments, runTool, say, type Tool, ToolFault } from "./tool.ts";

const HELP =
  `Makes a new key that signs access tokens. Works beside running servers, which take it up within a second.

  deno task keys:rotate [--announce | --revoke-old] [--end-sessions]

The new key signs, and nobody is signed out: the older keys verify until the last access token they signed has expired, and
/.well-known/jwks.json shows them until then. Services that verify tokens themselves read it again when they meet a key
that they do not know; where a cache between keeps it for its five minutes, use --announce.

  --announce      the new key is shown at once and signs six minutes later, when no cache lacks it any more
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
    options: {
      "announce": { type: "boolean", default: false },
      "revoke-old": { type: "boolean", default: false },
      "end-sessions": { type: "boolean", default: false },
    },
  });
  const kind = kindOf(values);
  const rotation = await rotateSigningKey(tool, { accessTtlMs: tool.config.accessTtlMs, kind });
  if (!rotation) {
    throw new ToolFault(
      "There are a hundred keys already: wait until the oldest have ended, or use --revoke-old",
    );
  }
  say(
    kind === "announced"
      ? `The key ${rotation.kid} signs from ${rfc3339(rotation.signsAtMs)} on; it is published already.`
      : `The key ${rotation.kid} signs from now on; running servers take it up within a second.`,
  );
  if (kind === "revoking") {
    await delay(TAKEN_UP_MS);
    await removeOlderSigningKeys(tool, rotation);
    say("The older keys are revoked: every access token that they signed is refused within a second.");
    say(
      "Other services must read /.well-known/jwks.json again; caches may keep the old one for five minutes.",
    );
  } else {
    say(`The key before it verifies until ${rfc3339(rotation.othersEndAtMs)}; nobody is signed out.`);
  }
  if (values["end-sessions"]) {
    const count = await removeAllSessions(tool);
    say(`${count} ${count === 1 ? "session has" : "sessions have"} ended: everybody has to sign in again.`);
  }
}

function kindOf(
  { announce, "revoke-old": revokeOld }: { readonly announce: boolean; readonly "revoke-old": boolean },
): RotationKind {
  if (announce && revokeOld) {
    throw new ToolFault(
      "--announce and --revoke-old do not go together: a key that leaked must not sign for minutes",
    );
  }
  if (revokeOld) return "revoking";
  return announce ? "announced" : "at_once";
}
