// Is a password built from what everybody knows of its owner? The known words are cut out of it, read both ways and
// without disguise; if next to nothing is left, it was built from them. A passphrase that merely holds a name has
// plenty left, so length is never punished.

import { undisguised } from "./disguise.ts";

/** What a password must not be built from; null where nothing is known. */
export interface Identity {
  readonly email: string;
  readonly username: string | null;
  readonly name: string | null;
  /** The service's own name. */
  readonly appName: string;
}

export type IdentityPart = "email" | "username" | "name" | "service";

interface KnownWord {
  readonly part: IdentityPart;
  /** As `bare` leaves it, undisguised. */
  readonly text: string;
}

const WORD_LENGTH_MIN = 3;
const LEFT_OVER_MIN = 4;

/** The part of `identity` that `plainPassword` is built from, the longest word first; null when it is not. */
export function likenessOf(plainPassword: string, identity: Identity): IdentityPart | null {
  let rest = bare(plainPassword);
  let likeness: IdentityPart | null = null;
  for (const { part, text } of knownWords(identity)) {
    const shorter = withoutWord(rest, text);
    if (shorter !== rest) likeness ??= part;
    rest = shorter;
  }
  return countLeftOver(rest) < LEFT_OVER_MIN ? likeness : null;
}

/** Longest first, so that "anna" is gone before "ann" is looked for; of equal ones the first source wins. */
function knownWords({ email, username, name, appName }: Identity): KnownWord[] {
  const [local = "", domain = ""] = email.split("@");
  const [label = ""] = domain.split(".");
  const sources: [IdentityPart, string[]][] = [
    ["email", [email, local, ...piecesOf(local), label]],
    ["username", [username ?? "", ...piecesOf(username ?? "")]],
    ["name", [name ?? "", ...piecesOf(name ?? "")]],
    ["service", [appName, ...piecesOf(appName)]],
  ];
  return sources
    .flatMap(([part, texts]) => texts.map((text) => ({ part, text: undisguised(bare(text)) })))
    .flatMap(({ part, text }) => [{ part, text }, { part, text: [...text].reverse().join("") }])
    .filter(({ text }) => text.length >= WORD_LENGTH_MIN)
    .sort((a, b) => b.text.length - a.text.length);
}

function piecesOf(text: string): string[] {
  return text.split(/[^\p{L}\p{M}]+/u);
}

/** Lower case, without accents and separators. */
function bare(text: string): string {
  return text.normalize("NFKD").replace(/[\p{M}\s._-]/gu, "").toLowerCase();
}

/** `bareText` without each occurrence of `word`, disguised or not. */
function withoutWord(bareText: string, word: string): string {
  const at = undisguised(bareText).indexOf(word);
  if (at < 0) return bareText;
  return withoutWord(bareText.slice(0, at) + bareText.slice(at + word.length), word);
}

/** Characters, where a number and a row of the same sign count once: "1987!!!" is two. */
function countLeftOver(bareText: string): number {
  return [...bareText.replace(/\d+/g, "0").replace(/(.)\1+/gsu, "$1")].length;
}
