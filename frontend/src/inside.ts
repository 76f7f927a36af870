import { find } from "./lib/dom";
import { refreshLive } from "./lib/live";

const AGAIN_MS = 1500;

/** A look inside is followed until it is over; then the page shows what was found. */
async function watch(): Promise<void> {
  while (find("[data-looking]")) {
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    if (document.hidden) continue;
    await refreshLive().catch(() => undefined);
  }
  location.reload();
}

void watch();
