/**
 * Whether the server answers, and whether it still knows us. Every request and the event stream report here; while
 * neither has news, a small request asks. The banner is drawn from the state, and what was missed is fetched afterwards.
 */
import { address } from "./address";
import { element, find } from "./dom";
import { isSignInPage, keepForms, restoreNextTime } from "./kept_forms";

type State = "online" | "lost" | "signed-out";

/** Together below five seconds: after so long a silence the server is asked, and so long it may take to answer. */
const QUIET_MS = 2000;
const ANSWER_MS = 2500;
const RETRY_MS = 2000;

const recoveries = new Set<() => void>();
let state: State = "online";
let lastSign = Date.now();
/** When the server was last found to be away, as resource timings count. */
let lostAt = 0;
let isAsking = false;

export const isOnline = (): boolean => state === "online";

/** Call `refetch` when the server answers again: what is shown may be old. */
export function onRecovery(refetch: () => void): void {
  recoveries.add(refetch);
}

/** The server has answered something. */
export function reached(): void {
  lastSign = Date.now();
  if (state !== "lost") return;
  become("online");
  recoveries.forEach((refetch) => refetch());
}

/** Something failed as it does when the server is away: ask at once. */
export function doubted(): void {
  if (state !== "signed-out") void ask();
}

/** The server no longer knows us; nothing on this page works until somebody signs in. */
export function signedOut(): void {
  keepForms();
  if (state !== "signed-out") become("signed-out");
}

/** The status says which: 401 where nobody is signed in. */
async function ask(): Promise<void> {
  if (isAsking) return;
  isAsking = true;
  try {
    const response = await fetch(address("/session"), {
      headers: { "HX-Request": "true" },
      cache: "no-store",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (response.status === 401) signedOut();
    else if (isGateway(response)) lose();
    else if (state === "signed-out") comeBack();
    else reached();
  } catch {
    lose();
  } finally {
    isAsking = false;
  }
}

/** A proxy's own answer, in place of one of ours. */
export const isGateway = (response: Response): boolean =>
  [502, 504].includes(response.status) && !response.headers.get("Content-Type")?.includes("json");

function lose(): void {
  lostAt = performance.now();
  if (state === "online") become("lost");
}

/** Somebody has signed in again in another tab: the page is loaded anew, because its token has ended. */
function comeBack(): void {
  keepForms();
  restoreNextTime();
  location.reload();
}

function become(next: State): void {
  state = next;
  document.documentElement.dataset["connection"] = next;
  const banner = find("[data-connection-banner]");
  if (banner) banner.replaceChildren(...words());
  document.dispatchEvent(new CustomEvent("tellapart:connection", { detail: next }));
}

function words(): (Node | string)[] {
  if (state === "online") return [];
  if (state === "lost") return [`Connection lost. Trying again… What you see is from ${new Date(lastSign).toLocaleTimeString()}.`];
  const link = element("a", { href: signInAddress() }, "Sign in again");
  return ["You were signed out. ", link, "; what you typed is kept."];
}

function signInAddress(): string {
  return `${address("/sign-in")}?next=${encodeURIComponent(location.pathname + location.search)}`;
}

function watch(): void {
  if (document.hidden || state === "signed-out") return;
  if (Date.now() - lastSign >= (state === "lost" ? RETRY_MS : QUIET_MS)) void ask();
}

/**
 * Pictures, scripts and all other loads that succeed are signs of life too; a busy line would keep the question waiting.
 * A load may be noted long after it ended: what ended before the server went away is no sign of life.
 */
function noteLoads(list: PerformanceObserverEntryList): void {
  const loads = list.getEntries() as PerformanceResourceTiming[];
  if (loads.some((load) => load.responseStatus > 0 && load.transferSize > 0 && load.responseEnd > lostAt)) reached();
}

export function watchConnection(): void {
  if (isSignInPage()) return;
  new PerformanceObserver(noteLoads).observe({ type: "resource" });
  window.setInterval(watch, 500);
  window.addEventListener("offline", lose);
  window.addEventListener("online", doubted);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) void ask();
  });
  // A form that is sent into nothing would end at the browser's own error page.
  document.addEventListener("submit", (event) => {
    if (state === "online" || (event.target as HTMLFormElement).method === "dialog") return;
    event.preventDefault();
    event.stopImmediatePropagation();
    find("[data-connection-banner]")?.animate([{ scale: 1 }, { scale: 1.04 }, { scale: 1 }], 300);
  }, { capture: true });
}
