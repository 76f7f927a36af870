import { doubted, reached, signedOut } from "./connection";
import { ApiError, csrfToken, errorOf } from "./http";

/** Send a body with progress (which `fetch` can't report); answers the parsed JSON. */
export function send(
  url: string,
  body: FormData | Blob,
  onSent: (bytes: number) => void,
  signal: AbortSignal,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new DOMException("Stopped.", "AbortError"));
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRF-Token", csrfToken());
    if (body instanceof Blob) request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => onSent(event.loaded));
    request.addEventListener("load", () => {
      if (request.status === 401) signedOut();
      else reached();
      if (request.status >= 200 && request.status < 300) resolve(request.response);
      else reject(errorOf(request.status, request.response));
    });
    request.addEventListener("error", () => {
      doubted();
      reject(errorOf(0, null));
    });
    request.addEventListener("abort", () => reject(new DOMException("Stopped.", "AbortError")));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
}

const WAITS_S = [2, 5, 10, 20, 30];

/** Whether trying again may help: no connection, too often, or the server is busy for a while. */
export const isPassing = (reason: unknown): boolean =>
  reason instanceof ApiError && (reason.status === 0 || reason.status === 429 || [502, 503, 504].includes(reason.status));

/** Try until it works, is stopped, or fails for a reason that won't pass. */
export async function persist<T>(attempt: () => Promise<T>, onWait: (seconds: number) => void, signal: AbortSignal): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt();
    } catch (reason) {
      if (!isPassing(reason)) throw reason;
      const wait = WAITS_S[Math.min(tries, WAITS_S.length - 1)] ?? 30;
      onWait(wait);
      await pause(wait * 1000, signal);
    }
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = window.setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      window.clearTimeout(timer);
      reject(new DOMException("Stopped.", "AbortError"));
    }, { once: true });
  });
}
