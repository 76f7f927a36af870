/**
 * The tab's one event stream. It is closed while the tab is hidden, so that many open tabs never use up the
 * browser's connections; on return everybody who listens fetches the present state anew.
 */
import { doubted, onRecovery, reached } from "./connection";

type Handler = (data: unknown) => void;

const handlers = new Map<string, Set<Handler>>();
const returns = new Set<() => void>();
let source: EventSource | null = null;
let lastId = "";
let wait = 0;
/** The first message comes at once and is not repeated: all handlers must have been registered before. */
let isLoaded = document.readyState === "complete";

function dispatch(event: Event): void {
  reached();
  const message = event as MessageEvent<string>;
  if (message.lastEventId) lastId = message.lastEventId;
  const data: unknown = message.data ? JSON.parse(message.data) : null;
  handlers.get(message.type)?.forEach((handle) => handle(data));
}

function open(): void {
  const address = document.body.dataset["events"];
  if (!address || source || !isLoaded || document.hidden) return;
  const url = new URL(address, location.href);
  if (lastId) url.searchParams.set("last_event_id", lastId);
  source = new EventSource(url);
  for (const kind of handlers.keys()) source.addEventListener(kind, dispatch);
  source.addEventListener("open", () => {
    wait = 0;
    reached();
  });
  source.addEventListener("error", () => {
    doubted();
    reopenWhenGivenUp();
  });
}

/** A browser tries again by itself after a cut, but gives up for good when the server answers with an error. */
function reopenWhenGivenUp(): void {
  if (source?.readyState !== EventSource.CLOSED) return;
  source = null;
  wait = Math.min(30_000, wait ? wait * 2 : 2000);
  window.setTimeout(open, wait);
}

function close(): void {
  source?.close();
  source = null;
}

/** Call `handle` with each event of `kind` (its data, parsed). */
export function onServerEvent(kind: string, handle: Handler): void {
  const known = handlers.get(kind);
  if (known) known.add(handle);
  else {
    handlers.set(kind, new Set([handle]));
    source?.addEventListener(kind, dispatch);
  }
  open();
}

/** Call `refetch` when the tab is seen again, or the server answers again: the stream has missed what happened meanwhile. */
export function onReturn(refetch: () => void): void {
  returns.add(refetch);
}

// Comes after all modules of the page have run.
document.addEventListener("DOMContentLoaded", () => {
  isLoaded = true;
  open();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return close();
  open();
  returns.forEach((refetch) => refetch());
});
onRecovery(() => {
  open();
  returns.forEach((refetch) => refetch());
});
window.addEventListener("pagehide", close);
window.addEventListener("pageshow", open);
