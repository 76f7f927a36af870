import { find } from "./dom";
import { refreshLive } from "./live";

const AGAIN_MS = 1500;

/** What is measured in the background (`data-measuring`) is followed until it is over. */
export async function followMeasuring(): Promise<void> {
  while (find("[data-measuring]")) {
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    if (!document.hidden) await refreshLive().catch(() => undefined);
  }
}
