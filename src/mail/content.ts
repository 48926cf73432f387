// Every mail this server sends, and what it says. Plain English, no links, nothing that a stranger typed: whoever
// starts a flow for somebody else's address must not be able to speak to them through it.

import { layOut, type Letter, type MailService, type Occasion, type RenderedMail } from "./letter.ts";

/** A mail that carries a code, as spelled for people: `123456` or `ABCDE-FGHJK`. */
export interface CodeMail {
  readonly kind: "registration_code" | "password_reset_code" | "email_change_code" | "account_deletion_code";
  readonly code: string;
  /** The code's whole life, from when it was asked for. */
  readonly ttlMs: number;
}

/** A mail that tells an account's owner what happened to it. */
export interface Notice extends Occasion {
  readonly kind:
    | "password_changed"
    | "password_reset_done"
    | "account_deleted"
    | "refresh_token_replayed"
    | "sign_in_new_network";
}

/** Goes to the address that the account has now; the code goes to the new one. */
export interface EmailChangeNotice extends Occasion {
  readonly kind: "email_change_requested";
  readonly newEmail: string;
}

/** Goes to both addresses, with other words. */
export interface EmailChangedNotice extends Occasion {
  readonly kind: "email_changed";
  readonly newEmail: string;
  readonly isToOldAddress: boolean;
}

export type MailContent =
  | CodeMail
  | Notice
  | EmailChangeNotice
  | EmailChangedNotice
  /** Somebody registered an address that has an account: its owner is told, the caller is not. */
  | { readonly kind: "registration_known" }
  /** Where the admin was is not for the owner to know. */
  | { readonly kind: "account_deleted_by_admin" };

/** The mail as it will be read: of code mails the subject ends with the code, and the text begins with it. */
export function renderMail(service: MailService, content: MailContent): Promise<RenderedMail> {
  return layOut(service, compose(service, content));
}

function compose(service: MailService, content: MailContent): Letter {
  const { appName } = service;
  switch (content.kind) {
    case "registration_code":
      return codeLetter(appName, content, {
        subject: `Confirm your address for ${appName}`,
        purpose: `Enter this code where you registered at ${appName}. It proves that this address is yours.`,
        otherwise: "You did not register? Then ignore this mail: without the code there will be no account.",
      });
    case "password_reset_code":
      return codeLetter(appName, content, {
        subject: `Reset your ${appName} password`,
        purpose: `Enter this code to choose a new password for your ${appName} account.`,
        otherwise: "You did not ask for it? Then ignore this mail: your password stays as it is.",
      });
    case "email_change_code":
      return codeLetter(appName, content, {
        subject: `Confirm your new address for ${appName}`,
        purpose: `Enter this code to make this address the one of your ${appName} account.`,
        otherwise: "You did not ask for it? Then ignore this mail: nothing changes without the code.",
      });
    case "account_deletion_code":
      return codeLetter(appName, content, {
        subject: `Delete your ${appName} account`,
        purpose: `Enter this code to delete your ${appName} account and everything in it, for good.`,
        otherwise: "You did not ask for it? Then somebody else is signed in to your account. " +
          "Change your password now: that ends every other session.",
      });
    case "registration_known":
      return {
        subject: `You already have an account at ${appName}`,
        paragraphs: [
          `Somebody just tried to register at ${appName} with this address. It has an account already, so nothing was changed.`,
          "Was it you? Then sign in instead. If you do not remember your password, ask there for a new one.",
          "It was not you? Then there is nothing to do. Nobody has learned from us that you have an account.",
        ],
      };
    case "password_changed":
      return {
        subject: `Your ${appName} password was changed`,
        paragraphs: [
          `The password of your ${appName} account was changed, and every other session was signed out.`,
          "It was not you? Then reset your password now: that signs out whoever it was.",
        ],
        occasion: content,
      };
    case "password_reset_done":
      return {
        subject: `Your ${appName} password was reset`,
        paragraphs: [
          `Your ${appName} account has a new password, set with a code that was mailed to you. Every session was signed out.`,
          "It was not you? Then somebody else can read your mail. Change the password of your mailbox first, " +
          `then reset the one of your ${appName} account.`,
        ],
        occasion: content,
      };
    case "email_change_requested":
      return {
        subject: `A new address was asked for in your ${appName} account`,
        paragraphs: [
          `Somebody who knows your password asked to change the address of your ${appName} account to ` +
          `${masked(content.newEmail)}. Until it is confirmed there, this address stays.`,
          "It was not you? Then change your password now: that ends every other session, and the change with it.",
        ],
        occasion: content,
      };
    case "email_changed":
      return emailChangedLetter(service, content);
    case "account_deleted":
      return {
        subject: `Your ${appName} account was deleted`,
        paragraphs: [
          `Your ${appName} account and everything in it was deleted. This is the last mail about it.`,
          "It was not you? The account cannot be brought back. Whoever it was could read your mail: " +
          "change the password of your mailbox.",
        ],
        occasion: content,
      };
    case "account_deleted_by_admin":
      return {
        subject: `Your ${appName} account was deleted`,
        paragraphs: [
          `The people who run ${appName} (${service.publicUrl}) deleted your account and everything in it. ` +
          "This is the last mail about it.",
          "You do not know why? Then turn to them. The account cannot be brought back, but you can register again.",
        ],
      };
    case "refresh_token_replayed":
      return {
        subject: `A session of your ${appName} account was ended`,
        paragraphs: [
          `The key that keeps one of your devices signed in to ${appName} was used a second time. ` +
          "That may mean that it was copied, so its session was ended at once. The device has to sign in again.",
          "If you cannot explain it, change your password: that ends every other session.",
        ],
        occasion: content,
      };
    case "sign_in_new_network":
      return {
        subject: `New sign-in to your ${appName} account`,
        paragraphs: [
          `Somebody signed in to your ${appName} account from a network that it has not been used from lately.`,
          "Was it you? Then there is nothing to do.",
          "It was not you? Then somebody knows your password. Change it now: that ends every other session.",
        ],
        occasion: content,
      };
  }
}

