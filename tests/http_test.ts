// HTTP manners: what every answer has in common, on every path and status, and the order in which refusals come.

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { routes } from "../openapi/document.ts";
import { readNote } from "../openapi/notes.ts";
import { type ProblemCode, problemTable } from "../openapi/problem.ts";
import { register } from "../openapi/registration.ts";
import { readHealth, readReadiness } from "../openapi/service.ts";
import { login, refreshTokens } from "../openapi/sessions.ts";
import { hasDuplicateName } from "../src/body.ts";
import { type Change, type Kv, StoreUnavailable } from "../src/store/kv.ts";
import { PASSWORD, startServer, type TestServer, UNKNOWN_ID, UNLIMITED } from "./harness.ts";
import { makeAdmin, signUp } from "./person.ts";

const LOGIN = "/api/v1/auth/login";
const JSON_TYPE = { "content-type": "application/json" };

/** Checks what every error answer owes, and gives its body. */
async function requireProblem(
  response: Response,
  code: ProblemCode,
): Promise<Record<string, unknown>> {
  const text = await response.text();
  const [status, title] = problemTable[code];
  assert.equal(response.status, status, text);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  const body = JSON.parse(text);
  assert.equal(body.code, code);
  assert.equal(body.title, title);
  assert.equal(body.status, status);
  assert.equal(body.type, `http://localhost:8000/problems/${code}`);
  assert.equal(body.request_id, response.headers.get("x-request-id"));
  assert.equal(response.headers.get("www-authenticate") !== null, status === 401);
  assert.equal(response.headers.get("retry-after") !== null, status === 429 || status === 503);
  requireSafeHeaders(response);
  return body;
}

function requireSafeHeaders({ headers }: Response): void {
  assert.equal(headers.get("x-content-type-options"), "nosniff");
  assert.equal(headers.get("referrer-policy"), "no-referrer");
  assert.equal(headers.get("x-frame-options"), "DENY");
  assert.match(headers.get("content-security-policy") ?? "", /^default-src 'none'/);
  assert(headers.get("x-request-id"));
  assert.equal(headers.get("server"), null);
  assert.equal(headers.get("x-powered-by"), null);
  assert.equal(headers.get("access-control-allow-origin"), null);
}

