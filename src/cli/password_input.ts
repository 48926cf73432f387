// A password for a tool: from a prompt that shows nothing, typed twice, or one line of standard input. Never an
// argument, which other users of the machine could read.

import { ToolFault } from "./tool.ts";

const CTRL_C = "\u0003";
const BACKSPACE = "\u007f";
const BYTES_MAX = 4_096;

/** `isFromStdin`: the first line of standard input; otherwise a terminal is needed. */
export async function readPassword({ isFromStdin }: { readonly isFromStdin: boolean }): Promise<string> {
  if (isFromStdin) {
    const [line = ""] = (await new Response(Deno.stdin.readable).text()).split("\n");
    return line.replace(/\r$/, "");
  }
  if (!Deno.stdin.isTerminal()) {
    throw new ToolFault(
      "There is no terminal to ask for a password: give it on standard input with --password-stdin",
    );
  }
  const password = await ask("Password: ");
  if (await ask("Once more: ") !== password) {
    throw new ToolFault("The two passwords differ: nothing was done");
  }
  return password;
}

/** One line, read without echo. */
async function ask(question: string): Promise<string> {
  await Deno.stdout.write(new TextEncoder().encode(question));
  Deno.stdin.setRaw(true);
  try {
    return await readHiddenLine();
  } finally {
    Deno.stdin.setRaw(false);
    await Deno.stdout.write(new TextEncoder().encode("\n"));
  }
}

async function readHiddenLine(): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(BYTES_MAX);
  let typed = "";
  while (true) {
    const length = await Deno.stdin.read(buffer);
    if (length === null) return typed;
    for (const character of decoder.decode(buffer.subarray(0, length), { stream: true })) {
      if (character === "\r" || character === "\n") return typed;
      if (character === CTRL_C) throw new ToolFault("Stopped: nothing was done");
      typed = character === BACKSPACE ? [...typed].slice(0, -1).join("") : typed + character;
    }
  }
}
