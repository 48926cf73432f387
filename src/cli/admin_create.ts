// `deno task admin:create`: makes an account with the role admin, or gives the role to an account that exists. The
// only way to a first admin: there is no default one.

import { email as emailField, username as usernameField } from "../../openapi/fields.ts";
import { createHasher } from "../hasher.ts";
import { requireNewPassword } from "../new_password.ts";
import { Problem } from "../problem.ts";
import { addAuditEvents } from "../store/audit.ts";
import { OPERATOR } from "../store/client.ts";
import { LOST, untilCommitted } from "../store/kv.ts";
import { addUser, findAccountByEmail, replaceUser } from "../store/users.ts";
import { readPassword } from "./password_input.ts";
import { readArguments, runTool, say, type Tool, ToolFault } from "./tool.ts";

const HELP = `Makes an admin, or makes an existing account one. Works beside a running server.

  deno task admin:create --email you@example.org [--username you] [--password-stdin]

  --email           the address; no code is mailed, so be sure that it is right
  --username        a public name for a new account
  --password-stdin  read the password from standard input instead of asking for it`;

interface Wanted {
  readonly email: string;
  readonly username: string | null;
  readonly isPasswordFromStdin: boolean;
}

if (import.meta.main) {
  if (Deno.args.includes("--help")) say(HELP);
  else await runTool(createAdmin);
}

async function createAdmin(tool: Tool): Promise<void> {
  const wanted = readWanted();
  const existing = await findAccountByEmail(tool.kv, wanted.email);
  if (existing) return await promote(tool, existing.user.value.id, wanted.email);

  const plainPassword = await readPassword({ isFromStdin: wanted.isPasswordFromStdin });
  await requireGoodPassword(tool, plainPassword, wanted);
  const passwordHash = await (await createHasher()).hash(plainPassword);
  const isMade = await untilCommitted(async () => {
    const change = tool.kv.change();
    const { email, username } = wanted;
    const newUser = { email, username, name: null, locale: null, passwordHash };
    const user = await addUser(tool.kv, change, { newUser, role: "admin" });
    if (user === null) return false;
    await addAuditEvents(tool, change, [{
      type: "account_created",
      actor: OPERATOR,
      userId: user.id,
      details: { role: "admin" },
    }]);
    return await change.commit() || LOST;
  });
  if (!isMade) {
    throw new ToolFault("The username is taken, or the address has just got an account: try again");
  }
  say(`${wanted.email} is an admin now, and can sign in.`);
}

async function promote(tool: Tool, userId: string, email: string): Promise<void> {
  const change = await replaceUser(tool, userId, { role: "admin" }, OPERATOR);
  if (change.outcome !== "changed") throw new ToolFault("The account has just been deleted: try again");
  say(`${email} has an account, which is an admin now. Its password stays as it is.`);
  if (change.user.value.status === "disabled") say("It is disabled, though: another admin can enable it.");
}

function readWanted(): Wanted {
  const { values: { email, username, ...flags } } = readArguments({
    help: HELP,
    options: {
      email: { type: "string" },
      username: { type: "string" },
      "password-stdin": { type: "boolean" },
    },
  });
  const address = emailField.safeParse(email);
  if (!address.success) throw new ToolFault(`--email is missing, or not an email address\n\n${HELP}`);
  if (username !== undefined && !usernameField.safeParse(username).success) {
    throw new ToolFault("--username must have 3 to 32 of a-z A-Z 0-9 _ . -");
  }
  return {
    email: address.data,
    username: username ?? null,
    isPasswordFromStdin: flags["password-stdin"] ?? false,
  };
}

async function requireGoodPassword(
  tool: Tool,
  plainPassword: string,
  { email, username }: Wanted,
): Promise<void> {
  try {
    await requireNewPassword(tool, { member: "password", plainPassword }, { email, username, name: null });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new ToolFault(error.details.errors?.[0]?.message ?? error.message);
  }
}