Deno.test("http: every refusal is a problem with its headers", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const post = (body: BodyInit | undefined, headers: Record<string, string> = JSON_TYPE): Promise<Response> =>
    server.request(LOGIN, { method: "POST", headers, ...(body === undefined ? {} : { body }) });
  const chunked = (bytes: number): ReadableStream<Uint8Array> =>
    ReadableStream.from(Array.from({ length: bytes / 1024 }, () => new Uint8Array(1024).fill(0x20)));
  const rows: { name: string; ask: () => Promise<Response>; code: ProblemCode }[] = [
    { name: "unknown path", ask: () => server.request("/nope"), code: "route_unknown" },
    { name: "unknown path under /api", ask: () => server.request("/api/v1/nope"), code: "route_unknown" },
    {
      name: "path with two slashes",
      ask: () => server.request("http://localhost//api/v1/me"),
      code: "route_unknown",
    },
    { name: "path in capitals", ask: () => server.request("/API/v1/me"), code: "route_unknown" },
    { name: "unknown problem", ask: () => server.request("/problems/nope"), code: "route_unknown" },
    { name: "wrong method", ask: () => server.request(LOGIN), code: "method_not_allowed" },
    {
      name: "OPTIONS without CORS",
      ask: () => server.request(LOGIN, { method: "OPTIONS" }),
      code: "method_not_allowed",
    },
    {
      name: "declared length over 64 KiB",
      ask: () => post(" ".repeat(65_537), { ...JSON_TYPE, "content-length": "65537" }),
      code: "body_too_large",
    },
    { name: "chunks over 64 KiB", ask: () => post(chunked(66_560)), code: "body_too_large" },
    { name: "no media type", ask: () => post(new Blob(["{}"]), {}), code: "media_type_unsupported" },
    {
      name: "a form",
      ask: () => post("a=1", { "content-type": "application/x-www-form-urlencoded" }),
      code: "media_type_unsupported",
    },
    {
      name: "JSON of another charset",
      ask: () => post("{}", { "content-type": "application/json; charset=utf-16" }),
      code: "media_type_unsupported",
    },
    {
      name: "JSON of two charsets",
      ask: () => post("{}", { "content-type": "application/json; charset=utf-8; charset=latin1" }),
      code: "media_type_unsupported",
    },
    {
      name: "JSON of the same charset twice",
      ask: () => post("{}", { "content-type": "application/json;charset=utf-8;charset=utf-8" }),
      code: "media_type_unsupported",
    },
    {
      name: "JSON with a parameter that is none",
      ask: () => post("{}", { "content-type": "application/json; charset" }),
      code: "media_type_unsupported",
    },
    {
      name: "JSON of another kind",
      ask: () => post("{}", { "content-type": "application/ld+json" }),
      code: "media_type_unsupported",
    },
    {
      name: "a compressed body",
      ask: () => post("{}", { ...JSON_TYPE, "content-encoding": "gzip" }),
      code: "media_type_unsupported",
    },
    { name: "broken JSON", ask: () => post('{"email":'), code: "body_malformed" },
    {
      name: "invalid UTF-8",
      // Within a text, where every other byte would do.
      ask: () => post(new TextEncoder().encode('{"email":"?"}').with(10, 0xff)),
      code: "body_malformed",
    },
    { name: "a byte order mark", ask: () => post("\uFEFF{}"), code: "body_malformed" },
    {
      name: "a member twice",
      ask: () => post('{"email":"a@b.co","\\u0065mail":"c@d.co","password":"x"}'),
      code: "body_malformed",
    },
    { name: "an empty body", ask: () => post(undefined, {}), code: "validation_failed" },
    { name: "an empty JSON body", ask: () => post(""), code: "validation_failed" },
    { name: "a list", ask: () => post("[]"), code: "validation_failed" },
    { name: "null", ask: () => post("null"), code: "validation_failed" },
    {
      name: "deep JSON",
      ask: () => post("[".repeat(30_000) + "]".repeat(30_000)),
      code: "validation_failed",
    },
    { name: "no token", ask: () => server.request("/api/v1/me"), code: "token_missing" },
    {
      name: "a password instead of a token",
      ask: () => server.request("/api/v1/me", { headers: { authorization: "Basic YTpi" } }),
      code: "token_invalid",
    },
  ];
  for (const { name, ask, code } of rows) {
    await t.step(name, async () => void await requireProblem(await ask(), code));
  }
});

Deno.test("http: the media type of JSON in every way that RFC 9110 allows to write it", async (t) => {
  await using server = await startServer({ env: UNLIMITED });
  const ways = [
    "APPLICATION/JSON",
    "application/json ; charset=utf-8",
    "application/json;",
    "application/json;;charset=UTF-8 ; ",
    'application/json;\tCharset="utf-8"',
    'application/json; profile="a; charset=\\"latin1\\""; charset=utf-8',
  ];
  for (const way of ways) {
    await t.step(way, async () => {
      const init = { method: "POST", headers: { "content-type": way } };
      const read = await server.request(LOGIN, {
        ...init,
        body: '{"email":"ada@example.org","password":"x"}',
      });
      await requireProblem(read, "credentials_invalid");
      await requireProblem(await server.request(LOGIN, { ...init, body: "" }), "validation_failed");
    });
  }
});

Deno.test("http: where people look first they are told where to go", async () => {
  await using server = await startServer();
  for (const path of ["/", "/api", "/api/v1", "/api/v1/"]) {
    const { detail } = await requireProblem(await server.request(path), "route_unknown");
    assert.equal(detail, "Operations begin with /api/v1; /docs describes them");
  }
  const { detail } = await requireProblem(await server.request("/api/v2"), "route_unknown");
  assert.equal(detail, undefined);
});

Deno.test("http: 405 names the methods there are", async () => {
  await using server = await startServer();
  assert.equal((await server.request(LOGIN)).headers.get("allow"), "POST");
  const response = await server.request("/api/v1/me", { method: "POST" });
  assert.equal(response.headers.get("allow"), "GET, HEAD, PATCH");
});

