// "P@$$w0rd" is "password" to everybody who guesses. Both sides of a comparison lose the disguise, so that the
// spellings that look alike (1, l and i among them) count as one.

const LETTER_OF: Readonly<Record<string, string>> = {
  "4": "a",
  "@": "a",
  "3": "e",
  "1": "i",
  "!": "i",
  "|": "i",
  "l": "i",
  "0": "o",
  "5": "s",
  "$": "s",
  "7": "t",
  "+": "t",
};

/** `lowerText` with a letter for each digit or sign that stands for one; as long as before. */
export function undisguised(lowerText: string): string {
  return lowerText.replace(/[4@31!|l05$7+]/g, (sign) => LETTER_OF[sign] ?? sign);
}
