// Guards around who runs the server: settings that must not be used, files that others must not read, and what a
// program of ours may do on the machine.

import type { Guard } from "./guard.ts";

const SETTINGS = "src/settings.ts";
const CONFIG = "src/config.ts";
const LAUNCH = "src/cli/launch.ts";
const RESTORE = "src/cli/restore.ts";
const OUTPUT = "src/cli/output_file.ts";

export const operators: readonly Guard[] = [
  {
    name: "a SECRET_KEY of fewer than 32 bytes stops the start",
    file: SETTINGS,
    find: "if (new TextEncoder().encode(text).length < SECRET_BYTES_MIN) {",
    put: "if (text.length < 0) {",
    red: ["config_test.ts", 'config: refuses SECRET_KEY="q7Zp2mXv9Lc4Rt8WyB3nKd6HsJ1fGa5"'],
  },
  {
    name: "a SECRET_KEY that somebody made up stops the start",
    file: SETTINGS,
    find: "return isGuessable ? wrong(",
    put: "return text === '' && isGuessable ? wrong(",
    red: ["config_test.ts", 'config: refuses SECRET_KEY="please-changeme-before-you-go-live!"'],
  },
  {
    name: "production insists on a SECRET_KEY",
    file: CONFIG,
    find: "if (!given.SECRET_KEY) {",
    put: "if (given.SECRET_KEY === null) {",
    red: ["e2e_start_test.ts", "start: production lists every fault of its settings at once"],
  },
  {
    name: "production sends no mail in the clear, but on loopback",
    file: CONFIG,
    find: "if (smtp && !smtp.hasTls && !smtp.isLoopback) {",
    put: "if (smtp && smtp.host === '') {",
    red: [
      "config_test.ts",
      "config: production without a key, with mail in clear and a bad port says all at once",
    ],
  },
  {
    name: "PUBLIC_URL is https, but on loopback",
    file: SETTINGS,
    find: 'if (url.protocol !== "https:" && !isLoopback(url.hostname)) {',
    put: 'if (url.protocol === "") {',
    red: ["config_test.ts", 'config: refuses PUBLIC_URL="http://example.org"'],
  },
  {
    name: "a name that begins like loopback is not loopback",
    file: SETTINGS,
    find: 'hostname === "localhost" ||',
    put: 'hostname.startsWith("localhost") ||',
    red: ["config_test.ts", 'config: refuses PUBLIC_URL="http://localhost.example.org"'],
  },
  {
    name: "CORS_ORIGINS takes no wildcard",
    file: SETTINGS,
    find: "return /^https?:\\/\\/[^*]+$/.test(text) && URL.parse(text)?.origin === text;",
    put: "return text !== '';",
    red: ["config_test.ts", 'config: refuses CORS_ORIGINS="*"'],
  },
  {
    name: "what the stand-in hasher took goes back to the system",
    file: "src/cli/launch.ts",
    find: "    env: MEMORY,\n",
    put: "",
    red: [
      "project_test.ts",
      "memory: what large blocks are is told to the server by the start task, and in the image",
    ],
  },
  {
    name: "the doctor tells of a duration that cancels another one",
    file: "src/doctor/settings.ts",
    find: "if (isFound(config)) findings",
    put: "if (!isFound(config) && false) findings",
    red: [
      "cli_doctor_test.ts",
      "doctor: durations that cancel each other are told, and what each is good for",
    ],
  },
  {
    name: "an address that is none of a store is not taken for a folder",
    file: SETTINGS,
    find: "return !isUrl || (/^https?:/.test(text) && URL.canParse(text))",
    put: "return !isUrl || text !== ''",
    red: ["config_test.ts", 'config: refuses KV_PATH="HTTPS://kv.example.org"'],
  },
  {
    name: "a refused setting is not repeated: it may be a secret",
    file: CONFIG,
    find: '`${issue.path.join(".")} ${issue.message}`',
    put: '`${issue.path.join(".")} ${issue.message}: ${given[String(issue.path[0])]}`',
    red: ["config_test.ts", "config: a refused secret is not repeated"],
  },
  {
    name: "a password pattern is matched against the whole password",
    file: "src/password.ts",
    find: 'return new RegExp(`^(?:${pattern})$`, "u").test(text);',
    put: 'return new RegExp(pattern, "u").test(text);',
    red: [
      "password_test.ts",
      "passwordFault tells the pattern as the operator wrote it, and matches it as a whole",
    ],
  },
  {
    name: "METRICS_TOKEN is long enough not to be guessed",
    file: SETTINGS,
    find: "if (text.length < TOKEN_LENGTH_MIN || text.length",
    put: "if (text.length",
    red: ["config_test.ts", 'config: refuses METRICS_TOKEN="xxxxxxxxxxxxxxx"'],
  },
  {
    name: "a program of ours writes only where it must",
    file: LAUNCH,
    find: "`--allow-write=${[storeFolder, ...files.flatMap(writes)]}`",
    put: '"--allow-write"',
    red: ["e2e_start_test.ts", "permissions: the server writes to the folder of its store only"],
  },
  {
    name: "a program of ours reads only what it must",
    file: LAUNCH,
    find:
      '`--allow-read=${[".env", ".viewer", storeFolder, "/usr/bin/ldd", BCRYPT, ...files.flatMap(reads)]}`',
    put: '"--allow-read"',
    red: ["e2e_start_test.ts", "permissions: no program runs others, asks, or gets anything whole"],
  },
  {
    name: "a program of ours loads no library but the hasher's",
    file: LAUNCH,
    find: "`--allow-ffi=${HASHER_FOLDERS}`",
    put: '"--allow-ffi"',
    red: ["e2e_start_test.ts", "permissions: no program runs others, asks, or gets anything whole"],
  },
  {
    name: "a program of ours reads no variable but its settings",
    file: LAUNCH,
    find: '`--allow-env=${environmentNames.join(",")},DENO_KV_ACCESS_TOKEN`',
    put: '"--allow-env"',
    red: ["e2e_start_test.ts", "permissions: no program runs others, asks, or gets anything whole"],
  },
  {
    name: "a program of ours asks nobody for more permissions",
    file: LAUNCH,
    find: '    "--no-prompt",\n',
    put: "",
    red: ["e2e_start_test.ts", "permissions: no program runs others, asks, or gets anything whole"],
  },
  {
    name: "a copy of the store is for its owner only",
    file: OUTPUT,
    find: "createNew: true, mode: 0o600",
    put: "createNew: true, mode: 0o644",
    red: [
      "cli_backup_test.ts",
      "backup beside a writing server holds every note acknowledged before it, and none with a gap",
    ],
  },
  {
    name: "a copy replaces no file unless it is told to",
    file: OUTPUT,
    find: "if (!isForced && await exists(path)) {",
    put: "if (path === '') {",
    red: ["cli_backup_test.ts", "backup says what is wrong in a sentence, and writes nothing"],
  },
  {
    name: "a copy has what stands in the log beside the store",
    file: RESTORE,
    find: "  await copyIfThere(`${path}-wal`, `${draft}-wal`);\n",
    put: "",
    red: [
      "cli_backup_test.ts",
      "restore brings back what was there; with --end-sessions nobody is signed in",
    ],
  },
  {
    name: "a store that is restored is for its owner only",
    file: RESTORE,
    find: "    await Deno.chmod(to, 0o600);\n",
    put: "",
    red: [
      "cli_backup_test.ts",
      "backup beside a writing server holds every note acknowledged before it, and none with a gap",
    ],
  },
  {
    name: "nothing is restored under a running server",
    file: RESTORE,
    find: "if (!lock) throw new ToolFault(`A Latchkey server runs on the store ${kvPath}: stop it first`);",
    put: "if (lock === null) return say('');",
    red: [
      "cli_backup_test.ts",
      "restore brings back what was there; with --end-sessions nobody is signed in",
    ],
  },
  {
    name: "what is restored is a store of ours",
    file: RESTORE,
    find: "    await requireMarker(kv, { name: path });\n",
    put: "",
    red: ["cli_backup_test.ts", "restore refuses what is no store of ours, and leaves the store alone"],
  },
  {
    name: "what is restored is whole",
    file: RESTORE,
    find: "    provePages(draft, { name: path });\n",
    put: "",
    red: ["cli_backup_test.ts", "restore refuses what is no store of ours, and leaves the store alone"],
  },
  {
    name: "what is restored opens under this SECRET_KEY",
    file: RESTORE,
    find: "    await requireOpenKeys(kv, secrets, { path });\n",
    put: "",
    red: ["cli_backup_test.ts", "restore refuses what is no store of ours, and leaves the store alone"],
  },
  {
    name: "the key of development is for its owner only",
    file: "src/secret_key.ts",
    find: "createNew: true, mode: 0o600",
    put: "createNew: true, mode: 0o644",
    red: ["e2e_start_test.ts", "start: a fresh copy needs no setting, and says where everything is"],
  },
  {
    name: "an admin's password is none that others would be refused",
    file: "src/cli/admin_create.ts",
    find: "  await requireGoodPassword(tool, plainPassword, wanted);\n",
    put: "",
    red: ["e2e_admin_create_test.ts", "admin:create: a mistake is explained, and changes nothing"],
  },
  {
    name: "a tool takes no option that it does not know, such as a password",
    file: "src/cli/tool.ts",
    find: "parseArgs({ args: Deno.args, options, allowPositionals: true })",
    put: "parseArgs({ args: Deno.args, options, allowPositionals: true, strict: false })",
    red: ["e2e_admin_create_test.ts", "admin:create: a mistake is explained, and changes nothing"],
  },
];
