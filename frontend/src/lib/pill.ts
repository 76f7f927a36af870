import { isOnline } from "./connection";
import { element, find } from "./dom";
import { onServerEvent } from "./events";
import { address } from "./http";

/** The newest run that isn't over, as the server's stream has it; null where there is none. */
interface Pill {
  run_id: string;
  name: string;
  dataset: string;
  status: string;
  progress: number;
  /** What is left, in the words of the run's own page. */
  eta_words: string | null;
  queue: number | null;
}

const TITLE = document.title;
let shown = TITLE;

function state(pill: Pill): string {
  if (pill.status === "running") {
    const percent = `${Math.floor(pill.progress * 100)} %`;
    return pill.eta_words === null ? percent : `${percent}, ${pill.eta_words}`;
  }
  if (pill.status === "queued") return pill.queue && pill.queue > 1 ? `number ${pill.queue} in the queue` : "next up";
  return pill.status === "succeeded" ? "done" : pill.status;
}

function draw(pill: Pill | null): void {
  const link = find<HTMLAnchorElement>("[data-run-pill]");
  if (!link) return;
  link.hidden = !pill;
  shown = document.title = pill?.status === "running" ? `${Math.floor(pill.progress * 100)} % - ${pill.dataset} · Tellapart` : TITLE;
  if (!pill) return;
  link.href = address(`/runs/${encodeURIComponent(pill.run_id)}`);
  link.title = `${pill.dataset}, ${pill.name}`;
  link.dataset["state"] = pill.status;
  const text = find("[data-run-text]", link);
  // A phone has room for the state alone; its link has the name.
  text?.replaceChildren(element("span", { class: "no-phone" }, `${pill.dataset}: `), state(pill));
  find("[data-run-ring]", link)?.setAttribute("stroke-dashoffset", String(100 - pill.progress * 100));
}

/** A title seen from another tab must not go on with an old percentage. */
function entitle(): void {
  const isLive = !document.hidden && isOnline();
  document.title = shown === TITLE || isLive ? shown : `${shown} (not live)`;
}

/** Keep the run pill and the tab's title true; the stream sends the pill at once after every connection. */
export function setUpPill(): void {
  onServerEvent("pill", (data) => draw(data as Pill | null));
  document.addEventListener("visibilitychange", entitle);
  document.addEventListener("tellapart:connection", entitle);
}
