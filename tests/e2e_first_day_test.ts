// The first day of an account over real HTTP and real mail, with the server stopped and started again between every
// two steps: nothing that a step needs may live in memory only.

import assert from "node:assert/strict";
import { readMe } from "../openapi/account.ts";
import { register, verifyOtp } from "../openapi/registration.ts";
import { readMailbox } from "../openapi/service.ts";
import { logout, refreshTokens, verifyToken } from "../openapi/sessions.ts";
import { PASSWORD } from "./harness.ts";
import { createSite, eventually, freePort, type Program, type Settings, type Site } from "./process.ts";
import { type SmtpReceiver, startReceiver, TEST_CERTIFICATE } from "./smtp_receiver.ts";

const EMAIL = "ada@example.org";
const SECRET_KEY = "7Vb2xk0Qm9ZtRrY4sWcL1pHdJ8gNfEuA";
const SMTP_LOGIN = { user: "latchkey", password: "Sesame-Street-5" };

/** How the mails of a test reach it. */
interface Post {
  readonly settings: Settings;
  codeFor(email: string): Promise<string | undefined> | string | undefined;
}

Deno.test("first day: from register to logout with the mailbox of development", async () => {
  await using site = await createSite();
  await liveFirstDay(site, {
    settings: {},
    async codeFor(email) {
      const { body } = await site.call(readMailbox, { headers: { accept: "application/json" } });
      return body.data.find((mail: { to: string }) => mail.to === email)?.code;
    },
  });
});

Deno.test("first day: from register to logout in production, mail with STARTTLS and a login", async () => {
  await using site = await createSite();
  await using receiver = await startReceiver({ login: SMTP_LOGIN });
  const { user, password } = SMTP_LOGIN;
  const certificate = `${site.folder}/authority.pem`;
  await Deno.writeTextFile(certificate, TEST_CERTIFICATE);
  const settings = {
    APP_ENV: "production",
    PUBLIC_URL: site.url,
    SECRET_KEY,
    SMTP_URL: `smtp://${user}:${password}@localhost:${receiver.port}`,
    DENO_CERT: certificate,
  };
  const day = await liveFirstDay(site, { settings, codeFor: readCodeAt(receiver) });

  const [mail] = receiver.received;
  assert.equal(receiver.received.length, 1);
  assert.deepEqual({ isTls: mail?.isTls, user: mail?.user }, { isTls: true, user });
  for (const secret of [...day.secrets, SECRET_KEY, password, EMAIL]) {
    assert(!day.printed.includes(secret), `The log holds ${secret}:\n${day.printed}`);
  }

  const server = await site.startServer(settings);
  const mailbox = await site.call(readMailbox);
  assert.deepEqual([mailbox.status, mailbox.body.code], [404, "route_unknown"]);
  assert.match(server.stdout(), /^Latchkey serves http:\/\/127\.0\.0\.1:\d+ on port \d+\n/);
});

Deno.test("first day: a mail waits while its server is down, and leaves when it is back", async () => {
  await using site = await createSite();
  const port = freePort();
  const settings = { SMTP_URL: `smtp://localhost:${port}?tls=off` };
  let server = await site.startServer(settings);

  const challenge = await site.call(register, { json: { email: EMAIL, password: PASSWORD } });
  assert.equal(challenge.status, 202, challenge.text);
  await eventually("an attempt fails", () => server.stderr().includes("mail server unreachable"));
  assert.equal(await server.stop(), 0);
  server = await site.startServer(settings);
  await eventually("another one fails", () => server.stderr().includes("mail server unreachable"));

  await using receiver = await startReceiver({ tls: "none", port });
  const code = await eventually("the mail arrives", () => readCodeAt(receiver)(EMAIL), { limitMs: 60_000 });
  const json = { challenge_id: challenge.body.challenge_id, code };
  assert.equal((await site.call(verifyOtp, { json })).status, 201);
  assert.equal(await server.stop(), 0);
  assert.equal(receiver.received.length, 1);
});

/** Every step once, each on a server that was started for it. Returns what was printed, and what must not be in it. */
async function liveFirstDay(
  site: Site,
  { settings, codeFor }: Post,
): Promise<{ readonly printed: string; readonly secrets: readonly string[] }> {
  let printed = "";
  /** One step: starts the server, asks, and stops it. */
  async function step<Result>(ask: (server: Program) => Promise<Result>): Promise<Result> {
    const server = await site.startServer(settings);
    const result = await ask(server);
    assert.equal(await server.stop(), 0, server.stderr());
    printed += server.stdout() + server.stderr();
    return result;
  }

  const challenge = await step(() => site.call(register, { json: { email: EMAIL, password: PASSWORD } }));
  assert.equal(challenge.status, 202, challenge.text);
  assert.equal(challenge.body.purpose, "registration");

  const code = await step(() => eventually("the code arrives", () => codeFor(EMAIL)));
  const json = { challenge_id: challenge.body.challenge_id, code };
  const signedIn = await step(() => site.call(verifyOtp, { json }));
  assert.equal(signedIn.status, 201, signedIn.text);
  const { access_token: token, refresh_token } = signedIn.body;

  const me = await step(() => site.call(readMe, { token }));
  assert.equal(me.status, 200, me.text);
  assert.deepEqual(me.body, signedIn.body.user);

  const refreshed = await step(() => site.call(refreshTokens, { json: { refresh_token } }));
  assert.equal(refreshed.status, 200, refreshed.text);
  assert.notEqual(refreshed.body.refresh_token, refresh_token);
  const successor: string = refreshed.body.access_token;

  const active = await step(() => site.call(verifyToken, { json: { token: successor } }));
  assert.deepEqual([active.status, active.body.active, active.body.sub], [200, true, me.body.id]);

  const end = await step(() => site.call(logout, { token: successor, json: {} }));
  assert.deepEqual([end.status, end.text], [204, ""]);

  const refused = await step(() => site.call(readMe, { token: successor }));
  assert.deepEqual([refused.status, refused.body.code], [401, "token_invalid"]);
  const inactive = await step(() => site.call(verifyToken, { json: { token: successor } }));
  assert.deepEqual(inactive.body, { active: false });
  const last = await step(() =>
    site.call(refreshTokens, { json: { refresh_token: refreshed.body.refresh_token } })
  );
  assert.deepEqual([last.status, last.body.code], [401, "refresh_token_invalid"]);

  const secrets = [PASSWORD, code, token, refresh_token, successor, refreshed.body.refresh_token];
  return { printed, secrets };
}

/** The code as its reader sees it: the only number of six digits in the subject. */
function readCodeAt({ received }: SmtpReceiver): (email: string) => string | undefined {
  return (email) => {
    const mail = received.findLast(({ recipients }) => recipients.includes(email));
    return /(?<!\d)\d{6}(?!\d)/.exec(mail?.headers.get("subject") ?? "")?.[0];
  };
}
