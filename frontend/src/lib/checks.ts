import { find } from "./dom";
import { onReturn } from "./events";
import { refreshLive } from "./live";

const EVERY_MS = 2000;
let timer = 0;

/** While checks of pictures run, ask again; what they find appears without a reload. */
export function followChecks(): void {
  window.clearTimeout(timer);
  if (!find("[data-live] [data-busy]")) return;
  timer = window.setTimeout(() => {
    void refreshLive()
      .catch(() => undefined)
      .finally(followChecks);
  }, EVERY_MS);
}

onReturn(followChecks);