Deno.test("http: an unknown member is named, and no value comes back", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const answer = await server.call(login, {
    json: { email: "not-an-address", password: "hunter2hunter2", "a/b~c": "secret-value" },
  });
  const pointers = answer.body.errors.map(({ pointer }: { pointer: string }) => pointer);
  assert.deepEqual(pointers.sort(), ["/a~1b~0c", "/email"]);
  for (const value of ["not-an-address", "hunter2", "secret-value"]) assert(!answer.text.includes(value));
});

Deno.test("http: a trailing slash is tolerated, HEAD is GET without a body", async () => {
  await using server = await startServer();
  assert.equal((await server.request("/health/")).status, 200);
  const head = await server.request("/health", { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(await head.text(), "");
});

Deno.test("http: refusals come in the order of the contract", async (t) => {
  const env = { ...UNLIMITED, THROTTLE_LOGIN: "1/1m" };
  const big = " ".repeat(65_537);
  const rows: { name: string; init: RequestInit; path?: string; code: ProblemCode }[] = [
    {
      name: "path before size",
      path: "/api/v1/nope",
      init: { method: "POST", body: big },
      code: "route_unknown",
    },
    { name: "method before size", init: { method: "PUT", body: big }, code: "method_not_allowed" },
    { name: "size before media type", init: { method: "POST", body: big }, code: "body_too_large" },
    {
      name: "media type before token",
      path: "/api/v1/auth/logout",
      init: { method: "POST", body: "x" },
      code: "media_type_unsupported",
    },
    {
      name: "token before syntax",
      path: "/api/v1/auth/logout",
      init: { method: "POST", body: "{", headers: JSON_TYPE },
      code: "token_missing",
    },
    {
      name: "limit before syntax",
      init: { method: "POST", body: "{", headers: JSON_TYPE },
      code: "rate_limited",
    },
    {
      name: "limit before validation",
      init: { method: "POST", body: "{}", headers: JSON_TYPE },
      code: "rate_limited",
    },
  ];
  await using server = await startServer({ env });
  await server.request(LOGIN, { method: "POST", body: "{}", headers: JSON_TYPE });
  for (const { name, init, path = LOGIN, code } of rows) {
    await t.step(name, async () => void await requireProblem(await server.request(path, init), code));
  }
});

Deno.test("http: a junk token on a public route is ignored", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const answer = await server.call(login, {
    json: { email: ada.email, password: ada.password },
    token: "junk",
  });
  assert.equal(answer.status, 200);
});

Deno.test("http: no browser origin is let in unless it is listed, and never with credentials", async () => {
  const origin = "https://app.example.org";
  const preflight = { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } };
  await using closed = await startServer();
  assert.equal(
    (await closed.request("/health", { headers: { origin } })).headers.get("access-control-allow-origin"),
    null,
  );
  await using open = await startServer({ env: { CORS_ORIGINS: origin } });
  const allowed = await open.request(LOGIN, preflight);
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers.get("access-control-allow-origin"), origin);
  assert.equal(allowed.headers.get("access-control-allow-credentials"), null);
  const stranger = await open.request(LOGIN, {
    ...preflight,
    headers: { ...preflight.headers, origin: "https://evil.test" },
  });
  assert.equal(stranger.headers.get("access-control-allow-origin"), null);
  const refused = await open.request("/api/v1/me", { headers: { origin } });
  assert.equal(refused.status, 401);
  assert.equal(refused.headers.get("access-control-allow-origin"), origin);
});

Deno.test("http: HSTS is sent where the public URL is https", async () => {
  await using plain = await startServer();
  assert.equal((await plain.request("/health")).headers.get("strict-transport-security"), null);
  await using secure = await startServer({ env: { PUBLIC_URL: "https://auth.example.org" } });
  assert.match(
    (await secure.request("/health")).headers.get("strict-transport-security") ?? "",
    /^max-age=\d{8}/,
  );
  assert.match(
    (await (await secure.request("/nope")).json()).type,
    /^https:\/\/auth\.example\.org\/problems\//,
  );
});

