// Which passwords are taken: every rule with what it refuses and, as important, with what it lets pass. No message
// ever repeats the password.

import assert from "node:assert/strict";
import fc from "fast-check";
import { type PasswordContext, passwordFault, type PasswordFaultCode } from "../src/password.ts";
import { likenessOf } from "../src/password/likeness.ts";

const ANN: PasswordContext = {
  email: "ann.miller@example.com",
  username: "quiltmaker_87",
  name: "Ann Zoë Petrović",
  appName: "Latchkey",
  lengthMin: 8,
  pattern: null,
};
const NOBODY: PasswordContext = { ...ANN, username: null, name: null };
const EIGHT_DIGITS: PasswordContext = { ...ANN, pattern: "\\d{8}" };

const refused: Record<PasswordFaultCode, string[]> = {
  password_unreadable: [
    "violet\u0000tuba93",
    "violet\ntuba 93",
    "violet tuba\u0085",
    "violet tuba \ud83d",
    "\udc00iolet tuba",
  ],
  password_too_short: ["", "x", "vT!93qz", "e\u0301".repeat(7), "🐢🐙🦑🐡🐠🐟🐬"],
  password_too_long: [passphrase(129), "🐢".repeat(129), passphrase(5000)],
  password_pattern: [],
  password_common: [
    "password",
    "PASSWORD",
    "Password1",
    "P@ssw0rd!",
    "pa55w0rd",
    "Passw0rd!234",
    "!!dragon!!",
    "2024football",
    "password12345",
    "letmein123456789",
    "12345678",
    "1234567890123",
    "87654321",
    "90123456",
    "abcdefgh",
    "zyxwvuts",
    "abcd1234!",
    "Password12345!",
    "~dragon~1234567890",
    "qwertyuiop",
    "lkjhgfdsa",
    "aaaaaaaa",
    "        ",
    "🐢🐢🐢🐢🐢🐢🐢🐢",
    "aabbccdd",
    "xyxyxyxy",
    "qvxqvxqvxq",
    "19871987",
    "qv7 qv7 qv7 ",
  ],
  password_like_email: [
    "ann.miller@example.com",
    "Ann.Miller",
    "annmiller1987",
    "miller19870412",
    "m1ller!!2024",
    "rellim.nna",
    "Example-2024",
    "MillerMiller99",
    "example_miller_1",
  ],
  password_like_username: ["quiltmaker_87", "Quiltmaker99", "QU1LTM4K3R", "78_rekamtliuq"],
  password_like_name: ["petrovic", "Petrović!", "zoë petrović", "PETROVIC-2001", "ZoePetrovic1"],
  password_like_service: ["latchkey", "L4tchk3y!!!", "latchkey-2026", "yekhctal"],
};

for (const [code, passwords] of Object.entries(refused)) {
  for (const password of passwords) {
    Deno.test(`passwordFault is ${code} for ${JSON.stringify(password).slice(0, 40)}`, async () => {
      const fault = await passwordFault(password, ANN);
      assert.equal(fault?.code, code);
      const sameRule = await passwordFault(passwords.at(-1) ?? "", ANN);
      assert.deepEqual(fault, sameRule, "the message tells of the rule, never of the password");
    });
  }
}

const taken = [
  "correct horse battery staple",
  "violet tuba 93",
  "Tr0ub4dor&3",
  "vT!93qzK",
  "monkey 8274615532",
  "dragon fruit for breakfast",
  "miller sings in the rain",
  "my latchkey opens no door",
  "petrovic!7$Kq@92#x",
  "例え話は長い方がいい",
  "пароль-не-простой",
  "🐢🐙🦑🐡🐠🐟🐬🐳",
  "e\u0301\u00e8".repeat(2) + "tang",
  "  leading and trailing  ",
  passphrase(128),
];

for (const password of taken) {
  Deno.test(`passwordFault takes ${JSON.stringify(password).slice(0, 40)}`, async () => {
    assert.equal(await passwordFault(password, ANN), null);
  });
}

