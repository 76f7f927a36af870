import { address, csrfToken } from "./address";
import { doubted, isGateway, reached, signedOut } from "./connection";

export { address, csrfToken };

/** A refusal as the API words it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly advice: string,
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
  }

  get sentence(): string {
    return this.advice ? `${this.message} ${this.advice}` : this.message;
  }
}

export function errorOf(status: number, body: unknown): ApiError {
  const error = (body as { error?: Partial<ApiError> } | null)?.error;
  if (error?.message) return new ApiError(status, error.code ?? "", error.message, error.advice ?? "", error.details);
  if (status === 0) return new ApiError(0, "no-connection", "The connection to the server is lost.", "It is tried again by itself.");
  if (status === 401) return new ApiError(401, "not-signed-in", "You were signed out.", "Sign in again; what you typed is kept.");
  return new ApiError(status, "http-error", `The server answered with ${status}.`, "Your data is as before. Try again.");
}

/**
 * Every request of a page goes through here. It tells the banner whether the server answers and knows us.
 * @throws ApiError with status 0 where the server is away, 401 where nobody is signed in any more; AbortError as it is.
 */
export async function request(url: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("X-CSRF-Token", csrfToken());
  const response = await fetch(url, { ...init, headers, credentials: "same-origin" }).catch((reason: unknown) => {
    if (init.signal?.aborted) throw reason;
    doubted();
    throw errorOf(0, null);
  });
  if (isGateway(response)) {
    doubted();
    throw errorOf(0, null);
  }
  if (leadsToSignIn(response)) {
    signedOut();
    throw errorOf(401, null);
  }
  reached();
  return response;
}

const leadsToSignIn = (response: Response): boolean =>
  response.status === 401 || (response.redirected && new URL(response.url).pathname === address("/sign-in"));

/** A call to the API; JSON in and out. */
export async function api<T>(path: string, init: { method?: string; body?: unknown; signal?: AbortSignal } = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  const sent: RequestInit = { method: init.method ?? "GET", headers };
  if (init.signal) sent.signal = init.signal;
  if (init.body !== undefined) {
    headers["Content-Type"] = "application/json";
    sent.body = JSON.stringify(init.body);
  }
  const response = await request(address(path), sent);
  const body: unknown = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw errorOf(response.status, body);
  return body as T;
}
