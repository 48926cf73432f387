// Settings: what is read, what is refused, and that a refusal tells everything at once and no secret.

import assert from "node:assert/strict";
import { type Config, readConfig, settings } from "../src/config.ts";
import { POLICY_DEFAULTS } from "../src/policy.ts";

const SECRET_KEY = "q7Zp2mXv9Lc4Rt8WyB3nKd6HsJ1fGa5E";

const PRODUCTION = { APP_ENV: "production", SECRET_KEY, SMTP_URL: "smtp://mail.example.org" };

type Env = Readonly<Record<string, string | undefined>>;

function configOf(env: Env): Config {
  const result = readConfig(env);
  return "config" in result ? result.config : assert.fail(result.faults.join("\n"));
}

function faultsOf(env: Env): readonly string[] {
  const result = readConfig(env);
  return "faults" in result ? result.faults : assert.fail("no fault was found");
}

Deno.test("config: an empty environment is development with the defaults of the contract", () => {
  const { policies, mailFrom, ...config } = configOf({ PORT: "", SMTP_URL: undefined });
  assert.deepEqual(config, {
    port: 8000,
    host: "0.0.0.0",
    isProduction: false,
    publicUrl: "http://localhost:8000",
    kvPath: "./data/latchkey.kv",
    secretKey: null,
    smtp: null,
    appName: "Latchkey",
    accessTtlMs: 1_800_000,
    refreshTtlMs: 86_400_000,
    sessionMaxAgeMs: 2_592_000_000,
    refreshGraceMs: 10_000,
    otpTtlMs: 600_000,
    otpResendAfterMs: 60_000,
    registrationTtlMs: 86_400_000,
    corsOrigins: [],
    trustedProxyHops: 0,
    passwordLengthMin: 8,
    passwordPattern: null,
    metricsToken: null,
    freeNotes: 20,
    auditRetentionMs: 365 * 24 * 60 * 60 * 1000,
  });
  assert.deepEqual(mailFrom, { name: "Latchkey", address: "no-reply@localhost" });
  assert.deepEqual(Object.keys(policies), Object.keys(POLICY_DEFAULTS));
  assert.deepEqual(policies.mail, [{ limit: 10, windowMs: 3_600_000 }, { limit: 30, windowMs: 86_400_000 }]);
});

const readCases: { env: Env; reads: Partial<Config> }[] = [
  { env: { PORT: "0" }, reads: { port: 0 } },
  { env: { PORT: "65535" }, reads: { port: 65_535 } },
  { env: { HOST: "::" }, reads: { host: "::" } },
  { env: { HOST: "[::1]" }, reads: { host: "::1" } },
  { env: { HOST: "auth-1.internal" }, reads: { host: "auth-1.internal" } },
  { env: { ACCESS_TOKEN_TTL: "1s", OTP_TTL: "24h" }, reads: { accessTtlMs: 1_000, otpTtlMs: 86_400_000 } },
  { env: { SESSION_MAX_AGE: "3650d" }, reads: { sessionMaxAgeMs: 315_360_000_000 } },
  { env: { REFRESH_GRACE: "1m" }, reads: { refreshGraceMs: 60_000 } },
  { env: { AUDIT_RETENTION: "1d" }, reads: { auditRetentionMs: 86_400_000 } },
  { env: { KV_PATH: "http://127.0.0.1:4512" }, reads: { kvPath: "http://127.0.0.1:4512" } },
  { env: { KV_PATH: "C:\\data\\latchkey.kv" }, reads: { kvPath: "C:\\data\\latchkey.kv" } },
  { env: { PUBLIC_URL: "https://auth.example.org/" }, reads: { publicUrl: "https://auth.example.org" } },
  {
    env: { PUBLIC_URL: "https://Example.org:8443/id/" },
    reads: { publicUrl: "https://example.org:8443/id" },
  },
  { env: { PUBLIC_URL: "http://127.0.0.1:8000" }, reads: { publicUrl: "http://127.0.0.1:8000" } },
  { env: { PUBLIC_URL: "http://[::1]:8000/" }, reads: { publicUrl: "http://[::1]:8000" } },
  {
    env: { CORS_ORIGINS: "https://a.example, http://localhost:5173" },
    reads: { corsOrigins: ["https://a.example", "http://localhost:5173"] },
  },
  {
    env: { MAIL_FROM: "no-reply@example.org" },
    reads: { mailFrom: { name: "", address: "no-reply@example.org" } },
  },
  {
    env: { MAIL_FROM: "Grüße von X <x@example.org>" },
    reads: { mailFrom: { name: "Grüße von X", address: "x@example.org" } },
  },
  {
    env: { MAIL_FROM: '"Acme, Inc." <x@example.org>' },
    reads: { mailFrom: { name: "Acme, Inc.", address: "x@example.org" } },
  },
  { env: { TRUST_PROXY: "2" }, reads: { trustedProxyHops: 2 } },
  { env: { THROTTLE_LOGIN: "4/3s" }, reads: {} },
  { env: { SECRET_KEY }, reads: { secretKey: SECRET_KEY } },
  { env: { PASSWORD_MIN_LENGTH: "12" }, reads: { passwordLengthMin: 12 } },
  { env: { FREE_NOTES: "0" }, reads: { freeNotes: 0 } },
  { env: { METRICS_TOKEN: "Zm9vYmFy-._~+/9==" }, reads: { metricsToken: "Zm9vYmFy-._~+/9==" } },
  { env: { PASSWORD_PATTERN: "\\d{8}|x" }, reads: { passwordPattern: "\\d{8}|x" } },
  { env: PRODUCTION, reads: { isProduction: true } },
  { env: { ...PRODUCTION, SMTP_URL: "smtp://localhost?tls=off" }, reads: { isProduction: true } },
];

