// The fields of requests: what each accepts, in which form it comes out, and what it refuses. Addresses are also
// tried with everything that fast-check can think of, against invariants instead of examples.

import assert from "node:assert/strict";
import type { z } from "@hono/zod-openapi";
import fc from "fast-check";
import {
  code,
  cursor,
  email,
  id,
  limit,
  locale,
  name,
  newPassword,
  password,
  refreshToken,
  username,
} from "../openapi/fields.ts";
import { Note } from "../openapi/notes.ts";

/** Every mark that turns the direction of the text around it (Unicode Bidi_Control). */
const BIDI_CONTROLS: readonly number[] = [
  0x061c,
  0x200e,
  0x200f,
  0x202a,
  0x202b,
  0x202c,
  0x202d,
  0x202e,
  0x2066,
  0x2067,
  0x2068,
  0x2069,
];

const { title } = Note.shape;

const UUID_V7 = "01981f6e-7a4c-7d1e-9b60-2f5d1c8e4a10";
const LABEL_63 = "a".repeat(63);

const accepted: [field: string, schema: z.ZodType, input: unknown, output: unknown][] = [
  ["email", email, "ada@example.com", "ada@example.com"],
  ["email", email, "Ada.Lovelace@Example.COM", "ada.lovelace@example.com"],
  ["email", email, "o'brien+tag=1@example.com", "o'brien+tag=1@example.com"],
  ["email", email, "!#$%&'*+/=?^_`{|}~-@example.com", "!#$%&'*+/=?^_`{|}~-@example.com"],
  ["email of one label", email, "root@localhost", "root@localhost"],
  ["email in another script", email, "ada@bücher.example", "ada@xn--bcher-kva.example"],
  ["email in upper case of another script", email, "ada@BÜCHER.example", "ada@xn--bcher-kva.example"],
  ["email, decomposed", email, "ada@bu\u0308cher.example", "ada@xn--bcher-kva.example"],
  ["email in punycode", email, "ada@XN--bcher-kva.example", "ada@xn--bcher-kva.example"],
  ["email with ß", email, "ada@straße.example", "ada@xn--strae-oqa.example"],
  ["email in Japanese", email, "ada@例え.jp", "ada@xn--r8jz45g.jp"],
  ["email in Cyrillic", email, "ada@пример.рф", "ada@xn--e1afmkfd.xn--p1ai"],
  ["email, local part of 64", email, `${"a".repeat(64)}@example.com`, `${"a".repeat(64)}@example.com`],
  ["email, label of 63", email, `a@${LABEL_63}.example`, `a@${LABEL_63}.example`],
  ["email of 254", email, email254(), email254()],

  ["code", code, "042137", "042137"],
  ["long code", code, "7ZK4MPX0QA", "7ZK4MPX0QA"],
  ["long code as people type it", code, "7zk4m-pxOqa", "7ZK4MPX0QA"],
  ["long code with I and L", code, "il-IL-000-000", "1111000000"],

  ["id", id(), UUID_V7, UUID_V7],
  ["id in upper case", id(), UUID_V7.toUpperCase(), UUID_V7],

  ["password", password, " ", " "],
  ["password of 1024 emoji", password, "🔑".repeat(1024), "🔑".repeat(1024)],
  ["new password, not judged here", newPassword, "short", "short"],

  ["username", username, "Ada_L.-9", "Ada_L.-9"],
  ["name", name, "Ada Lovelace", "Ada Lovelace"],
  ["name of 100 emoji", name, "🙂".repeat(100), "🙂".repeat(100)],
  ["name of a rare letter", name, "\u{20BB7}", "\u{20BB7}"],
  ["name in Hebrew", name, "עדה לאבלייס", "עדה לאבלייס"],
  ["note title, with surrounding spaces", title, " 👩\u200D💻 ", " 👩\u200D💻 "],
  ["name with a joiner", name, "👩\u200D💻 می\u200Cخواهم", "👩\u200D💻 می\u200Cخواهم"],

  ["locale", locale, "en", "en"],
  ["locale, canonical case", locale, "ZH-hant-tw", "zh-Hant-TW"],
  ["locale with a variant", locale, "ca-ES-valencia", "ca-ES-valencia"],
  ["locale of a continent", locale, "es-419", "es-419"],

  ["refresh token of somebody else", refreshToken, "not ours", "not ours"],
  ["limit", limit, "1", 1],
  ["limit", limit, "100", 100],
  ["limit left out", limit, undefined, 20],
  ["cursor", cursor, "MDE5ODFm", "MDE5ODFm"],
];

