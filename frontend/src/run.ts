import { find } from "./lib/dom";
import { onReturn, onServerEvent } from "./lib/events";
import { refreshLive } from "./lib/live";
import type { Curves, Epoch, Steps } from "./lib/curves";

/** The page's parts are fetched anew after each piece of news, but at most once a second. */
const APART_MS = 1000;
let last = 0;
let planned = 0;

function refresh(): void {
  if (planned) return;
  planned = window.setTimeout(() => {
    planned = 0;
    last = Date.now();
    void refreshLive().catch(() => undefined);
  }, Math.max(0, last + APART_MS - Date.now()));
}

for (const kind of ["run", "epoch", "checkpoint", "phase", "stage", "image-skipped", "end", "pill"]) onServerEvent(kind, refresh);
onReturn(refresh);

interface Snapshot {
  run: { config: { stages: { epochs: number }[] } };
  epochs: Epoch[];
  curve: Steps[];
}

const place = find("[data-curves]");
const news = find("[data-epoch-news]");

if (place) {
  let known: Snapshot | null = null;
  let curves: Curves | null = null;
  let drawing: Promise<void> = Promise.resolve();
  /** The chart library is fetched only where there is something to draw. */
  const withCurves = (use: (curves: Curves) => void): void => {
    drawing = drawing.then(async () => {
      if (!known) return;
      if (!curves) {
        curves = new (await import("./lib/curves")).Curves(place);
        draw(curves, known);
      }
      use(curves);
    });
  };
  const draw = (drawn: Curves, { run, epochs, curve }: Snapshot): void => {
    drawn.reset(run.config.stages.map((stage) => stage.epochs), epochs, curve);
  };
  onServerEvent("snapshot", (data) => {
    const snapshot = (known = data as Snapshot);
    if (curves || snapshot.epochs.length || snapshot.curve.length) withCurves((drawn) => draw(drawn, snapshot));
    refresh();
  });
  onServerEvent("steps", (data) => withCurves((drawn) => drawn.addSteps(data as Steps)));
  onServerEvent("epoch", (data) => {
    const epoch = data as Epoch;
    withCurves((drawn) => drawn.addEpoch(epoch));
    if (news) news.textContent = `Epoch ${epoch.epoch} of stage ${epoch.stage + 1} is done: error rate ${(100 * epoch.error_rate).toFixed(1)} percent.`;
  });
}
