// The server with OTEL_DENO=true and METRICS_TOKEN, in production, as its operators run it. A collector of the test's
// own gets all that Deno exports: the patterns of routes are there, and nothing that is secret or names somebody.

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { readNote } from "../openapi/notes.ts";
import { requestPasswordReset, verifyPasswordResetOtp } from "../openapi/passwords.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { readMetrics } from "../openapi/service.ts";
import { login, refreshTokens } from "../openapi/sessions.ts";
import { parseExposition, valueOf } from "./exposition.ts";
import { createSite, eventually, type Site } from "./process.ts";
import { type SmtpReceiver, startReceiver } from "./smtp_receiver.ts";

const EMAIL = "grace.hopper@example.org";
const PASSWORD = "amber-kettle-81-otter";
const WRONG_PASSWORD = "copper-lantern-77-heron";
const METRICS_TOKEN = "3f9c1e7a5b2d8460";
const SECRET_KEY = "7Vb2xk0Qm9ZtRrY4sWcL1pHdJ8gNfEuA";
const SERVER_SPAN = 2;

/** What is read here of OTLP in JSON. */
interface Span {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string } }[];
}

/** What nobody else must learn. */
interface Day {
  readonly secrets: Readonly<Record<string, string>>;
  /** Apart, because six digits can stand anywhere in a number. */
  readonly codes: readonly string[];
}

Deno.test("telemetry: traces name routes by pattern, and nothing that is exported is secret or names somebody", async () => {
  await using collector = startCollector();
  await using receiver = await startReceiver({ tls: "none" });
  await using site = await createSite();
  const server = await site.startServer({
    APP_ENV: "production",
    PUBLIC_URL: site.url,
    SECRET_KEY,
    SMTP_URL: `smtp://127.0.0.1:${receiver.port}?tls=off`,
    METRICS_TOKEN,
    OTEL_DENO: "true",
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  });
  const { secrets, codes } = await liveThrough(site, receiver);
  const { status, text: metrics } = await site.call(readMetrics, { token: METRICS_TOKEN });
  assert.equal(status, 200, metrics);
  // What has not been exported yet is when the process ends.
  assert.equal(await server.stop(), 0, server.stderr());

  const spans = spansOf(collector.textOf("/v1/traces"));
  for (
    const name of [
      "POST /api/v1/auth/register",
      "POST /api/v1/auth/verify-otp",
      "POST /api/v1/auth/login",
      "POST /api/v1/auth/token/refresh",
      "POST /api/v1/auth/password/reset",
      "GET /api/v1/me",
      "GET /api/v1/notes/:note_id",
      "GET /metrics",
    ]
  ) {
    const span = spans.find((span) => span.name === name);
    assert(span, `${name} is not among ${spans.map(({ name }) => name)}`);
    assert.deepEqual(valuesOf(span, "http.route"), [name.split(" ")[1]]);
  }
  const unknown = spans.find((span) => valuesOf(span, "url.path").includes("/nowhere"));
  assert(unknown, "a path that is no route has a span too");
  assert.deepEqual([unknown.name, valuesOf(unknown, "http.route")], ["GET", []]);

  const signIn = spans.find(({ name }) => name === "POST /api/v1/auth/login");
  assert(signIn && collector.textOf("/v1/logs").includes(signIn.traceId), "the log is tied to the request");
  assert(collector.textOf("/v1/metrics").includes("/api/v1/notes/:note_id"), "Deno's metrics say the route");
  const told = parseExposition(metrics);
  assert.equal(valueOf(told, "latchkey_sign_ins_total", { outcome: "succeeded" }), 1);
  assert.equal(valueOf(told, "latchkey_sign_ins_total", { outcome: "credentials_invalid" }), 1);

  const everything = `${collector.textOf("")}\n${metrics}`;
  for (const [name, secret] of Object.entries(secrets)) {
    assert(secret.length >= 16 && !everything.includes(secret), `${name} is told`);
  }
  for (const code of codes) {
    const shape = new RegExp(`(?<![\\da-f])${code}(?![\\da-f])`);
    for (const path of ["/v1/traces", "/v1/logs"]) assert.doesNotMatch(collector.textOf(path), shape);
  }
});

