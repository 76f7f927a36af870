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
    const stop = (): void => request.abort();
    signal.addEventListener("abort", stop, { once: true });
    // One signal ends a whole upload: what listened to it must not outlive its own request.
    request.addEventListener("loadend", () => signal.removeEventListener("abort", stop));
    request.send(body);
  });
}

const WAITS_S = [2, 5, 10, 20, 30];
const WENT_WELL_MS = 5000;

/** Whether trying again may help: no connection, too often, or the server is busy for a while. */
export const isPassing = (reason: unknown): boolean =>
  reason instanceof ApiError && (reason.status === 0 || reason.status === 429 || [502, 503, 504].includes(reason.status));

/** Try until it works, is stopped, or fails for a reason that won't pass. `onWait` counts the seconds down. */
export async function persist<T>(
  attempt: () => Promise<T>,
  onWait: (seconds: number) => void,
  signal: AbortSignal,
  mayPass: (reason: unknown) => boolean = isPassing,
): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    const begunAt = performance.now();
    try {
      return await attempt();
    } catch (reason) {
      if (!mayPass(reason)) throw reason;
      // What went well for a while was cut off: that is a new trouble, not the old one.
      if (performance.now() - begunAt > WENT_WELL_MS) tries = 0;
      for (let left = WAITS_S[Math.min(tries, WAITS_S.length - 1)] ?? 30; left > 0; left -= 1) {
        onWait(left);
        await pause(1000, signal);
      }
    }
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      window.clearTimeout(timer);
      reject(new DOMException("Stopped.", "AbortError"));
    };
    const timer = window.setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
  });
}