for (const { env, reads } of readCases) {
  Deno.test(`config: reads ${JSON.stringify(env)}`, () => {
    const config = configOf(env);
    assert.deepEqual({ ...config, ...reads }, config);
  });
}

const PLAIN_SMTP = { user: null, password: null, isImplicitTls: false, hasTls: true, isLoopback: false };

const smtpCases: [text: string, reads: Config["smtp"]][] = [
  ["smtp://mail.example.org", { ...PLAIN_SMTP, host: "mail.example.org", port: 587 }],
  ["smtps://Mail.Example.org", { ...PLAIN_SMTP, host: "mail.example.org", port: 465, isImplicitTls: true }],
  ["smtp://127.0.0.1:1025?tls=off", {
    ...PLAIN_SMTP,
    host: "127.0.0.1",
    port: 1025,
    hasTls: false,
    isLoopback: true,
  }],
  ["smtp://[::1]:25/", { ...PLAIN_SMTP, host: "::1", port: 25, isLoopback: true }],
  ["smtp://me%40x:p%2F%3A%25@h:2525", {
    ...PLAIN_SMTP,
    host: "h",
    port: 2525,
    user: "me@x",
    password: "p/:%",
  }],
];

for (const [text, reads] of smtpCases) {
  Deno.test(`config: reads SMTP_URL ${text}`, () =>
    assert.deepEqual(configOf({ SMTP_URL: text }).smtp, reads));
}

