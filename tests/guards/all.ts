// Every guard there is a table of.

import { accessTokens } from "./access_tokens.ts";
import { accounts } from "./accounts.ts";
import { answers } from "./answers.ts";
import { audit } from "./audit.ts";
import { belongings } from "./belongings.ts";
import { codeMails } from "./code_mails.ts";
import { codes } from "./codes.ts";
import type { Guard } from "./guard.ts";
import { limited } from "./limited.ts";
import { limits } from "./limits.ts";
import { mails } from "./mails.ts";
import { operators } from "./operators.ts";
import { passwords } from "./passwords.ts";
import { refreshTokens } from "./refresh_tokens.ts";
import { requests } from "./requests.ts";
import { secrecy } from "./secrecy.ts";
import { sessions } from "./sessions.ts";
import { signIn } from "./sign_in.ts";
import { store } from "./store.ts";

export const guards: readonly Guard[] = [
  ...codes,
  ...codeMails,
  ...signIn,
  ...accessTokens,
  ...refreshTokens,
  ...sessions,
  ...passwords,
  ...accounts,
  ...belongings,
  ...limits,
  ...limited,
  ...requests,
  ...answers,
  ...secrecy,
  ...mails,
  ...store,
  ...audit,
  ...operators,
];
