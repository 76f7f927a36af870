import htmx from "htmx.org";
import { find } from "./dom";
import { onReturn } from "./events";
import { request } from "./http";
import { refreshLive } from "./live";

const EVERY_MS = 2000;

/** Call `refresh` again and again while checks of pictures run; what they find appears without a reload. */
function follow(isRunning: () => boolean, refresh: () => Promise<void>): void {
  let timer = 0;
  const next = (): void => {
    window.clearTimeout(timer);
    if (isRunning()) timer = window.setTimeout(() => void refresh().catch(() => undefined).finally(next), EVERY_MS);
  };
  next();
  onReturn(next);
}

/** A page that has `[data-busy]` within a live part while checks run. */
export function followChecks(): void {
  follow(() => find("[data-live] [data-busy]") !== null, refreshLive);
}

/** A part of a page, `[data-checks=address]`, that shows the worst findings and is fetched once the page is there. */
export async function showWorst(): Promise<void> {
  const part = find("[data-checks]");
  if (!part) return;
  const fetchPart = async (): Promise<void> => {
    const response = await request(part.dataset["checks"] ?? "", { headers: { Accept: "text/html", "HX-Request": "true" } });
    if (response.ok) await htmx.swap({ text: await response.text(), target: part, swap: "innerMorph" });
  };
  await fetchPart().catch(() => undefined);
  follow(() => find("[data-busy]", part) !== null, fetchPart);
}
