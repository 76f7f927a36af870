import { find } from "./dom";
import { onReturn, onServerEvent } from "./events";
import { counted, roughTime } from "./format";
import { address, api } from "./http";

/** What the pill needs of a run; the same fields in the list and in the stream. */
export interface RunState {
  id: string;
  name: string;
  status: string;
  progress: number;
  eta_s: number | null;
}

const TITLE = document.title;
const runs = new Map<string, RunState>();
const isActive = (run: RunState): boolean => ["queued", "running", "paused"].includes(run.status);

function words(run: RunState, others: number): string {
  const percent = `${Math.floor(run.progress * 100)} %`;
  const time = run.eta_s === null ? "" : `, ${roughTime(run.eta_s)}`;
  const state = run.status === "running" ? `${percent}${time}` : run.status === "queued" ? "waits" : run.status;
  return `${run.name}: ${state}${others ? ` (+${others})` : ""}`;
}

function draw(): void {
  const pill = find<HTMLAnchorElement>("[data-run-pill]");
  const count = find("[data-run-count]");
  if (!pill || !count) return;
  const active = [...runs.values()].filter(isActive);
  const shown = active.find((run) => run.status === "running") ?? active[0];
  pill.hidden = !shown;
  count.hidden = !active.length;
  count.textContent = String(active.length);
  count.setAttribute("aria-label", `${counted(active.length, "run")} under way`);
  document.title = shown?.status === "running" ? `${Math.floor(shown.progress * 100)} % · ${TITLE}` : TITLE;
  if (!shown) return;
  pill.href = address(`/runs/${encodeURIComponent(shown.id)}`);
  pill.dataset["state"] = shown.status;
  const text = find("[data-run-text]", pill);
  if (text) text.textContent = words(shown, active.length - 1);
  find("[data-run-ring]", pill)?.setAttribute("stroke-dashoffset", String(100 - shown.progress * 100));
}

async function refetch(): Promise<void> {
  const answers = await Promise.all(
    ["running", "queued"].map((status) => api<{ items: RunState[] }>(`/api/v1/runs?status=${status}&limit=20`)),
  );
  runs.clear();
  for (const run of answers.flatMap((answer) => answer.items)) runs.set(run.id, run);
  draw();
}

/** Keep the run pill, the count beside “Runs” and the tab's title true. */
export function setUpPill(): void {
  if (!document.body.dataset["events"]) return;
  const fetchAnew = (): void => void refetch().catch(() => undefined);
  onServerEvent("run", (data) => {
    const run = data as RunState;
    runs.set(run.id, { ...runs.get(run.id), ...run });
    draw();
  });
  onReturn(fetchAnew);
  fetchAnew();
}