Deno.test("http: what the client says of its host is never answered", async () => {
  await using server = await startServer();
  const response = await server.request("http://evil.test/nope", {
    headers: { host: "evil.test", "x-forwarded-host": "evil.test" },
  });
  assert(!(await response.text()).includes("evil.test"));
});

Deno.test("http: a request id is taken over when it is sane", async () => {
  await using server = await startServer();
  const ask = async (id: string): Promise<string | null> =>
    (await server.request("/health", { headers: { "x-request-id": id } })).headers.get("x-request-id");
  assert.equal(await ask("trace-42"), "trace-42");
  for (const id of ["a b", "x".repeat(500), "a<script>"]) assert.notEqual(await ask(id), id);
});

Deno.test("http: a fault of ours is a 500 without its cause, and the log has it", async () => {
  const fault = switchable(new Error("disk at /srv/data failed"));
  await using server = await startServer({ env: UNLIMITED, wrapKv: fault.wrapKv });
  fault.isOn = true;
  const answer = await server.call(login, { json: { email: "ada@example.org", password: PASSWORD } });
  assert.equal(answer.body.code, "internal_error");
  assert(!answer.text.includes("disk"));
  const line = server.logged.find((logged) => logged.includes("disk at /srv/data failed"));
  assert(line?.includes(answer.body.request_id));
});

Deno.test("http: a store that does not answer is a 503 with Retry-After, and nothing is stuck", async () => {
  const fault = switchable(new StoreUnavailable("gone"));
  await using server = await startServer({ env: UNLIMITED, wrapKv: fault.wrapKv });
  fault.isOn = true;
  for (
    const ask of [
      server.call(login, { json: { email: "ada@example.org", password: PASSWORD } }),
      server.call(readReadiness),
    ]
  ) {
    const answer = await ask;
    assert.equal(answer.status, 503);
    assert.equal(answer.body.code, "unavailable");
    assert(Number(answer.headers.get("retry-after")) >= 1);
  }
  assert.equal((await server.call(readHealth)).status, 200);
  fault.isOn = false;
  assert.equal((await server.call(readReadiness)).status, 200);
});

Deno.test("http: logs hold no body, code, token, password or address", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  await server.call(login, { json: { email: ada.email, password: "wrong-password-1" } });
  await server.call(register, { json: { email: "bob@example.org", password: PASSWORD } });
  await server.call(refreshTokens, { json: { refresh_token: ada.refreshToken } });
  await server.call(readNote, { token: ada.accessToken, params: { note_id: UNKNOWN_ID } });
  await server.request("/whoever/carol@example.org");
  const codes = (await server.mails()).map(({ code }) => code ?? "-");
  const log = server.logged.join("\n");
  assert(log.includes('"/api/v1/notes/:note_id"'), "paths are told by their pattern");
  for (
    const secret of [
      PASSWORD,
      "wrong-password-1",
      ada.accessToken,
      ada.refreshToken,
      "example.org",
      "192.0.2",
      UNKNOWN_ID,
      ...codes,
    ]
  ) {
    assert(!log.includes(secret), "a secret is in the log");
  }
});

Deno.test("http: the mailbox of development is not there where mails leave, nor in production", async (t) => {
  const settings = {
    "with a mail server": { SMTP_URL: "smtp://mail.example.org" },
    "in production": { APP_ENV: "production", SMTP_URL: "smtp://mail.example.org" },
  };
  for (const [name, env] of Object.entries(settings)) {
    await t.step(name, async () => {
      await using server = await startServer({ env });
      await requireProblem(await server.request("/dev/mailbox"), "route_unknown");
    });
  }
});

