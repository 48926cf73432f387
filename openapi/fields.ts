// Members of requests and answers, each with its limits, an example and the words that explain it. The output of a
// request field is the canonical value; what the document says of it is what is accepted.

import { z } from "@hono/zod-openapi";
import { canonicalEmail } from "./email.ts";

const EXAMPLE_ID = "01981f6e-7a4c-7d1e-9b60-2f5d1c8e4a10";
const INT32_MAX = 2_147_483_647;

/** Of a pattern's class. */
const CONTROLS = String.raw`\u0000-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069`;
const SHAPELESS =
  String.raw`\s\u00AD\u034F\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200D\u2060-\u206F\u2800` +
  String.raw`\u3164\uFE00-\uFE0F\uFFA0\uFFF0-\uFFFB`;

/** Output: lower case, the domain in punycode. */
export const email = z.stringFormat("email", (address) => canonicalEmail(address) !== null, {
  error:
    "Must be an email address with an ASCII local part, without surrounding spaces or look-alike characters",
}).overwrite((address) => canonicalEmail(address) ?? address).openapi({
  format: "email",
  minLength: 3,
  maxLength: 254,
  description:
    "An email address: ASCII local part without quotes, at most 254 characters, no surrounding spaces. " +
    "The domain may be international and becomes punycode. Compared and kept in lower case.",
  example: "ada@example.com",
});

/** A password somebody has: only bounded, so that old ones keep working when the rules get stricter. */
export const password = text({ lengthMin: 1, lengthMax: 1024 }).openapi({
  format: "password",
  description: "The password of the account.",
  example: "correct horse battery staple",
});

/**
 * A password somebody chooses. Bounded here; the rules (NIST SP 800-63B-4 §3.1.1.2), which count code points after
 * NFC and know the person, are judged in src/password.ts, and the document states what they come to.
 */
export const newPassword = text({ lengthMin: 1, lengthMax: 1024 }).openapi({
  format: "password",
  minLength: 8,
  maxLength: 128,
  description:
    "8 to 128 characters, counted as code points after NFC. Anything goes, spaces and emoji included; nothing " +
    "is truncated. Refused when it is common, or built from the email, username, name or this service's name.",
  example: "correct horse battery staple",
});

export const passwordConfirm = text({ lengthMin: 1, lengthMax: 1024 }).optional().openapi({
  format: "password",
  description: "The same once more, for forms that ask twice. When present it must be equal.",
  example: "correct horse battery staple",
});

/** Output: six digits, or ten symbols in upper case without hyphens, `I` and `L` read as 1, `O` as 0. */
export const code = z.string().max(32)
  .regex(/^(?:[0-9]{6}|(?:-*[0-9A-TV-Za-tv-z]){10}-*)$/, "Must be 6 digits, or 10 letters and digits")
  .overwrite((given) => given.replaceAll("-", "").toUpperCase().replaceAll(/[IL]/g, "1").replaceAll("O", "0"))
  .openapi({
    description:
      "The code from the mail: 6 digits, leading zeros included. After many wrong guesses against an account " +
      "it has 10 characters of Crockford base 32 instead; there case does not matter and hyphens are ignored.",
    example: "042137",
  });

export const challengeId = id().openapi({
  description:
    "The `challenge_id` from the answer that started this flow. Keep it to yourself: only with it can codes be tried.",
});

export const userId = id().openapi({ description: "The id of the user; it never changes." });

export const username = z.string().min(3).max(32)
  .regex(/^[A-Za-z0-9_.-]+$/, "May hold only letters a-z, digits, underscore, dot and hyphen")
  .openapi({
    description:
      "A public name, 3 to 32 of `a-z A-Z 0-9 _ . -`. Unique without regard to case, shown as given.",
    example: "ada.lovelace",
  });

/** Surrounding space is refused rather than trimmed, as in addresses: what is answered is what was sent. */
export const name = line({ lengthMax: 100, isTrimmed: true }).openapi({
  description:
    "What the person is called: 1 to 100 characters, one of them visible, without surrounding spaces, control " +
    "characters or marks that turn the direction of text.",
  example: "Ada Lovelace",
});

/**
 * What stands in one line and can be seen, at most `lengthMax` characters. Refused: controls, line and paragraph
 * separators, marks that turn the direction of the text around them (Unicode Bidi_Control), and what has nothing but
 * spaces and other characters without a shape (Default_Ignorable_Code_Point). Joiners may stand between letters.
 */
export function line(
  { lengthMax, isTrimmed = false }: { readonly lengthMax: number; readonly isTrimmed?: boolean },
): z.ZodString {
  const [start, end] = isTrimmed ? ["(?!\\s)", "(?<!\\s)"] : ["", ""];
  return text({ lengthMin: 1, lengthMax }).regex(
    new RegExp(`^${start}(?=.*[^${SHAPELESS}])[^${CONTROLS}]*${end}$`),
    `Must have a visible character, and no ${
      isTrimmed ? "surrounding spaces, " : ""
    }line breaks, control characters ` +
      "or marks that turn the direction of text",
  );
}