for (const [field, schema, input, output] of accepted) {
  Deno.test(`${field} accepts ${show(input)}`, () => {
    assert.deepEqual(schema.parse(input), output);
  });
}

const refused: [field: string, schema: z.ZodType, inputs: unknown[]][] = [
  ["email without its parts", email, [
    "",
    "@",
    "ada",
    "ada@",
    "@example.com",
    "a@b@example.com",
    "ada example.com",
  ]],
  ["email with surrounding spaces", email, [
    " ada@example.com",
    "ada@example.com ",
    "ada@example.com\n",
    "\u00A0ada@example.com",
  ]],
  ["email, quoted or with comments", email, [
    '"ada"@example.com',
    "ada(x)@example.com",
    "Ada <ada@example.com>",
    "a,b@example.com",
  ]],
  ["email with dots in the wrong place", email, [
    ".ada@example.com",
    "ada.@example.com",
    "a..b@example.com",
    "ada@example..com",
    "ada@.example.com",
    "ada@example.com.",
  ]],
  ["email with a local part that is not ASCII", email, [
    "mi\u212Ae@example.com",
    "mıke@example.com",
    "\u017Fam@example.com",
    "адa@example.com",
    "ａda@example.com",
  ]],
  ["email with a domain that folds to ASCII", email, [
    "ada@mi\u212Ae.example", // Kelvin sign
    "ada@\u017Foap.example", // long s
    "ada@ｅxample.com", // full width
    "ada@exam\u200Bple.com", // zero-width space
    "ada@exam\u200Dple.com", // zero-width joiner
    "ada@exam\u00ADple.com", // soft hyphen
    "ada@exam\u2060ple.com", // word joiner
    "ada@exam\uFE0Fple.com", // variation selector
    "ada@\uFEFFexample.com", // byte order mark
    "ada@example\u3002com", // ideographic full stop
    "ada@example\uFF0Ecom", // full-width full stop
    "ada@example\uFF61com", // half-width full stop
    "ada@\u2460.example", // circled one
    "ada@\u2100.example", // a/c
    "ada@\u0130.example", // capital I with dot, which becomes i and a combining dot
    "ada@\u{1D41A}.example", // mathematical bold a
  ]],
  ["email with a domain that is none", email, [
    "ada@-a.example",
    "ada@a-.example",
    "ada@a_b.example",
    "ada@a b.example",
    "ada@xn--a.example",
    "ada@a/b.example",
    "ada@a%2eb.example",
  ]],
  ["email with an IP address", email, ["ada@127.0.0.1", "ada@[127.0.0.1]", "ada@[IPv6:::1]", "ada@1"]],
  ["email that is too long", email, [
    `${"a".repeat(65)}@example.com`,
    `a@${"a".repeat(64)}.example`,
    `a${email254()}`,
    `a@${"ü".repeat(60)}.example`, // fits as written, not as punycode
    "a".repeat(60_000) + "@example.com",
    "a@" + "ü.".repeat(30_000) + "com",
  ]],
  ["email with what could become a header", email, [
    "a@example.com\r\nBcc: b@example.com",
    "a\u0000@example.com",
    "a@example.com, b@example.com",
  ]],
  ["email that is no string", email, [null, 1, ["ada@example.com"], {}]],

  ["code", code, [
    "",
    "12345",
    "1234567",
    "12345a",
    "12-34-56",
    " 042137",
    "０４２１３７",
    "\u0664\u0662\u0661\u0663\u0667\u0660",
  ]],
  ["long code", code, [
    "7ZK4MPX0Q",
    "7ZK4MPX0QAA",
    "7ZK4MPX0QU",
    "7ZK4 MPX0QA",
    "7Z\u212A4MPX0QA",
    `7ZK4MPX0QA${"-".repeat(23)}`,
  ]],

  ["id", id(), [
    "",
    "x",
    "0",
    "a98a4f0e-2f56-4d3b-8a3f-0c1f6d2b7e11",
    `${UUID_V7} `,
    `{${UUID_V7}}`,
    "../users",
  ]],

  ["password", password, ["", "x".repeat(1025), "\uD800 half a character", null, 12345678]],

  ["username", username, [
    "",
    "ab",
    "a".repeat(33),
    "ada lovelace",
    "ada@example",
    "ädä",
    "\u212Aim",
    " ada",
    "ada\n",
  ]],
  ["name", name, [
    "",
    " ",
    " Ada",
    "Ada ",
    "\u3000Ada",
    "A\nB",
    "A\u0000B",
    "A\u007FB",
    "A\u2028B",
    ...turned("A", "b"),
    "\u200B",
    "\u2060\u200D",
    "\u3164",
    "A\uD83D",
    "x".repeat(101),
  ]],
  ["note title", title, [
    "",
    " \u00A0",
    "A\nB",
    "A\u2028B",
    ...turned(" A", "b "),
    "\u200B",
    " \u200B ",
    "\uFEFF",
    "x".repeat(201),
  ]],
  ["locale", locale, [
    "",
    "e",
    "english",
    "en_US",
    "en-",
    "-en",
    "en-US-u-hc-h12",
    "x-klingon",
    "en-US\n",
    "../../etc",
  ]],
  ["refresh token", refreshToken, ["", "x".repeat(513), null]],
  ["limit", limit, ["0", "101", "-1", "1.5", "1e1", "", " 1", "01", "true"]],
  ["cursor", cursor, ["", "a b", "x".repeat(1025)]],
];