/** A day of somebody's account. */
async function liveThrough(site: Site, receiver: SmtpReceiver): Promise<Day> {
  const challenge = await site.call(register, { json: { email: EMAIL, password: PASSWORD } });
  assert.equal(challenge.status, 202, challenge.text);
  const challengeId: string = challenge.body.challenge_id;
  const code = await codeOf(receiver, 1);
  const first = await site.call(verifyOtp, { json: { challenge_id: challengeId, code } });
  assert.equal(first.status, 201, first.text);
  const second = await site.call(login, { json: { email: EMAIL, password: PASSWORD } });
  assert.equal(second.status, 200, second.text);
  const refused = await site.call(login, { json: { email: EMAIL, password: WRONG_PASSWORD } });
  assert.equal(refused.status, 401, refused.text);
  const third = await site.call(refreshTokens, { json: { refresh_token: first.body.refresh_token } });
  assert.equal(third.status, 200, third.text);
  const token: string = third.body.access_token;
  assert.equal((await site.call(readMe, { token })).status, 200);
  const missing = await site.call(readNote, { token, params: { note_id: first.body.user.id } });
  assert.equal(missing.status, 404, missing.text);
  const reset = await site.call(requestPasswordReset, { json: { email: EMAIL } });
  assert.equal(reset.status, 202, reset.text);
  const resetCode = await codeOf(receiver, 2);
  const permit = await site.call(verifyPasswordResetOtp, {
    json: { challenge_id: reset.body.challenge_id, code: resetCode },
  });
  assert.equal(permit.status, 200, permit.text);
  await (await fetch(`${site.url}/nowhere`)).body?.cancel();
  return {
    secrets: {
      EMAIL,
      PASSWORD,
      WRONG_PASSWORD,
      METRICS_TOKEN,
      SECRET_KEY,
      challengeId,
      resetChallengeId: reset.body.challenge_id,
      resetToken: permit.body.reset_token,
      ...Object.fromEntries(
        [first, second, third].flatMap(({ body }, index) => [
          [`access token ${index}`, body.access_token],
          [`refresh token ${index}`, body.refresh_token],
        ]),
      ),
    },
    codes: [code, resetCode],
  };
}

/** The code in the mail of that number, counted from 1. */
function codeOf({ received }: SmtpReceiver, number: number): Promise<string> {
  return eventually("the code is mailed", () => {
    const subject = received[number - 1]?.headers.get("subject") ?? "";
    return /(?<!\d)\d{6}(?!\d)/.exec(subject)?.[0];
  });
}

/** Takes OTLP over HTTP in JSON, on a free port of loopback. */
function startCollector(): AsyncDisposable & { readonly url: string; textOf(path: string): string } {
  const exports: { readonly path: string; readonly text: string }[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    exports.push({ path: new URL(request.url).pathname, text: JSON.stringify(await request.json()) });
    return Response.json({});
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    textOf: (path) => exports.filter((one) => one.path.startsWith(path)).map(({ text }) => text).join("\n"),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** The server's spans, one export a line. */
function spansOf(text: string): Span[] {
  return text.split("\n").flatMap((line) => JSON.parse(line).resourceSpans)
    .flatMap(({ scopeSpans }: { readonly scopeSpans: readonly { readonly spans: readonly Span[] }[] }) =>
      scopeSpans.flatMap(({ spans }) => spans)
    )
    .filter(({ kind }) => kind === SERVER_SPAN);
}

function valuesOf({ attributes }: Span, key: string): (string | undefined)[] {
  return attributes.filter((attribute) => attribute.key === key).map(({ value }) => value.stringValue);
}
