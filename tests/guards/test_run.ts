// One run of some tests of one file, in a copy of the repository, and what became of each.

import { treeOf } from "../bench/process_tree.ts";

/** What became of one test. */
export type Outcome =
  | { readonly is: "passed" }
  /** What its assertion said, or that of one of its steps. */
  | { readonly is: "failed"; readonly assertion: string }
  /** It was not there, ran into the deadline, or ended in another way than by judging. */
  | { readonly is: "broken"; readonly reason: string };

interface Run {
  /** The copy's. */
  readonly folder: string;
  /** In `tests`. */
  readonly file: string;
  /** Whole names. */
  readonly tests: readonly string[];
  readonly signal: AbortSignal;
}

/** Longer than the slowest of them takes on a busy machine. */
const DEADLINE_MS = 150_000;
/** What a test says that judges: it asserted, or waited in vain. Anything else that is thrown may be our own doing. */
const JUDGEMENT =
  /AssertionError|Error: (?:Not|No answer) within \d+ ms|Promise resolution is still pending|Property failed after/;
/** Code that cannot run is no code without a guard. */
const NONSENSE = /\b(?:ReferenceError|SyntaxError)\b|is not a function|reading '\w+'|not iterable/;

/** By name. Types are not looked at: what was taken out may leave something unused. Rejects when `signal` aborts. */
export async function runTests({ folder, file, tests, signal }: Run): Promise<ReadonlyMap<string, Outcome>> {
  const temporary = await Deno.makeTempDir({ prefix: "latchkey_guards_" });
  const report = `${temporary}/report.xml`;
  const filter = `/^(?:${tests.map((name) => RegExp.escape(name)).join("|")})$/`;
  try {
    const { isOver, isGreen, complaint } = await runProgram({
      cwd: folder,
      signal,
      // What a test that is killed leaves behind goes, too.
      env: { TMPDIR: temporary, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      args: [
        ...["test", "--quiet", "--frozen", "--allow-all", "--no-check"],
        `--junit-path=${report}`,
        `--filter=${filter}`,
        `tests/${file}`,
      ],
    });
    signal.throwIfAborted();
    if (!isOver) return allBroken(tests, `not over after ${DEADLINE_MS / 1000} s`);
    const text = await Deno.readTextFile(report).catch(() => null);
    if (text === null) return allBroken(tests, `none was run: ${complaint}`);
    return new Map(tests.map((name) => [name, outcomeOf(text, { name, isGreen })]));
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}

function allBroken(tests: readonly string[], reason: string): ReadonlyMap<string, Outcome> {
  return new Map(tests.map((name) => [name, { is: "broken", reason }]));
}

/** `isOver` is false when it was ended before, `isGreen` unless all was well. `complaint` is its standard error. */
async function runProgram({ cwd, signal, env, args }: {
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly env: Record<string, string>;
  readonly args: string[];
}): Promise<{ readonly isOver: boolean; readonly isGreen: boolean; readonly complaint: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    env,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const limit = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
  const end = (): void => void killTree(child.pid);
  limit.addEventListener("abort", end);
  if (limit.aborted) end();
  const { success, stderr } = await child.output();
  limit.removeEventListener("abort", end);
  return { isOver: !limit.aborted, isGreen: success, complaint: new TextDecoder().decode(stderr).trim() };
}

/** With the servers that the tests have started. */
async function killTree(pid: number): Promise<void> {
  for (const id of await treeOf(pid).catch(() => [pid])) {
    try {
      Deno.kill(id, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** `report` is in JUnit's form. */
function outcomeOf(
  report: string,
  { name, isGreen }: { readonly name: string; readonly isGreen: boolean },
): Outcome {
  const cases = [...report.matchAll(/<testcase name="([^"]*)"[^>]*>(.*?)<\/testcase>/gs)]
    .map(([, name = "", body = ""]) => ({ name: plain(name), body: plain(body) }));
  const own = cases.find((found) => found.name === name && !found.body.includes("<skipped/>"));
  if (!own) return { is: "broken", reason: "it did not run" };
  // A fault outside of any test cancels those that wait, and they look as if they had passed.
  const isAnyFailed = report.includes("<failure");
  if (!isGreen && !isAnyFailed) return { is: "broken", reason: "the run failed, and no test of it" };
  if (!own.body.includes("<failure")) return { is: "passed" };
  const failures = cases.filter((found) => found.name === name || found.name.startsWith(`${name} > `))
    .map(({ body }) => /<failure[^>]*>(.*)<\/failure>/s.exec(body)?.[1]?.trim() ?? "");
  const said = failures.find((text) => JUDGEMENT.test(text));
  if (said === undefined) return { is: "broken", reason: `it judged nothing: ${failures.join(" ")}` };
  return NONSENSE.test(said) ? { is: "broken", reason: said } : { is: "failed", assertion: said };
}

function plain(xml: string): string {
  const characters: Readonly<Record<string, string>> = {
    lt: "<",
    gt: ">",
    quot: '"',
    apos: "'",
    amp: "&",
  };
  return xml.replaceAll(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => characters[name] ?? "")
    .replaceAll(
      /&#(?:x([\da-f]+)|(\d+));/gi,
      (_, hex?: string, decimal?: string) => String.fromCodePoint(hex ? parseInt(hex, 16) : Number(decimal)),
    );
}