for (const [field, schema, inputs] of refused) {
  for (const input of inputs) {
    Deno.test(`${field} refuses ${show(input)}`, () => {
      assert.equal(schema.safeParse(input).success, false);
    });
  }
}

const looseText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.string({ unit: "grapheme", maxLength: 20 }),
  fc.string({
    unit: fc.constantFrom(...'aZ09.-_+@ "<>,\u212A\u0130\u017F\u3002\u200B\u00ADüßｋ'),
    maxLength: 20,
  }),
);
const address = fc.oneof(
  fc.tuple(looseText, looseText).map(([localPart, domain]) => `${localPart}@${domain}`),
  fc.tuple(looseText, fc.domain()).map(([localPart, domain]) => `${localPart}@${domain}`),
  looseText.map((domain) => `ada@${domain}`),
  fc.emailAddress(),
);

Deno.test("email lets out nothing but canonical ASCII addresses", () => {
  fc.assert(
    fc.property(address, (input) => {
      const { data: output } = email.safeParse(input);
      if (output === undefined) return;
      assert.match(output, /^[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*$/);
      assert.ok(output.length <= 254);
      assert.doesNotMatch(output, /^\.|\.\.|\.@|@[.-]|[.-]$/);
      assert.equal(email.parse(output), output);
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("email keeps the ASCII of what it is given, and adds none", () => {
  fc.assert(
    fc.property(address, (input) => {
      const { data: output } = email.safeParse(input);
      const [localPart, domain] = input.split("@");
      if (output === undefined || localPart === undefined || domain === undefined) return;
      assert.equal(output.split("@")[0], localPart.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()));
      assert.equal(output.split(".").length, input.split(".").length, "a dot came or went");
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("email takes every plain ASCII address", () => {
  const plain = fc.emailAddress({ size: "small" }).filter((each) => each.length <= 254);
  fc.assert(fc.property(plain, (input) => assert.equal(email.parse(input), input.toLowerCase())));
});

Deno.test("locale lets out only tags that Intl takes", () => {
  const tag = fc.stringMatching(
    /^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-[A-Za-z]{2}|-[0-9]{3})?(-[A-Za-z0-9]{4,8})?$/,
  );
  fc.assert(
    fc.property(tag, (input) => {
      const { data: output } = locale.safeParse(input);
      if (output !== undefined) assert.deepEqual(Intl.getCanonicalLocales(output), [output]);
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("code reads the same with and without case, hyphens and look-alikes", () => {
  fc.assert(fc.property(fc.stringMatching(/^[0-9A-HJKMNP-TV-Z]{10}$/), (canonical) => {
    const typed = canonical.toLowerCase().replaceAll("1", "l").replaceAll("0", "o").replace(/^.{5}/, "$&-");
    assert.equal(code.parse(typed), canonical);
  }));
});

/** `before` and `after` with each of the marks between. */
function turned(before: string, after: string): string[] {
  return BIDI_CONTROLS.map((mark) => before + String.fromCharCode(mark) + after);
}

function email254(): string {
  return `${"a".repeat(60)}@${LABEL_63}.${LABEL_63}.${"b".repeat(61)}.com`.slice(0, 254);
}

function show(input: unknown): string {
  const text = JSON.stringify(input) ?? "nothing";
  const visible = text.replaceAll(
    /[^ -~]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
  return visible.length <= 60 ? visible : `${visible.slice(0, 40)}… (${text.length} characters)`;
}
