// One JSON line an event, through console, so that OpenTelemetry ties it to its request when it is switched on.
// Fields are ids, patterns, counts and times: never a body, a code, a token, a password or a stranger's address.

import { configureSync, getConsoleSink, getLogger, type LogRecord } from "@logtape/logtape";

/** `event` is a short fixed phrase; everything that varies stands in `fields`. */
export interface Log {
  info(event: string, fields?: Record<string, unknown>): void;
  warn(event: string, fields?: Record<string, unknown>): void;
  error(event: string, fields?: Record<string, unknown>): void;
}

/** The log of a running server, on the standard output and error of the process. */
export function createLog(): Log {
  configureSync({
    reset: true,
    sinks: {
      lines: getConsoleSink({ formatter: formatLine }),
    },
    loggers: [
      { category: "latchkey", sinks: ["lines"], lowestLevel: "info" },
      { category: ["logtape", "meta"], sinks: ["lines"], lowestLevel: "error" },
    ],
  });
  const logger = getLogger("latchkey");
  return {
    info: (event, fields = {}) => logger.info(event, fields),
    warn: (event, fields = {}) => logger.warn(event, fields),
    error: (event, fields = {}) => logger.error(event, fields),
  };
}

/** The fields of our own lines are plain values and have fixed names: nothing needs the care of a general formatter. */
function formatLine({ timestamp, level, rawMessage, category, properties }: LogRecord): string {
  return JSON.stringify({
    "@timestamp": new Date(timestamp).toISOString(),
    level: level === "warning" ? "WARN" : level.toUpperCase(),
    message: rawMessage,
    logger: category.join("."),
    ...properties,
  });
}
