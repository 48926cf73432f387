// Prometheus' text format 0.0.4, read as strictly as its specification allows: what a scraper would stumble over fails
// the test.

import assert from "node:assert/strict";

/** One family of series. */
export interface Family {
  readonly type: string;
  readonly samples: Sample[];
}

export interface Sample {
  /** With the suffix that histograms have. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Name → family. */
export type Exposition = ReadonlyMap<string, Family>;

/** Fails on what is not the format, on a series told twice, and on a histogram that does not add up. */
export function parseExposition(text: string): Exposition {
  assert(text.endsWith("\n"), "the last line ends");
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let current = "";
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, keyword, named = "", rest = ""] = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line) ?? [];
    if (keyword === "HELP") {
      assert(!families.has(named), `${named} is told in one place`);
      families.set(named, { type: "", samples: [] });
      current = named;
    } else if (keyword === "TYPE") {
      assert.equal(named, current, line);
      assert.match(rest, /^(counter|gauge|histogram)$/, line);
      families.set(named, { type: rest, samples: [] });
    } else {
      const sample = parseSample(line);
      const suffix = families.get(current)?.type === "histogram" ? "_(bucket|sum|count)" : "";
      assert.match(sample.name, new RegExp(`^${current}${suffix}$`), line);
      const series = line.slice(0, line.lastIndexOf(" "));
      assert(!seen.has(series), `told twice: ${series}`);
      seen.add(series);
      families.get(current)?.samples.push(sample);
    }
  }
  for (const [name, family] of families) checkFamily(name, family);
  return families;
}

/** The value of one series; 0 when it is not there, as `rate()` would have it. */
export function valueOf(
  exposition: Exposition,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  return samplesOf(exposition, name, labels).reduce((sum, { value }) => sum + value, 0);
}

/** All series of that name which have at least these labels. */
export function samplesOf(
  exposition: Exposition,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Sample[] {
  const family = exposition.get(name) ?? exposition.get(name.replace(/_(bucket|sum|count)$/, ""));
  assert(family, `${name} is told`);
  return family.samples.filter((sample) =>
    sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
  );
}

function parseSample(line: string): Sample {
  const label = String.raw`[a-zA-Z_]\w*="(?:[^"\\]|\\["\\n])*"`;
  const shape = new RegExp(`^([a-zA-Z_:][\\w:]*)(?:\\{(${label}(?:,${label})*)\\})? (\\S+)$`);
  const [, name = "", list = "", number = ""] = shape.exec(line) ?? [];
  assert(name, `not a sample: ${line}`);
  const value = number === "+Inf" ? Infinity : Number(number);
  assert(!Number.isNaN(value), line);
  const pairs = [...list.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
  return { name, labels: Object.fromEntries(pairs.map(([, key, text]) => [key, text])), value };
}

function checkFamily(name: string, { type, samples }: Family): void {
  assert(type, `${name} has a type`);
  assert.equal(type === "counter", name.endsWith("_total"), `${name} is named for what it is`);
  if (type === "counter") assert(samples.every(({ value }) => value >= 0), name);
  if (type !== "histogram") return;
  for (const { labels, value: count } of samples.filter((sample) => sample.name === `${name}_count`)) {
    const isOfSame = (sample: Sample): boolean =>
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value);
    const buckets = samples.filter((sample) => sample.name === `${name}_bucket` && isOfSame(sample));
    const bounds = buckets.map(({ labels: { le } }) => le === "+Inf" ? Infinity : Number(le));
    assert.deepEqual(bounds, bounds.toSorted((a, b) => a - b), `${name} has its buckets in order`);
    const counts = buckets.map(({ value }) => value);
    assert.deepEqual(counts, counts.toSorted((a, b) => a - b), `${name} adds up`);
    assert.equal(bounds.at(-1), Infinity);
    assert.equal(counts.at(-1), count, `${name} counts all`);
  }
}
