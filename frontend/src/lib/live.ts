import htmx from "htmx.org";
import { request } from "./http";
import { all } from "./dom";

let running: Promise<void> | null = null;

/**
 * Bring every `[data-live="name"]` part of the page up to date from the server's present rendering of it.
 * One request at a time: a second call while one is under way waits for that one.
 */
export function refreshLive(path: string = location.href): Promise<void> {
  running ??= fetchAndMorph(path).finally(() => (running = null));
  return running;
}

/** The same after something was changed: what is under way may have been asked for before. */
export async function refreshAnew(): Promise<void> {
  await running?.catch(() => undefined);
  await refreshLive();
}

async function fetchAndMorph(path: string): Promise<void> {
  const response = await request(path, { headers: { Accept: "text/html" } });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of all("[data-live]")) {
    const name = CSS.escape(part.dataset["live"] ?? "");
    const replacement = fresh.querySelector(`[data-live="${name}"]`);
    // What a person has unfolded stays so.
    const unfolded = all<HTMLDetailsElement>("details", part);
    if (replacement) all<HTMLDetailsElement>("details", replacement).forEach((details, place) => (details.open = unfolded[place]?.open ?? details.open));
    // An open dialog would be closed, and a selection or a note lost, under the person's hands.
    if (replacement && !replacement.isEqualNode(part) && !part.querySelector("dialog[open], [data-select]:checked, [data-note]:focus")) {
      await htmx.swap({ text: replacement.outerHTML, target: part, swap: "outerMorph" });
    }
  }
}
