// The names of requests in OpenTelemetry. With OTEL_DENO=true Deno makes a span of every request by itself, but does
// not know its route. What is set on the span here, it repeats in its own `http.server.*` metrics.

/** Names the span of the request that is being answered. */
export type NameSpan = (request: { readonly method: string; readonly route: string }) => void;

/** Where Deno leaves its tracer, and @opentelemetry/api looks for one. */
const TRACER = Symbol.for("opentelemetry.js.api.1");

/** Null when nothing is traced: then the package is not loaded either. */
export async function loadSpanNaming(): Promise<NameSpan | null> {
  if (!(TRACER in globalThis)) return null;
  const { trace } = await import("@opentelemetry/api");
  return ({ method, route }) => {
    trace.getActiveSpan()?.updateName(`${method} ${route}`).setAttribute("http.route", route);
  };
}
