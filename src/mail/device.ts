// Names a device for its owner. The answer is made of words from the lists below only: a user agent is a stranger's
// text, and a mail that quoted it would carry whatever that stranger wants the owner to read.

const PROGRAMS: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/\bEdg(e|A|iOS)?\//, "Edge"],
  [/\b(OPR|Opera)\//, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\b(Firefox|FxiOS)\//, "Firefox"],
  [/\b(Chrome|CriOS|Chromium)\//, "Chrome"],
  [/\bVersion\/\S+ .*Safari\//, "Safari"],
  [/\b(okhttp|Dalvik)\//, "an app"],
  [/\bCFNetwork\//, "an app"],
  [/\bDart\//, "an app"],
  [/\bcurl\//, "curl"],
  [/\b(python|aiohttp)/i, "a Python program"],
  [/\b(node|undici|Deno|axios)\b/, "a JavaScript program"],
];

const SYSTEMS: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/\b(iPhone|iPad|iPod)\b/, "iOS"],
  [/\b(Android|Dalvik)\b/, "Android"],
  [/\bWindows\b/, "Windows"],
  [/\b(Macintosh|Mac OS X)\b/, "macOS"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bDarwin\b/, "an Apple device"],
  [/\bLinux\b/, "Linux"],
];

/** `Firefox on Linux`, or that the program does not say. */
export function deviceName(userAgent: string | null): string {
  const text = userAgent?.slice(0, 512) ?? "";
  const find = (list: typeof PROGRAMS) => list.find(([pattern]) => pattern.test(text))?.[1];
  const program = find(PROGRAMS);
  const system = find(SYSTEMS);
  if (program && system) return `${program} on ${system}`;
  return program ?? system ?? "a program that does not name itself";
}
