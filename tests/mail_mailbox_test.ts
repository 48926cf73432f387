// The development mailbox: sealed in the store, bounded, and a page on which nothing in a mail can run.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { MailContent } from "../src/mail/content.ts";
import { collectMailbox, createMailboxMailer, type MailboxItem } from "../src/mail/mailbox.ts";
import { renderMailboxPage } from "../src/pages/mailbox.ts";
import { pagePolicy } from "../src/pages/page.ts";
import { createSecrets } from "../src/secrets.ts";
import { keys } from "../src/store/keys.ts";
import {
  HOUR_MS,
  NOTICE,
  openMailStore,
  openOutbox,
  queueCodeMail,
  queueMail,
  SECOND_MS,
  SERVICE,
} from "./mail_setup.ts";

Deno.test("mailbox shows what the outbox delivered, newest first, with its code", async () => {
  using store = await openMailStore();
  await using outbox = openOutbox(store, { mailer: createMailboxMailer(store) });
  const codeMailId = await queueCodeMail(store);
  await outbox.settle();
  store.clock.nowMs += SECOND_MS;
  const noticeId = await queueMail(store);
  await outbox.settle();

  const items = await collectMailbox(store.kv, store.secrets);
  assert.deepEqual(items.map(({ id, kind, to, code, sent_at }) => ({ id, kind, to, code, sent_at })), [
    {
      id: noticeId,
      kind: "password_changed",
      to: "mike@example.org",
      code: null,
      sent_at: "2026-11-21T09:00:01.000Z",
    },
    {
      id: codeMailId,
      kind: "registration_code",
      to: "mike@example.org",
      code: "012345",
      sent_at: "2026-11-21T09:00:00.000Z",
    },
  ]);
  assert.deepEqual(
    store.logged.filter(([event]) => event === "mail delivered to mailbox").map(([, fields]) => fields),
    [
      { mail_id: codeMailId, kind: "registration_code" },
      { mail_id: noticeId, kind: "password_changed" },
    ],
  );
});

Deno.test("mailbox keeps the newest hundred, for a day", async () => {
  using store = await openMailStore();
  await using outbox = openOutbox(store, { mailer: createMailboxMailer(store) });
  const mailIds: string[] = [];
  for (let i = 0; i < 103; i++) {
    store.clock.nowMs += SECOND_MS;
    mailIds.push(await queueMail(store));
    await outbox.settle();
  }
  const items = await collectMailbox(store.kv, store.secrets);
  assert.deepEqual(items.map(({ id }) => id), mailIds.slice(3).toReversed());
  store.clock.nowMs += 24 * HOUR_MS;
  assert.deepEqual(await collectMailbox(store.kv, store.secrets), []);
});

Deno.test("mailbox is sealed, and what another SECRET_KEY sealed is left out", async () => {
  using store = await openMailStore();
  await using outbox = openOutbox(store, { mailer: createMailboxMailer(store) });
  await queueCodeMail(store);
  await outbox.settle();
  const page = await store.kv.collect(keys.mailbox(), { limit: 10 });
  const [record] = page.entries;
  assert(record);
  assert(!String.fromCharCode(...record.value.sealed).includes("012345"));
  assert.deepEqual(await collectMailbox(store.kv, createSecrets("another-key-of-32-bytes-0123456789")), []);
});

Deno.test("mailbox page escapes everything and lets nothing run", async () => {
  const evil = `"><script>alert(1)</script>`;
  const kind: MailContent["kind"] = NOTICE.kind;
  const item: MailboxItem = {
    id: "1",
    kind,
    to: evil,
    subject: evil,
    code: evil,
    text: evil,
    html: evil,
    sent_at: evil,
  };
  const page = String(await renderMailboxPage({ ...SERVICE, appName: evil }, [item]));
  assert(!page.includes("<script"));
  assert.match(page, /<iframe\s+sandbox(="")?\s/);

  const style = page.match(/<style>(.*?)<\/style>/s)?.[1] ?? "";
  assert(pagePolicy().includes(`'sha256-${createHash("sha256").update(style).digest("base64")}'`));
  assert(
    !/https?:\/\/(?!www\.w3\.org)/.test(page.replaceAll(SERVICE.publicUrl, "")),
    "The page names another host",
  );
});

Deno.test("empty mailbox page says how to fill it", async () => {
  const page = String(await renderMailboxPage(SERVICE, []));
  assert(page.includes("No mail yet"));
  assert(page.includes("https://auth.example.com/api/v1/auth/register"));
});