/** Each refused with exactly one fault, that of its setting. */
const refused: Readonly<Record<string, readonly string[]>> = {
  PORT: ["80a", " 8000", "8000 ", "65536", "-1", "1.5", "1e3", "0x50", "08", "true", "８０"],
  HOST: ["0.0.0.0,example.org", "127.0.0.1:80", "a b", "a..b", ":::", "[127.0.0.1", "*", "x".repeat(254)],
  APP_ENV: ["prod", "Production", "test"],
  PUBLIC_URL: [
    "auth.example.org",
    "ftp://example.org",
    "http://example.org",
    "http://localhost.example.org",
    "http://127.example.org",
    "https://example.org/?a=1",
    "https://example.org/?",
    "https://example.org/#a",
    "https://user:pass@example.org",
    "https://",
    "https:example.org",
    "javascript:alert(1)",
  ],
  SECRET_KEY: [
    "short",
    "a".repeat(32),
    "q7Zp2mXv9Lc4Rt8WyB3nKd6HsJ1fGa5",
    "0123456789abcdef0123456789abcdef",
    "q7Zp2mXv9Lc4q7Zp2mXv9Lc4q7Zp2mXv9Lc4",
    "q7Zp2mXv9Lc4Rt8WyB3nKd6Hq7Zp2mXv9Lc4Rt8WyB3nKd6Hq7Z",
    "please-changeme-before-you-go-live!",
    "Replace_Me with 32 bytes from openssl",
    "your-secret-key-goes-here-some-time-9",
    "ab".repeat(16),
    "k".repeat(500) + SECRET_KEY.repeat(20),
  ],
  SMTP_URL: [
    "mail.example.org",
    "http://mail.example.org",
    "smtp:mail.example.org",
    "smtp://",
    "smtp://user:pass@",
    "smtp://mail..example.org",
    "smtp://mail.example.org:0",
    "smtp://mail.example.org:70000",
    "smtp://mail.example.org/path",
    "smtp://mail.example.org?tls=no",
    "smtp://mail.example.org?tls=off&x=1",
    "smtp://mail.example.org#x",
    "smtps://localhost?tls=off",
    "smtp://user@mail.example.org",
    "smtp://:hunter2@mail.example.org",
    "smtp://user:hunter2%@mail.example.org",
    "smtp://user:hunter2#@mail.example.org",
    "smtp://user:hunter2/@mail.example.org",
    "smtp://user:1234?hunter2@mail.example.org",
    "smtp://mail.exämple.org",
    "smtp://mail.example.org\n",
  ],
  MAIL_FROM: [
    "Acme",
    "Acme <>",
    "a@b, c@d",
    "a@b <c@d>, e@f",
    "<a@b",
    "ä@example.org",
    "a@b c",
    "A\nB <a@b>",
    "a@-b",
  ],
  APP_NAME: ["   ", "a<b", 'a"b', "a\nb", "x".repeat(61)],
  ACCESS_TOKEN_TTL: ["30", "0s", "1.5h", "30 m", "-5m", "5M", "3651d", "1w", "m", "5ms"],
  CORS_ORIGINS: [
    "*",
    "null",
    "https://*.example.org",
    "https://a.example/",
    "https://a.example/path",
    "https://A.example",
    "https://a.example:443",
    "ftp://a.example",
    "a.example",
    "https://a.example https://b.example",
    "https://a.example,*",
  ],
  TRUST_PROXY: ["-1", "11", "true", "10.0.0.0/8", "1.0"],
  THROTTLE_LOGIN: ["0/1m", "5", "5/0s", "unlimited", "OFF", "5/1m;6/1h"],
  PASSWORD_MIN_LENGTH: ["7", "129", "true", "8.0", "eight"],
  FREE_NOTES: ["-1", "100001", "20.5", "unlimited"],
  METRICS_TOKEN: [
    "x".repeat(15),
    "x".repeat(1_001),
    "correct horse battery",
    "schlüssel-schlüssel",
    "sixteen=letters!",
  ],
  PASSWORD_PATTERN: ["(", "[a", "a)(b", "x".repeat(201)],
  KV_PATH: [
    "HTTPS://kv.example.org",
    "Http://kv.example.org",
    "file:///var/lib/latchkey.kv",
    "libsql://kv.example.org",
    "https://",
    "data/a,b/latchkey.kv",
    "https://kv.example.org/a,b",
    "x".repeat(4_097),
  ],
  REFRESH_GRACE: ["10"],
};

for (const [name, texts] of Object.entries(refused)) {
  for (const text of texts) {
    Deno.test(`config: refuses ${name}=${JSON.stringify(text.slice(0, 60))}`, () => {
      const faults = faultsOf({ [name]: text });
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0] ?? "", new RegExp(`^${name} (must|has|can) `));
    });
  }
}

Deno.test("config: every duration may be as short as a second, alone and together", () => {
  const durations = [
    "ACCESS_TOKEN_TTL",
    "REFRESH_TOKEN_TTL",
    "SESSION_MAX_AGE",
    "REFRESH_GRACE",
    "OTP_TTL",
    "OTP_RESEND_AFTER",
    "REGISTRATION_TTL",
    "AUDIT_RETENTION",
  ];
  for (const name of durations) configOf({ [name]: "1s" });
  configOf(Object.fromEntries(durations.map((name) => [name, "1s"])));
});

Deno.test("config: a refused secret is not repeated", () => {
  for (const text of refused.SECRET_KEY ?? []) {
    const said = faultsOf({ SECRET_KEY: text }).join("\n");
    assert.ok(!said.includes(text.slice(0, 12)), said);
  }
  for (const text of refused.SMTP_URL ?? []) {
    assert.doesNotMatch(faultsOf({ SMTP_URL: text }).join("\n"), /hunter2/);
  }
});

Deno.test("config: production without a key, with mail in clear and a bad port says all at once", () => {
  const env = { APP_ENV: "production", PORT: "x", SMTP_URL: "smtp://mail.example.org?tls=off" };
  assert.deepEqual(faultsOf(env).map((fault) => fault.split(" ").slice(0, 3).join(" ")), [
    "PORT must be",
    "SECRET_KEY is missing:",
    "SMTP_URL has tls=off:",
  ]);
  assert.match(faultsOf({ APP_ENV: "production", SECRET_KEY })[0] ?? "", /^SMTP_URL is missing/);
});

Deno.test("config: on Deno Deploy the store is the platform's, unless one is named", () => {
  assert.equal(configOf({ DENO_DEPLOY: "1" }).kvPath, null);
  assert.equal(
    configOf({ DENO_DEPLOY: "1", KV_PATH: "https://kv.example.org" }).kvPath,
    "https://kv.example.org",
  );
});

Deno.test("config: every setting says what it is for", () => {
  for (const [name, setting] of Object.entries(settings)) assert.ok(setting.description, name);
});
