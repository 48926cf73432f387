// Which passwords are taken, after NIST SP 800-63B-4 section 3.1.1.2: long enough, not too long, neither common nor
// built from what is known of the person. No rule asks for digits or signs, and nothing is cut off. A house may add a
// pattern of its own. The rules stand here in the order in which they are tried; each says what to do instead.

import { type Identity, type IdentityPart, likenessOf } from "./password/likeness.ts";

export type PasswordFaultCode =
  | "password_unreadable"
  | "password_too_short"
  | "password_too_long"
  | "password_pattern"
  | "password_common"
  | `password_like_${IdentityPart}`;

export interface PasswordFault {
  readonly code: PasswordFaultCode;
  /** For people; never holds the password. */
  readonly message: string;
}

/** Whose password it is, and the rules of the house. */
export interface PasswordContext extends Identity {
  /** Characters, 8 to 128. */
  readonly lengthMin: number;
  /** Of a regular expression (flag `u`) that the password must match as a whole. */
  readonly pattern: string | null;
}

/** Unicode code points after NFC. */
const PASSWORD_LENGTH_MAX = 128;

const LIKENESS_MESSAGES: Record<IdentityPart, string> = {
  email: "This password is built from the email address. Choose one that has nothing to do with it",
  username: "This password is built from the username. Choose one that has nothing to do with it",
  name: "This password is built from the name. Choose one that has nothing to do with it",
  service: "This password is built from the name of this service. Choose one that has nothing to do with it",
};

/** The first rule that `plainPassword` breaks, or null when it may be used. */
export async function passwordFault(
  plainPassword: string,
  context: PasswordContext,
): Promise<PasswordFault | null> {
  if (!isReadable(plainPassword)) {
    return {
      code: "password_unreadable",
      message: "This password has control characters or broken ones. Type it again without them",
    };
  }
  const password = plainPassword.normalize("NFC");
  const length = [...password].length;
  if (length < context.lengthMin) {
    return {
      code: "password_too_short",
      message:
        `A password needs at least ${context.lengthMin} characters. A few words in a row make a good one`,
    };
  }
  if (length > PASSWORD_LENGTH_MAX) {
    return {
      code: "password_too_long",
      message: `A password has at most ${PASSWORD_LENGTH_MAX} characters. Choose a shorter one`,
    };
  }
  if (context.pattern !== null && !isWholeMatch(password, context.pattern)) {
    return {
      code: "password_pattern",
      message: `Passwords of this service have the form ${context.pattern}. Choose one of that form`,
    };
  }
  const { isCommon } = await import("./password/dictionary.ts");
  if (isCommon(password)) {
    return {
      code: "password_common",
      message:
        "This password is among the first that attackers try. Choose one that nobody else would think of",
    };
  }
  const part = likenessOf(password, context);
  return part && { code: `password_like_${part}`, message: LIKENESS_MESSAGES[part] };
}

function isWholeMatch(text: string, pattern: string): boolean {
  return new RegExp(`^(?:${pattern})$`, "u").test(text);
}

/** False for control characters, which no keyboard repeats reliably, and for halves of surrogate pairs. */
function isReadable(plainPassword: string): boolean {
  return plainPassword.isWellFormed() && !/\p{Cc}/u.test(plainPassword);
}
