// What must not be guessed: where it comes from shows in how it is spread. The bounds are ten standard deviations away:
// a fair source does not come near them.

import assert from "node:assert/strict";
import { createCode } from "../src/code.ts";
import { newId } from "../src/id.ts";
import { createRefreshToken } from "../src/refresh_token.ts";
import { randomText } from "../src/secrets.ts";
import { START_MS } from "./harness.ts";

const DRAWS = 20_000;
/** A share of `DRAWS` that is due with the probability `p`. */
function isFair(count: number, p: number): boolean {
  const deviation = Math.sqrt(DRAWS * p * (1 - p));
  return Math.abs(count - DRAWS * p) < 10 * deviation;
}

Deno.test("random: tokens have 256 bits, each as often set as not, and none comes twice", () => {
  const ids = { userId: newId(START_MS), sessionId: newId(START_MS) };
  const makers = [() => randomText(32), () => createRefreshToken(ids).slice(-43)];
  for (const make of makers) {
    const texts = Array.from({ length: DRAWS }, make);
    assert.equal(new Set(texts).size, DRAWS);
    const bytes = texts.map((text) => Uint8Array.fromBase64(text, { alphabet: "base64url" }));
    assert(bytes.every(({ length }) => length === 32));
    for (let bit = 0; bit < 256; bit++) assert(isFair(setIn(bytes, bit), 1 / 2), `bit ${bit}`);
  }
});

Deno.test("random: of an id 73 bits are, and two of one moment have nothing in common", () => {
  const bytes = Array.from({ length: DRAWS }, () => Uint8Array.fromHex(newId(START_MS).replaceAll("-", "")));
  assert.equal(new Set(bytes.map((id) => id.toHex())).size, DRAWS);
  // Time, version, a bit that the library keeps for counting, and the variant.
  const fixed = (bit: number): boolean => bit < 53 || bit === 64 || bit === 65;
  const random = Array.from({ length: 128 }, (_, bit) => bit).filter((bit) => !fixed(bit));
  assert.equal(random.length, 73);
  for (const bit of random) assert(isFair(setIn(bytes, bit), 1 / 2), `bit ${bit}`);
});

Deno.test("random: every place of a code has every character as often", () => {
  for (
    const { isLong, form, letters } of [
      { isLong: false, form: /^\d{6}$/, letters: "0123456789" },
      { isLong: true, form: /^[0-9A-HJKMNP-TV-Z]{10}$/, letters: "0123456789ABCDEFGHJKMNPQRSTVWXYZ" },
    ]
  ) {
    const codes = Array.from({ length: DRAWS }, () => createCode({ isLong }));
    assert(codes.every((code) => form.test(code)));
    for (let place = 0; place < (codes[0] ?? "").length; place++) {
      for (const letter of letters) {
        const count = codes.filter((code) => code[place] === letter).length;
        assert(isFair(count, 1 / letters.length), `${letter} at ${place}: ${count}`);
      }
    }
  }
});

function setIn(all: readonly Uint8Array[], bit: number): number {
  return all.filter((bytes) => (bytes[bit >> 3] ?? 0) >> (7 - bit % 8) & 1).length;
}
