// Email addresses, strictly: a plain ASCII local part, and a domain that means exactly what it shows. Look-alikes are
// refused before anything is lower-cased: `mi\u212Ae@…` (a Kelvin sign) must never become somebody's `mike@…`.

import { domainToASCII, domainToUnicode } from "node:url";

/** RFC 5321 §4.1.2 Dot-string, at most 64 characters (§4.5.3.1.1). No `i` flag: with it `k` would match U+212A. */
const LOCAL_PART = /^(?=.{1,64}$)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;

/** RFC 1035 §2.3.1 labels of at most 63 characters; the last is no number, so that an IP address is no domain. */
const ASCII_DOMAIN =
  /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*(?![0-9]+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** RFC 5321 §4.5.3.1.3 less the angle brackets. */
const ADDRESS_LENGTH_MAX = 254;

/**
 * The form in which an address is stored, compared and written to: lower case, the domain in punycode. Null when it
 * is no address that we take. Single-label domains (`ada@localhost`) are taken: intranets use them.
 */
export function canonicalEmail(address: string): string | null {
  const at = address.lastIndexOf("@");
  const localPart = address.slice(0, Math.max(at, 0));
  if (!LOCAL_PART.test(localPart)) return null;
  const domain = canonicalDomain(address.slice(at + 1));
  if (domain === null) return null;
  const canonical = `${localPart.toLowerCase()}@${domain}`;
  return canonical.length <= ADDRESS_LENGTH_MAX ? canonical : null;
}

function canonicalDomain(domain: string): string | null {
  if (domain.length > ADDRESS_LENGTH_MAX || [...domain].some(isDisguise)) return null;
  const ascii = domainToASCII(domain);
  if (!ASCII_DOMAIN.test(ascii)) return null;
  const lowerCase = domain.normalize("NFC").toLowerCase();
  // Anything that IDNA would map beyond case and composition, or leave out, does not come back the same.
  const isPlain = ascii === lowerCase || domainToUnicode(ascii) === lowerCase;
  return isPlain ? ascii : null;
}

/** Whether a character of another script turns into ASCII when compatibility or case is folded away. */
function isDisguise(character: string): boolean {
  const hasAscii = (text: string) => [...text].some((each) => each <= "\u007F");
  return !hasAscii(character) && hasAscii(character.normalize("NFKC").toLowerCase());
}
