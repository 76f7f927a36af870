import { all, announce, find } from "./dom";
import { refreshAnew } from "./live";

/** So long after the last movement of a slider the figures are asked for. */
const PAUSE_MS = 120;

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
  if (!of.reportValidity()) return;
  const asked = address(of);
  history.replaceState(null, "", asked);
  await refreshAnew();
  if (asked !== address(of)) await show(of);
  hideButton();
}

function hideButton(): void {
  for (const button of all("[data-no-script]")) button.hidden = true;
}

/** What a form asks for stands in the page's address; the page's live parts follow its sliders and fields. */
export function followForm(of: HTMLFormElement): void {
  let waiting = 0;
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
  hideButton();
}