function codeLetter(
  appName: string,
  { code, ttlMs }: CodeMail,
  { subject, purpose, otherwise }: {
    readonly subject: string;
    readonly purpose: string;
    readonly otherwise: string;
  },
): Letter {
  return {
    subject: `${subject}: ${code}`,
    code,
    paragraphs: [
      purpose,
      `It works once, within ${inWords(ttlMs)} of when it was asked for.`,
      `Nobody who works for ${appName} will ever ask you for it. Do not pass it on.`,
      otherwise,
    ],
  };
}

function emailChangedLetter(
  { appName, publicUrl }: MailService,
  notice: EmailChangedNotice,
): Letter {
  const subject = `The address of your ${appName} account was changed`;
  if (notice.isToOldAddress) {
    return {
      subject,
      paragraphs: [
        `The address of your ${appName} account is now ${
          masked(notice.newEmail)
        }. Mails go there, and this address signs ` +
        "nobody in any more.",
        `It was not you? Then turn to the people who run ${appName} (${publicUrl}) at once.`,
      ],
      occasion: notice,
    };
  }
  return {
    subject,
    paragraphs: [
      `This is now the address of your ${appName} account. Sign in with it from now on; every other session was ended.`,
      `You have no account at ${appName}? Then somebody confirmed this address with a code that was mailed here: ` +
      "change the password of your mailbox.",
    ],
    occasion: notice,
  };
}

/** Enough for the owner to recognise it, too little for somebody else who reads the mail. */
function masked(email: string): string {
  return `${email.slice(0, 1)}•••${email.slice(email.lastIndexOf("@"))}`;
}

/** `10 minutes`; the largest unit that gives a whole number. */
function inWords(durationMs: number): string {
  const units = [["hour", 3_600_000], ["minute", 60_000], ["second", 1000]] as const;
  const [unit, unitMs] = units.find(([, unitMs]) => durationMs % unitMs === 0) ?? ["second", 1000];
  const count = Math.max(1, Math.round(durationMs / unitMs));
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
