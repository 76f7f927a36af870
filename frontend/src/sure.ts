import { all, announce, find, need } from "./lib/dom";
import { refreshAnew } from "./lib/live";
import { followMeasuring } from "./lib/measuring";

/** So long after the last movement of a slider the figures are asked for. */
const PAUSE_MS = 120;

const form = find<HTMLFormElement>("[data-sure]");
let waiting = 0;

function address(of: HTMLFormElement): string {
  const given = new URLSearchParams();
  new FormData(of).forEach((value, name) => {
    if (typeof value === "string" && value !== "") given.append(name, value);
  });
  return `${location.pathname}?${given.toString()}`;
}

function showValue(input: HTMLInputElement): void {
  const output = find<HTMLOutputElement>("output", input.closest("label") ?? document);
  if (!output) return;
  output.value = input.value === "0" && output.dataset["off"] ? output.dataset["off"] : input.value + (input.dataset["unit"] ?? "");
}

/** The figures for what is chosen now; a newer choice waits for the answer to the one before it. */
async function show(of: HTMLFormElement): Promise<void> {
  const asked = address(of);
  history.replaceState(null, "", asked);
  await refreshAnew();
  if (asked !== address(of)) await show(of);
  hideButton();
}

function hideButton(): void {
  for (const button of all("[data-no-script]")) button.hidden = true;
}

function follow(of: HTMLFormElement): void {
  const showSoon = (): void => {
    clearTimeout(waiting);
    waiting = window.setTimeout(() => void show(of).catch((reason: unknown) => announce(String(reason))), PAUSE_MS);
  };
  of.addEventListener("input", (event) => {
    if (!(event.target instanceof HTMLInputElement) || event.target.type !== "range") return;
    showValue(event.target);
    showSoon();
  });
  // A number counts when it is complete: what is redrawn meanwhile would take its last digit away.
  of.addEventListener("change", showSoon);
  of.addEventListener("submit", (event) => {
    event.preventDefault();
    void show(of);
  });
}

/** A measurement is followed until it is over; then the page has sliders that it hadn't. */
async function watch(): Promise<void> {
  if (!find("[data-measuring]")) return;
  await followMeasuring();
  location.reload();
}

if (form) {
  follow(form);
  hideButton();
  need("#sure-save");
  void watch();
}