/** Output: in the canonical case, `de-AT`. The pattern admits only what `Intl` takes. */
export const locale = z.string().min(2).max(35)
  .regex(
    /^[A-Za-z]{2,3}(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?(?:-(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))?$/,
    "Must be a language tag such as en, de-AT or zh-Hant-TW",
  )
  .overwrite((tag) => isLanguageTag(tag) ? new Intl.Locale(tag).toString() : tag)
  .openapi({
    description:
      "The person's language, kept for your app, as a BCP 47 tag: language, then script, region and variant if " +
      "needed. Mails are in English.",
    example: "en-GB",
  });

/** Opaque: whatever is not ours is an invalid token, not an invalid request. */
export const refreshToken = z.string().min(1).max(512).openapi({
  description:
    "A refresh token: opaque, works once, is replaced at each use. Keep it where scripts of others cannot read it.",
  example: "lkr_AZgfbnpMfR6bYC9dHI5KEAGYH256THweqmAvXRyOShFh8bXW0cUqk7mT2nQwz4yLxE3rVbJc9aG5dKfPiu1HoM",
});

/** Opaque: whatever is not ours answers like one that has ended. */
export const resetToken = z.string().min(1).max(512).openapi({
  description:
    "A reset token: opaque, works once, for ten minutes. It sets a new password; it signs nobody in.",
  example: "lkp_qv5wX2nRkT8eYdH1cM0sZ7bUaJ4fLgP9iOxE3rVtQyW",
});

export const accessToken = z.string().min(1).max(2048).openapi({
  description: "A signed JWT (RFC 9068, `at+jwt`, EdDSA). Send it as `Authorization: Bearer …`.",
  example: "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImsxIn0.eyJzdWIiOiJleGFtcGxlIn0.c2lnbmF0dXJl",
});

/** Of a list's query. Read by hand: coercion would take `""` and `true` for numbers. */
export const limit = z.string().regex(/^(?:[1-9][0-9]?|100)$/, "Must be a whole number from 1 to 100")
  .transform(Number).prefault("20").openapi({
    type: "integer",
    format: "int32",
    minimum: 1,
    maximum: 100,
    default: 20,
    description: "How many at most.",
    example: 20,
  });

export const cursor = z.string().min(1).max(1024).regex(
  /^[A-Za-z0-9_-]+$/,
  "Must be the next_cursor of the same list",
).openapi({
  description:
    "`next_cursor` of the page before. Opaque, and good only for the same query by the same person.",
  example: "MDE5ODFmNmUtN2E0Yy03ZDFl",
});

/** IPv4 or IPv6. */
export const ip = z.string().max(45).regex(/^[0-9A-Fa-f.:]+$/).openapi({
  description: "The network address that the request came from.",
  example: "203.0.113.7",
});

export const userAgent = z.string().max(200).regex(/^[\x20-\x7E]+$/).openapi({
  description: "What the program called itself, in printable ASCII; null when it did not.",
  example: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
});

/** Ours, or one that the client sent: hono's own middleware takes these characters. */
export const requestId = z.string().max(128).regex(/^[A-Za-z0-9_=-]+$/).openapi({
  description: "Names the answer in the server's log; the same as `X-Request-Id`.",
  example: EXAMPLE_ID,
});

/** A word for programs, of a list that may grow. */
export function word(description: string, example: string): z.ZodString {
  return z.string().max(64).regex(/^[a-z][a-z0-9_]*$/).openapi({ description, example });
}

/** An RFC 3339 moment in UTC. */
export function time(description: string): z.ZodISODateTime {
  return z.iso.datetime().max(40).openapi({ description, example: "2026-11-21T09:30:00.000Z" });
}

/** A duration in whole seconds. */
export function seconds(description: string, example: number): z.ZodInt {
  return count(description, example);
}

/** A whole number, never negative. */
export function count(description: string, example: number): z.ZodInt {
  return z.int().min(0).max(INT32_MAX).openapi({ format: "int32", description, example });
}

/** Output: lower case. */
export function id(): z.ZodUUID {
  return z.uuidv7("Must be an id as Latchkey gives it").max(36).toLowerCase().openapi({
    pattern: "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$",
    description: "A UUIDv7.",
    example: EXAMPLE_ID,
  });
}

/** A string whose length is counted in code points, as JSON Schema counts; zod's own limits count UTF-16 units. */
export function text(
  { lengthMin, lengthMax }: { readonly lengthMin: number; readonly lengthMax: number },
): z.ZodString {
  return z.string().check(({ value, issues }) => {
    const length = [...value].length;
    const bound = { origin: "string", inclusive: true, input: value } as const;
    if (length < lengthMin) issues.push({ ...bound, code: "too_small", minimum: lengthMin });
    if (length > lengthMax) issues.push({ ...bound, code: "too_big", maximum: lengthMax });
    if (!value.isWellFormed()) {
      issues.push({
        code: "invalid_format",
        format: "unicode",
        input: value,
        message: "Holds half a character",
      });
    }
  }).openapi({ minLength: lengthMin, maxLength: lengthMax });
}

function isLanguageTag(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    return false;
  }
}
