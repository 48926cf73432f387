// Every setting: one schema, read once from the environment, all faults reported together. The README's table is
// checked against `settings`, so a description here is the documentation.

import { z } from "zod";
import { type Policy, POLICY_DEFAULTS, type PolicyName } from "./policy.ts";
import {
  durationMs,
  hopCount,
  listenHost,
  type MailSender,
  mailSender,
  metricsToken,
  origins,
  policy,
  port,
  publicUrl,
  secretKey,
  type SmtpServer,
  smtpUrl,
  storePath,
  wholeNumber,
} from "./settings.ts";

/** Where the store is when KV_PATH says nothing. */
export const DEFAULT_KV_PATH = "./data/latchkey.kv";

const throttle = (name: PolicyName, counts: string): z.ZodType<Policy> =>
  policy.prefault(POLICY_DEFAULTS[name]).describe(
    `Limit on ${counts}: \`5/1m\`, several with a comma, or \`off\``,
  );

/** Name → how it is read. `.describe()` is what the README says of it. */
export const settings = {
  PORT: port.default(8000).describe("TCP port to listen on"),
  HOST: listenHost.prefault("0.0.0.0").describe("Address to listen on"),
  APP_ENV: z.enum(["development", "production"], "must be development or production").default("development")
    .describe(
      "`production` insists on SECRET_KEY, SMTP_URL and TLS; `development` has a mailbox page instead of mail",
    ),
  PUBLIC_URL: publicUrl.optional().describe(
    "Where clients reach the server; issuer and audience of tokens. https unless loopback (default: `http://localhost:PORT`)",
  ),
  KV_PATH: storePath.optional().describe(
    "The store: a file (default `./data/latchkey.kv`), or the `http(s)://` URL of a KV Connect server; unset on Deno Deploy",
  ),
  SECRET_KEY: secretKey.optional().describe(
    "At least 32 random bytes; keys for codes, tokens and sealed records derive from it. Made and kept once in development",
  ),
  SMTP_URL: smtpUrl.optional().describe(
    "`smtp://user:password@host:587` (STARTTLS), `smtps://…:465`; `?tls=off` for a server on loopback that has none",
  ),
  MAIL_FROM: mailSender.optional().describe(
    "Sender of all mail, `Name <address>` or an address (default: `no-reply@` and the host of PUBLIC_URL)",
  ),
  APP_NAME: z.string().trim().regex(
    /^[^\p{C}<>"]{1,60}$/u,
    "must have 1 to 60 characters, without control characters, quotes or angle brackets",
  ).default("Latchkey").describe("The name people see in mails and pages"),
  ACCESS_TOKEN_TTL: durationMs.prefault("30m").describe(
    "Life of an access token, which ends with its session; who checks the signature alone takes it that long",
  ),
  REFRESH_TOKEN_TTL: durationMs.prefault("24h").describe("Life of a refresh token"),
  SESSION_MAX_AGE: durationMs.prefault("30d").describe(
    "A session ends after this time, however often it is refreshed",
  ),
  REFRESH_GRACE: durationMs.prefault("10s").describe(
    "A rotated refresh token presented again within this time gets the same successor",
  ),
  OTP_TTL: durationMs.prefault("10m").describe("Life of a mailed code"),
  OTP_RESEND_AFTER: durationMs.prefault("60s").describe("No new code for a challenge sooner than this"),
  REGISTRATION_TTL: durationMs.prefault("24h").describe(
    "A registration that nobody confirms ends after this time",
  ),
  CORS_ORIGINS: origins.prefault("").describe(
    "Origins that browsers may call from, separated by commas (default: none)",
  ),
  TRUST_PROXY: hopCount.default(0).describe(
    "Number of trusted proxies in front; the client address is the X-Forwarded-For entry that the outermost of them added",
  ),
  THROTTLE_LOGIN: throttle("login", "sign-in attempts, by network and by account"),
  THROTTLE_REGISTER: throttle("register", "registrations, by network"),
  THROTTLE_OTP: throttle("otp", "code guesses, by network and by challenge"),
  THROTTLE_PASSWORD_RESET: throttle("password_reset", "reset requests, by network and by address"),
  THROTTLE_PASSWORD: throttle("password", "operations that take the current password, by account"),
  THROTTLE_MAIL: throttle("mail", "code mails, by recipient"),
  THROTTLE_ANONYMOUS: throttle("anonymous", "requests without a valid token, by network"),
  THROTTLE_USER: throttle("user", "requests with a valid token, by user"),
  PASSWORD_MIN_LENGTH: wholeNumber(8, 128).default(8).describe(
    "Shortest password, in characters; not below 8 (NIST SP 800-63B-4)",
  ),
  PASSWORD_PATTERN: z.string().max(200, "must have at most 200 characters").refine(
    isPattern,
    "must be a regular expression",
  ).optional().describe(
    "A regular expression that a password must match as a whole, for house rules",
  ),
  METRICS_TOKEN: metricsToken.optional().describe(
    "Opens `GET /metrics` for whoever presents it as bearer; at least 16 characters. Without it there is no such path",
  ),
  FREE_NOTES: wholeNumber(0, 100_000).default(20).describe("Notes that the free plan holds"),
  AUDIT_RETENTION: durationMs.prefault("365d").describe("How long an event of the audit trail is kept"),
} as const;

/** What the rest of the server reads: names without capitals, units last. */
export interface Config {
  readonly port: number;
  readonly host: string;
  readonly isProduction: boolean;
  /** Without a trailing slash. */
  readonly publicUrl: string;
  /** null: the platform's own store (Deno Deploy). */
  readonly kvPath: string | null;
  /** null: development, made at the first start and kept beside the store. */
  readonly secretKey: string | null;
  /** null: mails go to the development mailbox. */
  readonly smtp: SmtpServer | null;
  readonly mailFrom: MailSender;
  readonly appName: string;
  readonly accessTtlMs: number;
  readonly refreshTtlMs: number;
  readonly sessionMaxAgeMs: number;
  readonly refreshGraceMs: number;
  readonly otpTtlMs: number;
  readonly otpResendAfterMs: number;
  readonly registrationTtlMs: number;
  readonly corsOrigins: readonly string[];
  readonly trustedProxyHops: number;
  readonly policies: Readonly<Record<PolicyName, Policy>>;
  readonly passwordLengthMin: number;
  /** Of a regular expression that a password must match as a whole. */
  readonly passwordPattern: string | null;
  /** null: nothing is counted, and there is no `/metrics`. */
  readonly metricsToken: string | null;
  readonly freeNotes: number;
  readonly auditRetentionMs: number;
}

/** The configuration, or every fault in one list of plain sentences. */
export type ConfigResult = { readonly config: Config } | { readonly faults: readonly string[] };

/** Reads `env` (name → value, absent or empty means unset). Never throws. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): ConfigResult {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ""),
  );
  const parsed = z.object(settings).safeParse(given);
  const issues = parsed.error?.issues ?? [];
  const faults = [
    ...issues.map((issue) => `${issue.path.join(".")} ${issue.message}`),
    ...productionFaults(given),
  ];
  if (!parsed.success || faults.length > 0) return { faults };
  return {
    config: toConfig(parsed.data, { isOnDeploy: Boolean(env.DENO_DEPLOY ?? env.DENO_DEPLOYMENT_ID) }),
  };
}

/** What production insists on besides. Looks at the text, so that it is found beside faults of other settings. */
function productionFaults(given: Readonly<Record<string, string | undefined>>): string[] {
  if (given.APP_ENV !== "production") return [];
  const faults: string[] = [];
  if (!given.SECRET_KEY) {
    faults.push(
      "SECRET_KEY is missing: production needs at least 32 random bytes, for example from `openssl rand -base64 48`",
    );
  }
  if (!given.SMTP_URL) {
    faults.push("SMTP_URL is missing: production needs a mail server, smtp://user:password@host:587");
  }
  const smtp = smtpUrl.safeParse(given.SMTP_URL).data;
  if (smtp && !smtp.hasTls && !smtp.isLoopback) {
    faults.push("SMTP_URL has tls=off: in production the mail server must offer TLS, except on loopback");
  }
  return faults;
}

type Values = z.output<z.ZodObject<typeof settings>>;

function toConfig(values: Values, { isOnDeploy }: { readonly isOnDeploy: boolean }): Config {
  const publicUrl = values.PUBLIC_URL ?? `http://localhost:${values.PORT}`;
  return {
    port: values.PORT,
    host: values.HOST,
    isProduction: values.APP_ENV === "production",
    publicUrl,
    kvPath: values.KV_PATH ?? (isOnDeploy ? null : DEFAULT_KV_PATH),
    secretKey: values.SECRET_KEY ?? null,
    smtp: values.SMTP_URL ?? null,
    mailFrom: values.MAIL_FROM ??
      { name: values.APP_NAME, address: `no-reply@${new URL(publicUrl).hostname}` },
    appName: values.APP_NAME,
    accessTtlMs: values.ACCESS_TOKEN_TTL,
    refreshTtlMs: values.REFRESH_TOKEN_TTL,
    sessionMaxAgeMs: values.SESSION_MAX_AGE,
    refreshGraceMs: values.REFRESH_GRACE,
    otpTtlMs: values.OTP_TTL,
    otpResendAfterMs: values.OTP_RESEND_AFTER,
    registrationTtlMs: values.REGISTRATION_TTL,
    corsOrigins: values.CORS_ORIGINS,
    trustedProxyHops: values.TRUST_PROXY,
    policies: {
      login: values.THROTTLE_LOGIN,
      register: values.THROTTLE_REGISTER,
      otp: values.THROTTLE_OTP,
      password_reset: values.THROTTLE_PASSWORD_RESET,
      password: values.THROTTLE_PASSWORD,
      mail: values.THROTTLE_MAIL,
      anonymous: values.THROTTLE_ANONYMOUS,
      user: values.THROTTLE_USER,
    },
    passwordLengthMin: values.PASSWORD_MIN_LENGTH,
    passwordPattern: values.PASSWORD_PATTERN ?? null,
    metricsToken: values.METRICS_TOKEN ?? null,
    freeNotes: values.FREE_NOTES,
    auditRetentionMs: values.AUDIT_RETENTION,
  };
}

function isPattern(source: string): boolean {
  try {
    return new RegExp(source, "u") !== null;
  } catch {
    return false;
  }
}
