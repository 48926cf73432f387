// What the mails say: the code where people and programs look for it, nothing that a stranger typed, nothing remote.

import assert from "node:assert/strict";
import { type MailContent, renderMail } from "../src/mail/content.ts";
import { deviceName } from "../src/mail/device.ts";
import { MINUTE_MS, SECOND_MS, SERVICE, START_MS } from "./mail_setup.ts";

const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0";
const OCCASION = { atMs: START_MS, ip: "192.0.2.1", device: FIREFOX };
const TTL = { ttlMs: 10 * MINUTE_MS };

const ALL: readonly MailContent[] = [
  { kind: "registration_code", code: "012345", ...TTL },
  { kind: "password_reset_code", code: "012345", ...TTL },
  { kind: "email_change_code", code: "ABCDE-FGHJK", ...TTL },
  { kind: "account_deletion_code", code: "ABCDE-FGHJK", ...TTL },
  { kind: "registration_known" },
  { kind: "password_changed", ...OCCASION },
  { kind: "password_reset_done", ...OCCASION },
  { kind: "email_change_requested", newEmail: "mike@new.example", ...OCCASION },
  { kind: "email_changed", newEmail: "mike@new.example", isToOldAddress: true, ...OCCASION },
  { kind: "email_changed", newEmail: "mike@new.example", isToOldAddress: false, ...OCCASION },
  { kind: "account_deleted", ...OCCASION },
  { kind: "account_deleted_by_admin" },
  { kind: "refresh_token_replayed", ...OCCASION },
  { kind: "sign_in_new_network", ...OCCASION },
];

Deno.test("every mail names the service, is complete in text and HTML, and fetches nothing", async (t) => {
  for (const content of ALL) {
    await t.step(content.kind, async () => {
      const { subject, text, html } = await renderMail(SERVICE, content);
      assert.match(subject, /Latchkey/);
      assert(subject.length <= 78, subject);
      assert(!/[\r\n]/.test(subject));
      for (const markup of ["<a ", "<img", "<link", "<script", "<style", "url(", "src=", "href="]) {
        assert(!html.includes(markup), `${content.kind} holds ${markup}`);
      }
      const words = html.replaceAll(/<title>.*<\/title>|<[^>]*>/gs, " ").replaceAll(/\s+/g, " ");
      for (const line of text.split("\n").filter((line) => line !== "" && line !== "-- ")) {
        for (const word of line.split(/\s+/)) assert(words.includes(word), `The HTML lacks “${word}”`);
      }
    });
  }
});

Deno.test("a code ends the subject and is the first line of the text", async (t) => {
  for (const content of ALL.filter((content) => "code" in content)) {
    await t.step(content.kind, async () => {
      const { subject, text, html } = await renderMail(SERVICE, content);
      assert(subject.endsWith(`: ${content.code}`), subject);
      assert.equal(text.split("\n")[0], content.code);
      assert(html.includes(`>${content.code}</p>`));
      assert.match(text, /works once, within 10 minutes/);
      assert.match(text, /will ever ask you for it/);
      assert.match(text, /You did not (register|ask)/);
    });
  }
});

Deno.test("a notice says when, from where, with what, and what to do", async (t) => {
  for (const content of ALL.filter((content) => "atMs" in content)) {
    await t.step(content.kind, async () => {
      const { text } = await renderMail(SERVICE, content);
      assert.match(text, /When: 2026-11-21 09:00 UTC\nFrom: 192\.0\.2\.1\nWith: Firefox on Linux\n/);
      assert.match(text, /It was not you\?|You have no account|cannot explain it/);
    });
  }
});

Deno.test("a new address is shown masked", async () => {
  for (const content of ALL.filter((content) => "newEmail" in content)) {
    const { subject, text, html } = await renderMail(SERVICE, content);
    for (const part of [subject, text, html]) assert(!part.includes("mike"), content.kind);
  }
});

Deno.test("the life of a code reads like speech", async () => {
  const cases: [ttlMs: number, words: string][] = [
    [SECOND_MS, "1 second"],
    [90 * SECOND_MS, "90 seconds"],
    [MINUTE_MS, "1 minute"],
    [10 * MINUTE_MS, "10 minutes"],
    [120 * MINUTE_MS, "2 hours"],
  ];
  for (const [ttlMs, words] of cases) {
    const { text } = await renderMail(SERVICE, { kind: "registration_code", code: "012345", ttlMs });
    assert.match(text, new RegExp(`within ${words} of`));
  }
});

Deno.test("HTML of the settings and of a request is escaped, and a stranger's words never appear", async () => {
  const service = { appName: `A&B 'n' "C"`, publicUrl: "https://auth.example.com" };
  const evil = { atMs: START_MS, ip: "<b>1</b>", device: "<script>alert(1)</script> call +1 555 0100" };
  const { text, html } = await renderMail(service, { kind: "password_changed", ...evil });
  assert(html.includes("A&amp;B &#39;n&#39; &quot;C&quot;"));
  assert(html.includes("&lt;b&gt;1&lt;/b&gt;"));
  for (const part of [text, html]) assert(!/script|alert|555/.test(part));
});

Deno.test("a device is named in our own words", () => {
  const cases: [userAgent: string | null, name: string][] = [
    [FIREFOX, "Firefox on Linux"],
    [
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 Edg/140.0",
      "Edge on Windows",
    ],
    [
      "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36",
      "Chrome on Android",
    ],
    [
      "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605 Version/19.0 Mobile/15E148 Safari/604.1",
      "Safari on iOS",
    ],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605 Version/19.0 Safari/605.1.15",
      "Safari on macOS",
    ],
    ["MyApp/3 CFNetwork/1568 Darwin/24.0.0", "an app on an Apple device"],
    ["okhttp/4.12.0", "an app"],
    ["curl/8.5.0", "curl"],
    ["Your account is locked, call us", "a program that does not name itself"],
    ["", "a program that does not name itself"],
    [null, "a program that does not name itself"],
  ];
  for (const [userAgent, name] of cases) assert.equal(deviceName(userAgent), name);
});
