// An SMTP server on loopback, as far away and as short of patience as a test wants it: it answers late, ends a connection
// after so many mails, and takes no more than so many at once. For what smtp_receiver.ts, which speaks TLS, cannot do.

export interface SlowSmtpOptions {
  /** Before each reply (default 0). */
  readonly replyDelayMs?: number;
  /** It never answers a goodbye. */
  readonly isRude?: boolean;
  /**
   * Then the connection is over: told so at the next sender, or without a word, or with the next mail taken and no word
   * (default: none is).
   */
  readonly mailsMax?: { readonly count: number; readonly end: "421" | "452" | "close" | "silence" };
  /** Who comes on top is greeted with 421 (default: any number may). */
  readonly connectionsMax?: number;
}

export interface SlowSmtp extends AsyncDisposable {
  readonly port: number;
  /** Recipient of each mail that was taken, in that order. */
  readonly taken: string[];
  /** Connections that were not turned away, so far and at once. */
  connections(): { readonly count: number; readonly mostAtOnce: number };
}

/** Starts a server on a free port. */
export function startSlowSmtp(options: SlowSmtpOptions = {}): SlowSmtp {
  const { connectionsMax = Infinity } = options;
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken: string[] = [];
  const open = new Set<Deno.TcpConn>();
  const sessions: Promise<void>[] = [];
  let count = 0;
  let mostAtOnce = 0;

  async function serve(connection: Deno.TcpConn): Promise<void> {
    const isWelcome = open.size < connectionsMax;
    if (isWelcome) {
      count++;
      open.add(connection);
      mostAtOnce = Math.max(mostAtOnce, open.size);
    }
    // Whoever hangs up half-way is no fault of the test.
    await talk(connection, { ...options, isWelcome, taken }).catch(() => {});
    open.delete(connection);
    connection.close();
  }

  const accepting = (async () => {
    for await (const connection of listener) sessions.push(serve(connection));
  })();
  return {
    port: listener.addr.port,
    taken,
    connections: () => ({ count, mostAtOnce }),
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const connection of open) await connection.closeWrite().catch(() => {});
      await accepting;
      await Promise.all(sessions);
    },
  };
}

async function talk(
  connection: Deno.TcpConn,
  { replyDelayMs = 0, isRude = false, mailsMax, isWelcome, taken }: SlowSmtpOptions & {
    readonly isWelcome: boolean;
    readonly taken: string[];
  },
): Promise<void> {
  const encoder = new TextEncoder();
  const reply = async (line: string): Promise<void> => {
    if (replyDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, replyDelayMs));
    await connection.write(encoder.encode(`${line}\r\n`));
  };
  if (!isWelcome) return await reply("421 Too many connections");
  await reply("220 slow.example.org");
  let mails = 0;
  let recipient = "";
  let isText = false;
  for await (const line of linesOf(connection)) {
    const isWorn = mailsMax !== undefined && mails >= mailsMax.count;
    if (isText) {
      if (line !== ".") continue;
      isText = false;
      mails++;
      taken.push(recipient);
      if (isWorn) return;
      await reply("250 Taken");
      if (mailsMax?.end === "close" && mails >= mailsMax.count) return;
    } else if (/^MAIL/i.test(line) && isWorn && mailsMax.end !== "silence") {
      await reply(`${mailsMax.end} Too many mails on this connection`);
      if (mailsMax.end === "421") return;
    } else if (/^RCPT/i.test(line)) {
      recipient = /<(.*)>/.exec(line)?.[1] ?? "";
      await reply("250 Fine");
    } else if (/^DATA/i.test(line)) {
      isText = true;
      await reply("354 Go on");
    } else if (/^QUIT/i.test(line)) {
      if (!isRude) return await reply("221 Bye");
    } else {
      await reply("250 Fine");
    }
  }
}

async function* linesOf(connection: Deno.TcpConn): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(16_384);
  let rest = "";
  for (let count = await connection.read(buffer); count !== null; count = await connection.read(buffer)) {
    const lines = (rest + decoder.decode(buffer.subarray(0, count), { stream: true })).split("\r\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
