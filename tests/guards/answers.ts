// Guards around what goes out: what an answer may do in a browser, what it gives away, and what is logged.

import type { Guard } from "./guard.ts";

const APP = "src/app.ts";
const ANSWERS = "answers: none sets a cookie, redirects, can be framed, or leaves its media type open";
const REFUSALS = "http: every refusal is a problem with its headers";

export const answers: readonly Guard[] = [
  {
    name: "what an answer may load in a browser is nothing",
    file: APP,
    find: "if (!c.res.headers.has(CSP)) c.res.headers.set(",
    put: "if (c.res.headers.has(CSP)) c.res.headers.set(",
    red: ["answers_test.ts", ANSWERS],
  },
  {
    name: "no other site frames an answer",
    file: APP,
    find: "\"default-src 'none'; frame-ancestors 'none'\"",
    put: "\"default-src 'none'\"",
    red: ["answers_test.ts", ANSWERS],
  },
  {
    name: "old browsers frame no answer either",
    file: APP,
    find: 'xFrameOptions: "DENY"',
    put: "xFrameOptions: false",
    red: ["http_test.ts", REFUSALS],
  },
  {
    name: "no browser guesses the media type of an answer",
    file: APP,
    find: 'xFrameOptions: "DENY",',
    put: 'xFrameOptions: "DENY",\n    xContentTypeOptions: false,',
    red: ["answers_test.ts", ANSWERS],
  },
  {
    name: "browsers that were here by https come back by https",
    file: APP,
    find: 'deps.config.publicUrl.startsWith("https:") && HSTS',
    put: "false",
    red: ["http_test.ts", "http: HSTS is sent where the public URL is https"],
  },
  {
    name: "tokens and personal data are for no cache",
    file: APP,
    find: '    c.header("Cache-Control", "no-store");\n    await next();',
    put: "    await next();",
    red: ["account_test.ts", "readMe: the whole user, absent values as null"],
  },
  {
    name: "no site but those that are listed reads an answer",
    file: APP,
    find: "origin: [...origins],",
    put: "origin: (asking) => asking,",
    red: [
      "http_test.ts",
      "http: no browser origin is let in unless it is listed, and never with credentials",
    ],
  },
  {
    name: "no site is let in when none is listed",
    file: APP,
    find: "if (deps.config.corsOrigins.length > 0) app.use(allowOrigins(deps.config.corsOrigins));",
    put: 'app.use(allowOrigins(["*"]));',
    red: [
      "http_test.ts",
      "http: no browser origin is let in unless it is listed, and never with credentials",
    ],
  },
  {
    name: "the documentation runs no script but its own",
    file: "src/pages/docs.ts",
    find: "`script-src 'nonce-${nonce}'`",
    put: "\"script-src 'unsafe-inline' *\"",
    red: ["http_test.ts", "http: pages have a policy of their own, and it still starts from nothing"],
  },
  {
    name: "a mail in the mailbox page runs nothing",
    file: "src/pages/mailbox.ts",
    find: "<iframe sandbox title",
    put: "<iframe title",
    red: ["mail_mailbox_test.ts", "mailbox page escapes everything and lets nothing run"],
  },
  {
    name: "a mail in the mailbox page is escaped",
    file: "src/pages/mailbox.ts",
    find: "<h2>${subject}</h2>",
    put: "<h2>${[subject].map((text) => Object.assign(new String(text), { isEscaped: true }))}</h2>",
    red: ["mail_mailbox_test.ts", "mailbox page escapes everything and lets nothing run"],
  },
  {
    name: "a fault of ours does not tell its cause",
    file: "src/problem.ts",
    find: "      ...problem.details,\n",
    put:
      "      ...problem.details,\n      detail: problem.cause instanceof Error ? problem.cause.message : undefined,\n",
    red: ["http_test.ts", "http: a fault of ours is a 500 without its cause, and the log has it"],
  },
  {
    name: "a request id that a client made up is taken over only when it is sane",
    file: APP,
    find: "requestId({ limitLength: 128 })",
    put: "requestId({ limitLength: 10_000 })",
    red: ["http_test.ts", "http: a request id is taken over when it is sane"],
  },
  {
    name: "the log has the pattern of a route, never the path",
    file: "src/observe.ts",
    find: 'return pattern.endsWith("*") ? UNKNOWN : pattern;',
    put: "return pattern && c.req.path;",
    red: ["http_test.ts", "http: logs hold no body, code, token, password or address"],
  },
  {
    name: "metrics are for who has their token",
    file: "src/routes/service.ts",
    find: 'if (!isSameHash(digest(token), digest(metricsToken))) throw new Problem("token_invalid");',
    put: "",
    red: ["metrics_test.ts", "readMetrics: refuses part of the token"],
  },
  {
    name: "what a program calls itself is kept printable and short",
    file: "src/client.ts",
    find: '.replaceAll(/[^\\x20-\\x7e]/g, "").trim().slice(0, USER_AGENT_LENGTH_MAX)',
    put: "",
    red: [
      "session_list_test.ts",
      "listSessions: each device with what its owner needs to recognise it, and no more",
    ],
  },
  {
    name: "in production nobody reads the mailbox of development",
    file: "src/routes/service.ts",
    find: "if (deps.config.isProduction || deps.config.smtp) return;",
    put: "",
    red: [
      "http_test.ts",
      "http: the mailbox of development is not there where mails leave, nor in production",
    ],
  },
  {
    name: "a path that nobody serves makes no series of its own",
    file: "src/observe.ts",
    find: 'return pattern.endsWith("*") ? UNKNOWN : pattern;',
    put: 'return pattern.endsWith("*") ? c.req.path : pattern;',
    red: ["metrics_test.ts", "readMetrics: no path, method or body adds a series"],
  },
  {
    name: "a method that nobody knows makes no series of its own",
    file: "src/observe.ts",
    find: "METHODS.has(c.req.method) ? c.req.method : UNKNOWN",
    put: "c.req.method",
    red: ["metrics_test.ts", "readMetrics: no path, method or body adds a series"],
  },
];
