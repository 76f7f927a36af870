const meta = (name: string): string => document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? "";

/** An address of ours, wherever a proxy has put us. */
export const address = (path: string): string => meta("root") + path;

export const csrfToken = (): string => meta("csrf-token");

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
  if (status === 0) return new ApiError(0, "no-connection", "The server doesn't answer.", "Check that it is running; we try again.");
  return new ApiError(status, "http-error", `The server answered with ${status}.`, "Your data is as before. Try again.");
}

/** A call to the API; JSON in and out. */
export async function api<T>(path: string, init: { method?: string; body?: unknown; signal?: AbortSignal } = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json", "X-CSRF-Token": csrfToken() };
  const request: RequestInit = { method: init.method ?? "GET", headers, credentials: "same-origin" };
  if (init.signal) request.signal = init.signal;
  if (init.body !== undefined) {
    headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(init.body);
  }
  const response = await fetch(address(path), request).catch((reason: unknown) => {
    if (reason instanceof DOMException && reason.name === "AbortError") throw reason;
    throw errorOf(0, null);
  });
  const body: unknown = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw errorOf(response.status, body);
  return body as T;
}