Deno.test("passwordFault counts code points after NFC", async () => {
  const decomposed = "e\u0301".repeat(128);
  assert.equal([...decomposed].length, 256);
  const fault = await passwordFault(decomposed + "x", ANN);
  assert.equal(fault?.code, "password_too_long");
  assert.notEqual((await passwordFault(decomposed, ANN))?.code, "password_too_long");
});

Deno.test("passwordFault honours a longer minimum", async () => {
  const strict = { ...ANN, lengthMin: 15 };
  assert.equal((await passwordFault("violet tuba 93", strict))?.code, "password_too_short");
  assert.match((await passwordFault("violet tuba 93", strict))?.message ?? "", /at least 15 characters/);
  assert.equal(await passwordFault("violet tuba 931", strict), null);
});

Deno.test.each([
  { password: "48271993", code: undefined },
  { password: "4827199", code: "password_too_short" },
  { password: "482719935", code: "password_pattern" },
  { password: "4827199x", code: "password_pattern" },
  { password: "violet tuba 93", code: "password_pattern" },
  { password: "12345678", code: "password_common" },
  { password: "77777777", code: "password_common" },
  { password: "48274827", code: "password_common" },
])("passwordFault under a pattern of eight digits: $password", async ({ password, code }) => {
  assert.equal((await passwordFault(password, EIGHT_DIGITS))?.code, code);
});

Deno.test("passwordFault tells the pattern as the operator wrote it, and matches it as a whole", async () => {
  const context = { ...ANN, pattern: "\\d{8}|[a-z/]+" };
  const { code, message } = await passwordFault("4827199300", context) ?? {};
  assert.equal(code, "password_pattern");
  assert.equal(
    message,
    "Passwords of this service have the form \\d{8}|[a-z/]+. Choose one of that form",
  );
});

Deno.test("passwordFault knows no likeness to a name or username that is not there", async () => {
  assert.equal(await passwordFault("quiltmaker_87", NOBODY), null);
  assert.equal(await passwordFault("Zoë Petrović", NOBODY), null);
  assert.equal((await passwordFault("annmiller1987", NOBODY))?.code, "password_like_email");
});

Deno.test("likenessOf finds every spelling of name and year, whoever the person is", () => {
  const word = fc.string({
    unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz"),
    minLength: 5,
    maxLength: 12,
  });
  const year = fc.integer({ min: 1940, max: 2030 });
  const join = fc.constantFrom("", "-", "_", " ", ".");
  const build = (name: string, sign: string, year: number): string[] => [
    `${name}${sign}${year}`,
    `${year}${sign}${name}`,
    `${name.toUpperCase()}${year}!`,
    `${name.replaceAll("e", "3").replaceAll("o", "0").replaceAll("a", "@")}${year}`,
    `${[...name].reverse().join("")}${sign}${year}`,
  ];
  fc.assert(fc.property(word, join, year, (name, sign, year) => {
    for (const password of build(name, sign, year)) {
      assert.equal(
        likenessOf(password, { email: "q@x.example", username: name, name: null, appName: "" }),
        "username",
      );
    }
  }));
});

Deno.test("likenessOf leaves every passphrase alone that merely holds a name", () => {
  const word = fc.string({
    unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz"),
    minLength: 4,
    maxLength: 9,
  });
  fc.assert(fc.property(word, (name) => {
    const identity = { email: `${name}@mail.example`, username: name, name, appName: name };
    assert.equal(likenessOf(`wet gravel ${name} hums quietly`, identity), null);
  }));
});

Deno.test("passwordFault answers every text with a known code, and never repeats it", async () => {
  const text = fc.oneof(fc.string({ unit: "binary", maxLength: 140 }), fc.string({ maxLength: 40 }));
  await fc.assert(fc.asyncProperty(text, text, async (password, name) => {
    const fault = await passwordFault(password, { ...ANN, name, username: name });
    if (fault === null) return;
    assert.ok(Object.hasOwn(refused, fault.code));
    if (password.length >= 8) assert.ok(!fault.message.includes(password));
  }));
});

/** Words that nobody has in common, `length` characters of them. */
function passphrase(length: number): string {
  const words = Array.from(
    { length: Math.ceil(length / 8) },
    (_, index) => `w${(index * 7919).toString(36)}v`,
  );
  return words.join(" ").padEnd(length, "zq+K").slice(0, length);
}
