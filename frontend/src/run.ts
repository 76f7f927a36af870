import { all, announce, find } from "./lib/dom";
import { onReturn, onServerEvent } from "./lib/events";
import { counted } from "./lib/format";
import { ApiError, address, api, request } from "./lib/http";
import { bindKey } from "./lib/keys";
import { refreshAnew, refreshLive } from "./lib/live";
import type { Curves, Epoch, Steps } from "./lib/curves";

/** The page's parts are fetched anew after each piece of news, but at most once a second. */
const APART_MS = 1000;
let last = 0;
let planned = 0;

/** What shrinks while somebody reads would move all that follows; it may only grow. */
function keepHeights(): void {
  for (const part of all("[data-keeps-height], .page-head")) part.style.minHeight = `${Math.max(part.offsetHeight, parseInt(part.style.minHeight || "0", 10))}px`;
}
window.addEventListener("resize", () => all("[data-keeps-height], .page-head").forEach((part) => (part.style.minHeight = "")));

function refresh(): void {
  if (planned) return;
  planned = window.setTimeout(() => {
    planned = 0;
    last = Date.now();
    keepHeights();
    void refreshLive().then(openWhenDone, () => undefined);
  }, Math.max(0, last + APART_MS - Date.now()));
}

const opening = (): HTMLAnchorElement | null => find<HTMLAnchorElement>("[data-opens-when-done]");
const wasDone = opening() !== null;

/** Whoever watched a training with corrected labels to its end sees what changed; who comes later chooses. */
function openWhenDone(): void {
  const link = opening();
  if (link && !wasDone) location.assign(link.href);
}

const NEWS = ["run", "epoch", "checkpoint", "phase", "note", "stage", "end", "pill", "image-skipped", "stage-cut-short", "stage-skipped", "epochs-changed", "rate-found", "micro-batch-halved", "rolled-back"];
for (const kind of NEWS) onServerEvent(kind, refresh);
onReturn(refresh);

interface Snapshot {
  run: { config: { stages: { epochs: number }[] } };
  epochs: Epoch[];
  curve: Steps[];
}

/** The curves of all stages that have something to draw. The chart library is fetched only then. */
class AllCurves {
  private readonly drawn = new Map<number, Curves>();
  private known: Snapshot | null = null;
  private drawing: Promise<void> = Promise.resolve();

  reset(snapshot: Snapshot): void {
    this.known = snapshot;
    const begun = new Set([...snapshot.epochs, ...snapshot.curve].map(({ stage }) => stage));
    for (const stage of begun) this.with(stage, (curves, isNew) => isNew || this.fill(curves, snapshot));
  }

  add(stage: number, use: (curves: Curves) => void): void {
    this.with(stage, use);
  }

  private with(stage: number, use: (curves: Curves, isNew: boolean) => void): void {
    this.drawing = this.drawing.then(async () => {
      const place = find(`[data-curves="${stage}"]`);
      if (!this.known || !place) return;
      const there = this.drawn.get(stage);
      const curves = there ?? new (await import("./lib/curves")).Curves(place, stage);
      if (!there) {
        this.drawn.set(stage, curves);
        this.fill(curves, this.known);
      }
      use(curves, !there);
    });
  }

  private fill(curves: Curves, { run, epochs, curve }: Snapshot): void {
    curves.reset(run.config.stages[curves.stage]?.epochs ?? 1, epochs, curve);
  }
}

/** The row of the epoch under way counts its batches. */
function countBatches({ stage, epoch, step, steps }: Steps & { epoch: number }): void {
  const cell = find(`[data-batches="${stage}"]`);
  const row = find("th", cell?.parentElement ?? undefined);
  if (!cell || row?.textContent !== String(epoch)) return;
  const each = Math.floor(steps / Number(cell.dataset["epochs"]));
  cell.textContent = `${step - epoch * each} of ${counted(each, "batch", "batches")}`;
}

/** What is said in words is hidden, or shown again, without a new page. */
async function choose(form: HTMLFormElement, button: HTMLElement | null): Promise<void> {
  const response = await request(form.action, { method: "POST", body: new FormData(form, button) }).catch(() => null);
  if (response?.ok) await refreshAnew().catch(() => undefined);
  find("#remark-button")?.focus();
}
document.addEventListener("submit", (event) => {
  const form = event.target as HTMLFormElement;
  if (!form.matches("[data-remark]")) return;
  event.preventDefault();
  void choose(form, (event as SubmitEvent).submitter);
});

/** Where nothing is heard of a run for a while, the page asks. */
const QUIET_MS = 15_000;
window.setInterval(() => {
  if (!document.hidden && find("progress[aria-label]") && Date.now() - last >= QUIET_MS) refresh();
}, QUIET_MS);

/** A filter of the list acts as soon as it is changed. */
find<HTMLFormElement>("[data-filters]")?.addEventListener("change", (event) => (event.currentTarget as HTMLFormElement).requestSubmit());

/** A note on a run is saved where it stands; without this script its form does it. */
async function saveNote(form: HTMLFormElement): Promise<void> {
  const note = find<HTMLInputElement>(`[data-note][form="${CSS.escape(form.id)}"]`);
  if (!note || note.value === note.defaultValue) return;
  try {
    await api(`/api/v1/runs/${form.dataset["noteForm"] ?? ""}`, { method: "PATCH", body: { note: note.value } });
    note.defaultValue = note.value;
    announce("Note saved.");
  } catch (reason) {
    announce(reason instanceof ApiError ? reason.sentence : String(reason));
  }
}
document.addEventListener("submit", (event) => {
  const form = event.target as HTMLFormElement;
  if (!form.matches("[data-note-form]")) return;
  event.preventDefault();
  void saveNote(form);
});
document.addEventListener("change", ({ target }) => {
  if (target instanceof HTMLInputElement && target.matches("[data-note]")) target.form?.requestSubmit();
});

/** A key that presses a button, where the page has it at that moment. */
const pressing = (name: string) => (): void => find<HTMLButtonElement>(`[data-act="${name}"]:not(:disabled)`)?.click();

if (find("[data-run-curves]")) {
  const curves = new AllCurves();
  onServerEvent("snapshot", (data) => {
    curves.reset(data as Snapshot);
    refresh();
  });
  onServerEvent("steps", (data) => {
    const steps = data as Steps & { epoch: number };
    countBatches(steps);
    curves.add(steps.stage, (drawn) => drawn.addSteps(steps));
  });
  onServerEvent("end", (data) => {
    // A deleted run has no page any more.
    if ((data as { status: string }).status === "deleted") location.assign(address("/runs"));
  });
  onServerEvent("epoch", (data) => {
    const epoch = data as Epoch;
    curves.add(epoch.stage, (drawn) => drawn.addEpoch(epoch));
    const news = find("[data-epoch-news]");
    if (news) news.textContent = `Epoch ${epoch.epoch} of stage ${epoch.stage + 1} is done: error rate ${(100 * epoch.error_rate).toFixed(1)} percent.`;
  });
  bindKey("s", "Stop after this epoch", pressing("finish"));
  bindKey("p", "Pause, or resume", () => (pressing("pause")(), pressing("resume")()));
  bindKey("t", "Try the newest model", () => all<HTMLAnchorElement>("[data-try]").at(-1)?.click());
  bindKey("c", "Curves as tables, and back", () => {
    const tables = all<HTMLDetailsElement>("[data-curve-table]");
    const open = !tables.some((table) => table.open);
    for (const table of tables) table.open = open;
  });
}
