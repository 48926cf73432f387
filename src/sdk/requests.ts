// What a session asks of the server: new tokens, and the end of it. Every request ends in time.

/** An answer of the server, read to its end, so that all who wait for it can have it. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What the answer to a sign-in and to a renewal have in common. */
export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  /** Seconds until the access token ends. */
  readonly expires_in: number;
}

/** Below the ten seconds in which the server gives the same successor again: a lost answer can be asked for again. */
const REQUEST_TIMEOUT_MS = 8_000;
/** The codes after which a session never comes back. */
const FINAL_CODES = ["refresh_token_invalid", "refresh_token_reused", "account_disabled"];

/** Whether the session is over on the server. Throws when that does not answer. */
export async function endOnServer(
  server: string,
  tokens: Pick<Tokens, "access_token" | "refresh_token">,
): Promise<boolean> {
  const answer = await logout(server, tokens);
  if (answer.status !== 401) return answer.status === 204;
  // The access token is over. The refresh token gives another one, or is over too.
  const renewed = await refresh(server, tokens);
  if (renewed.status !== 200) return isFinal(renewed);
  return (await logout(server, readTokens(renewed))).status === 204;
}

/** Asks for the next tokens, again at once when no answer comes. Throws what fetch throws. */
export async function refresh(
  server: string,
  { refresh_token }: Pick<Tokens, "refresh_token">,
): Promise<Answer> {
  const run = (): Promise<Answer> => post(`${server}/api/v1/auth/token/refresh`, { body: { refresh_token } });
  return await run().catch(run);
}

function logout(server: string, { access_token }: Pick<Tokens, "access_token">): Promise<Answer> {
  const headers = { authorization: `Bearer ${access_token}` };
  // It goes on when the page is left.
  return post(`${server}/api/v1/auth/logout`, { body: {}, headers, keepalive: true });
}

async function post(
  url: string,
  { body, headers, ...init }: Omit<RequestInit, "body" | "headers"> & {
    readonly body: unknown;
    readonly headers?: Record<string, string>;
  },
): Promise<Answer> {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new Error(`No answer from ${url} in time`)),
    REQUEST_TIMEOUT_MS,
  );
  try {
    const response = await fetch(url, {
      ...init,
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal: controller.signal,
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  } finally {
    clearTimeout(timer);
  }
}

/** Of the answer 200 of `refresh`. */
export function readTokens({ text }: Answer): Tokens {
  return JSON.parse(text);
}

/** Whether the answer of `refresh` says that the session is over, for good. */
export function isFinal(answer: Answer): boolean {
  return FINAL_CODES.includes(codeOf(answer) ?? "");
}

/** The stable code of an error (RFC 9457), if the answer is one. */
export function codeOf({ text }: Pick<Answer, "text">): string | undefined {
  try {
    return JSON.parse(text).code;
  } catch {
    return undefined;
  }
}
