import type { Upload } from "tus-js-client";
import { doubted, reached, signedOut } from "./connection";
import { ApiError, address, api, csrfToken, errorOf, request } from "./http";
import type { Pausing } from "./pausing";
import { isPassing, persist } from "./send";

const CHUNK = 32 * 2 ** 20;
const FINGERPRINT_OF_PATH = 180;

/** A file that the server takes in parts, and goes on with after a cut or a closed browser. */
export interface Resumable {
  datasetId: string;
  file: File;
  path: string;
  kind: "archive" | "picture";
  pausing: Pausing;
  signal: AbortSignal;
  onSent(bytes: number): void;
  onWait(seconds: number): void;
}

/** As the server shows it. */
export interface UploadState {
  id: string;
  path: string;
  kind: string;
  bytes: number;
  offset: number;
  status: string;
  fingerprint: string | null;
  result: { added: number; already_there: number; ignored: number; rejected: { path: string; message: string }[] } | null;
}

const UPLOADS = "/api/v1/uploads";

/** By which a file is found again on the server, from any browser. */
export const fingerprintOf = (file: File, path: string): string => `${file.size}-${file.lastModified}-${path.slice(-FINGERPRINT_OF_PATH)}`;

/** Uploads into a dataset that somebody with the same key has begun and not finished. */
export async function unfinishedUploads(datasetId: string, fingerprint = ""): Promise<UploadState[]> {
  const query = new URLSearchParams({ dataset: datasetId, ...(fingerprint ? { fingerprint } : {}) });
  return (await api<{ items: UploadState[] }>(`${UPLOADS}?${query}`)).items;
}

export async function discard(uploadId: string): Promise<void> {
  const response = await request(address(`${UPLOADS}/${uploadId}`), { method: "DELETE", headers: { "Tus-Resumable": "1.0.0" } });
  if (!response.ok && response.status !== 404 && response.status !== 410) throw errorOf(response.status, await response.json().catch(() => null));
}

/**
 * Send what is missing of a file, for as long as it takes; the server's view of it when all has arrived.
 * @throws ApiError where trying again doesn't help, AbortError when `signal` aborts.
 */
export async function sendResumable(task: Resumable): Promise<UploadState> {
  const { signal, pausing } = task;
  const upload = await persist(() => prepare(task), task.onWait, signal);
  for (;;) {
    await pausing.whenResumed();
    try {
      await persist(() => attempt(upload, [signal, pausing.signal]), task.onWait, signal, isPassingHere);
      break;
    } catch (reason) {
      if (signal.aborted || !(reason instanceof DOMException)) throw reason;
    }
  }
  const id = upload.url?.split("/").at(-1) ?? "";
  return persist(() => api<UploadState>(`${UPLOADS}/${id}`), task.onWait, signal);
}

/** 409 and 423: a former request of ours isn't over yet as the server sees it. 460: bytes were changed on the way. */
const isPassingHere = (reason: unknown): boolean => isPassing(reason) || (reason instanceof ApiError && [409, 423, 460].includes(reason.status));

async function prepare(task: Resumable): Promise<Upload> {
  const { file, path, kind, datasetId } = task;
  const fingerprint = fingerprintOf(file, path);
  // Found on the server and not in this browser's storage, so that another browser can go on as well.
  const [tus, begun] = await Promise.all([import("tus-js-client"), unfinishedUploads(datasetId, fingerprint)]);
  const same = begun.filter((one) => one.bytes === file.size && one.kind === kind).sort((a, b) => b.offset - a.offset)[0];
  return new tus.Upload(file, {
    endpoint: address(UPLOADS),
    ...(same ? { uploadUrl: address(`${UPLOADS}/${same.id}`) } : {}),
    chunkSize: CHUNK,
    // Waiting and trying again are ours: they are shown, and never end by themselves.
    retryDelays: null,
    storeFingerprintForResuming: false,
    metadata: { dataset: datasetId, path, kind, fingerprint },
    onBeforeRequest: (request) => request.setHeader("X-CSRF-Token", csrfToken()),
    onAfterResponse: () => reached(),
    onProgress: task.onSent,
  });
}

/** Until one of `signals` aborts. */
function attempt(upload: Upload, signals: AbortSignal[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void): void => {
      for (const signal of signals) signal.removeEventListener("abort", stop);
      settle();
    };
    const stop = (): void => {
      void upload.abort();
      done(() => reject(new DOMException("Stopped.", "AbortError")));
    };
    if (signals.some((signal) => signal.aborted)) return stop();
    for (const signal of signals) signal.addEventListener("abort", stop, { once: true });
    upload.options.onSuccess = () => done(resolve);
    upload.options.onError = (error) => done(() => reject(refusal(error)));
    upload.start();
  });
}

function refusal(error: Error): unknown {
  const response = "originalResponse" in error ? (error.originalResponse as { getStatus(): number; getBody(): string } | null) : null;
  const status = response?.getStatus() ?? 0;
  if (status === 0) doubted();
  if (status === 401) signedOut();
  return errorOf(status, parsed(response?.getBody() ?? ""));
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}
