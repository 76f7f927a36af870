import { find, need } from "./lib/dom";
import { followForm } from "./lib/live_form";
import { followMeasuring } from "./lib/measuring";

const form = find<HTMLFormElement>("[data-sure]");

/** A measurement is followed until it is over; then the page has sliders that it hadn't. */
async function watch(): Promise<void> {
  if (!find("[data-measuring]")) return;
  await followMeasuring();
  location.reload();
}

if (form) {
  followForm(form);
  need("#sure-save");
  void watch();
}