Deno.test("http: every operation under /api is limited, and says so", async () => {
  await using server = await startServer({
    env: { THROTTLE_ANONYMOUS: "1000/1m", THROTTLE_USER: "1000/1m" },
  });
  const ada = await signUp(server);
  // Roles are asked before limits; the last admin cannot delete herself.
  await makeAdmin(server, ada);
  for (const route of routes.filter(({ path }) => path.startsWith("/api/"))) {
    const isOpen = route.security?.length === 0;
    const params = { session_id: ada.id, note_id: ada.id, user_id: ada.id, mail_id: ada.id };
    const caller = isOpen ? { ip: "203.0.113.9" } : { token: await freshToken(server, ada) };
    const json = route.request?.body ? { json: {} } : {};
    const answer = await server.call(route, { params, ...caller, ...json });
    assert.match(
      answer.headers.get("ratelimit-policy") ?? "",
      isOpen ? /"anonymous";q=1000;w=60/ : /"user";q=1000;w=60/,
      route.operationId ?? "",
    );
    assert.match(answer.headers.get("ratelimit") ?? "", /r=\d+;t=\d+/, route.operationId ?? "");
  }
});

Deno.test("readMe: answers nothing that the contract does not name", async () => {
  await using server = await startServer({ env: UNLIMITED });
  const ada = await signUp(server);
  const { text } = await server.call(readMe, { token: ada.accessToken });
  assert(!/hash|argon|epoch|versionstamp/i.test(text));
});

Deno.test("hasDuplicateName: finds every one, and only those", () => {
  const twice = [
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '[{"x":{"b":1,"c":[],"b":{}}}]',
    '{"":1,"":2}',
    '{"a":"}","b":[{"k":1}],"a":0}',
  ];
  const once = [
    '{"a":{"a":{"a":1}}}',
    '[{"a":1},{"a":2}]',
    '{"a":"\\"a\\":1","b":["a","a"]}',
    '["a","a"]',
    '{"a":"b","b":"a"}',
    '"a"',
    "{}",
  ];
  for (const json of twice) assert.equal(hasDuplicateName(json), true, json);
  for (const json of once) assert.equal(hasDuplicateName(json), false, json);
});

/** A token of a session of its own, so that signing out ends no other row's. */
async function freshToken(
  server: TestServer,
  { email, password }: { email: string; password: string },
): Promise<string> {
  server.clock.nowMs += 60_000;
  const { body } = await server.call(login, { json: { email, password } });
  return body.access_token;
}

/** A store that fails while the switch is on. */
function switchable(error: Error): { isOn: boolean; readonly wrapKv: (kv: Kv) => Kv } {
  const fault = {
    isOn: false,
    wrapKv: (kv: Kv): Kv => ({
      ...kv,
      find: (key) => fault.isOn ? Promise.reject(error) : kv.find(key),
      change: () => fault.isOn ? { ...kv.change(), set: () => broken } : kv.change(),
    }),
  };
  const broken: Change = {
    check: () => broken,
    set: () => broken,
    remove: () => broken,
    afterCommit: () => broken,
    commit: () => Promise.reject(error),
  };
  return fault;
}

Deno.test("http: pages have a policy of their own, and it still starts from nothing", async (t) => {
  await using server = await startServer();
  for (const path of ["/docs", "/dev/mailbox", "/problems/otp_expired"]) {
    await t.step(path, async () => {
      const response = await server.request(path, { headers: { accept: "text/html,*/*" } });
      assert.equal(response.status, 200);
      assert.match(response.headers.get("content-type") ?? "", /^text\/html/);
      const policy = response.headers.get("content-security-policy") ?? "";
      assert.match(policy, /^default-src 'none'; (script-src 'nonce-|style-src 'sha256-)/);
      assert(!/https?:|\*|unsafe-eval/.test(policy), policy);
      requireSafeHeaders(response);
      await response.body?.cancel();
    });
  }
});

Deno.test("readReadiness: many who ask at once cost one write", async () => {
  let commits = 0;
  await using server = await startServer({
    wrapKv: (kv) => ({
      ...kv,
      change: () => {
        commits++;
        return kv.change();
      },
    }),
  });
  const before = commits;
  await Promise.all(Array.from({ length: 20 }, () => server.call(readReadiness)));
  assert.equal(commits - before, 1);
  server.clock.nowMs += 1_000;
  await server.call(readReadiness);
  assert.equal(commits - before, 2);
});
