// Guards around what comes in: how much of a body is read, what it may hold, and which cursor opens what.

import type { Guard } from "./guard.ts";

const BODY = "src/body.ts";
const EMAIL = "openapi/email.ts";
const REFUSALS = "http: every refusal is a problem with its headers";

export const requests: readonly Guard[] = [
  {
    name: "a body that says it is too large is refused",
    file: BODY,
    find: 'if (Number(declared) > BODY_BYTES_MAX) throw new Problem("body_too_large");',
    put: "",
    red: ["http_test.ts", REFUSALS],
  },
  {
    name: "a body that does not say how large it is is read up to a limit",
    file: BODY,
    find: 'if (length > BODY_BYTES_MAX) throw new Problem("body_too_large");',
    put: "",
    red: ["http_test.ts", REFUSALS],
  },
  {
    name: "a compressed body is refused, and never inflated",
    file: BODY,
    find: 'if ((request.header("content-encoding") ?? "identity") !== "identity") {',
    put: 'if (request.header("content-encoding") === "") {',
    red: ["http_test.ts", REFUSALS],
  },
  {
    name: "a body of another media type is refused: no form of another site is read",
    file: BODY,
    find: "essence.trim() === MEDIA_TYPE && isUtf8",
    put: "isUtf8",
    red: ["http_test.ts", REFUSALS],
  },
  {
    name: "a body in another charset is refused",
    file: BODY,
    find: "essence.trim() === MEDIA_TYPE && isUtf8",
    put: "essence.trim() === MEDIA_TYPE",
    red: ["http_test.ts", REFUSALS],
  },
  {
    name: "a body that is not UTF-8 is refused",
    file: BODY,
    find: "{ fatal: true, ignoreBOM: true }",
    put: "{ fatal: false, ignoreBOM: true }",
    red: ["http_test.ts", REFUSALS],
  },
  {
    name: "a member that is named twice is refused: two readers could differ",
    file: BODY,
    find: 'if (hasDuplicateName(text)) return malformed("The body names a member twice");',
    put: "",
    red: ["http_test.ts", REFUSALS],
  },
  {
    name: "a body that stalls is given up",
    file: BODY,
    find: "await Promise.race([arrived, late]);",
    put: "await arrived;",
    red: [
      "e2e_slow_clients_test.ts",
      "slow clients: 500 of them cost memory by a formula, delay nobody, and every half body gets its answer",
    ],
  },
  {
    name: "a member that the contract does not name is refused: nobody makes themselves an admin",
    file: "openapi/account.ts",
    find: "          schema: z.strictObject({\n            name:",
    put: "          schema: z.looseObject({\n            name:",
    red: ["account_test.ts", "updateMe: refuses what does not fit, says where, and changes nothing"],
  },
  {
    name: "a refusal names at most a hundred faults",
    file: "src/validation.ts",
    find: "return faults.slice(0, FAULTS_MAX);",
    put: "return faults;",
    red: [
      "e2e_bombs_test.ts",
      "bombs: a body that costs more than it weighs is refused at once, by a small answer",
    ],
  },
  {
    name: "a cursor opens only for the person that it was made for",
    file: "src/cursor.ts",
    find: "JSON.stringify([operation, userId, given.sort()])",
    put: "JSON.stringify([operation, given.sort()])",
    red: ["cursor_test.ts", "cursor: does not open for another person"],
  },
  {
    name: "a cursor opens only for the query that it was made for",
    file: "src/cursor.ts",
    find: "JSON.stringify([operation, userId, given.sort()])",
    put: "JSON.stringify([userId])",
    red: ["cursor_test.ts", "cursor: does not open for another value of a filter"],
  },
  {
    name: "what is sealed opens only in the place that it was sealed for",
    file: "src/secrets.ts",
    find: ".update(context).digest();",
    put: '.update("").digest();',
    red: ["cursor_test.ts", "cursor: does not open for another operation"],
  },
  {
    name: "what is sealed and altered does not open",
    file: "src/secrets.ts",
    find: 'return JSON.parse(Buffer.concat([body, decipher.final()]).toString("utf8"));',
    put: 'return JSON.parse(body.toString("utf8"));',
    red: ["cursor_test.ts", "cursor: refuses any alteration, of the last bit too"],
  },
  {
    name: "a Kelvin sign in an address never becomes a k",
    file: EMAIL,
    find:
      "const LOCAL_PART = /^(?=.{1,64}$)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;",
    put:
      "const LOCAL_PART = /^(?=.{1,64}$)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/iu;",
    red: ["fields_test.ts", "email lets out nothing but canonical ASCII addresses"],
  },
  {
    name: "letters that fold to ASCII are refused in a domain",
    file: EMAIL,
    find: " || [...domain].some(isDisguise)) return null;",
    put: ") return null;",
    also: [{
      file: EMAIL,
      find: "const isPlain = ascii === lowerCase || domainToUnicode(ascii) === lowerCase;",
      put: "const isPlain = true;",
    }],
    red: ["fields_test.ts", "email keeps the ASCII of what it is given, and adds none"],
  },
  {
    name: "an address of more than 254 characters is refused",
    file: EMAIL,
    find: "return canonical.length <= ADDRESS_LENGTH_MAX ? canonical : null;",
    put: "return canonical;",
    red: [
      "fields_test.ts",
      'email that is too long refuses "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa… (257 characters)',
    ],
  },
  {
    name: "a name holds no marks that turn the direction of the text around it",
    file: "openapi/fields.ts",
    find: "\\u200E\\u200F\\u2028-\\u202E\\u2066-\\u2069`;",
    put: "\\u2028-\\u2029`;",
    red: ["fields_test.ts", 'name refuses "A\\u{202e}b"'],
  },
  {
    name: "a name can be seen",
    file: "openapi/fields.ts",
    find: "(?=.*[^${SHAPELESS}])",
    put: "",
    red: ["fields_test.ts", 'name refuses "\\u{200b}"'],
  },
];
