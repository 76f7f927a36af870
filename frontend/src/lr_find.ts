import { all, find, need } from "./lib/dom";
import { onReturn } from "./lib/events";
import type { Find, FindCurve, Mark } from "./lib/find_curve";
import { api } from "./lib/http";
import { bindKey } from "./lib/keys";
import { refreshLive } from "./lib/live";
import { pairOf, rateOf, words } from "./lib/rates";

const LOOK_MS = 1000;
const ARROW = 1.1;
const PAGE = 2;

/** While it is at work the page is brought up to date each second; a hidden tab asks nothing. */
async function watch(): Promise<void> {
  if (!document.hidden) await refreshLive().catch(() => undefined);
  if (find("[data-at-work]")) window.setTimeout(() => void watch(), LOOK_MS);
  else begin();
}

/** The one rate of the page: chosen by rule, marker, key or typing, shown in all places alike. */
class Choice {
  private readonly form = need<HTMLFormElement>("[data-use]");
  private readonly typed = need<HTMLInputElement>("[name=own]", this.form);
  private readonly own = find<HTMLInputElement>("[data-own-choice]", this.form);
  private readonly rules = all<HTMLInputElement>("[data-rule]", this.form);
  private readonly error = need("#error-own", this.form);
  onChange: (rate: number) => void = () => undefined;
  rate = rateOf(this.typed.value) ?? 1e-3;

  constructor() {
    for (const rule of this.rules) {
      const choose = (): void => this.take(Number(rule.value), rule);
      rule.addEventListener("change", choose);
      bindKey(rule.dataset["rule"] ?? "", `Take “${rule.dataset["name"] ?? ""}”`, () => {
        rule.checked = true;
        choose();
      });
    }
    this.typed.addEventListener("input", () => this.type());
    this.form.addEventListener("submit", (event) => {
      if (!this.rules.some((rule) => rule.checked) && rateOf(this.typed.value) === null) event.preventDefault();
    });
  }

  get marks(): Mark[] {
    return this.rules.map((rule) => ({ number: rule.dataset["rule"] ?? "", rate: Number(rule.value) }));
  }

  /** Show a rate everywhere; without a rule it is the person's own. */
  take(rate: number, rule: HTMLInputElement | null = null): void {
    this.typed.value = words(rate);
    this.set(rate, rule);
  }

  private type(): void {
    const rate = rateOf(this.typed.value);
    if (this.own) this.own.checked = true;
    if (rate === null) {
      this.typed.setAttribute("aria-invalid", "true");
      this.error.textContent = "The rate must be a number above 0 and up to 10, such as 2.5e-3 or 0.0025.";
      return;
    }
    this.set(rate, null);
  }

  private set(rate: number, rule: HTMLInputElement | null): void {
    this.rate = rate;
    this.typed.removeAttribute("aria-invalid");
    this.error.textContent = "";
    if (!rule && this.own) this.own.checked = true;
    const [low, high] = pairOf(rate);
    for (const [place, value] of [["[data-chosen]", rate], ["[data-low]", low], ["[data-high]", high]] as const) {
      const shown = find(place);
      if (shown) shown.textContent = words(value);
    }
    this.onChange(rate);
  }
}

/** The line on the curve: arrow keys, page keys and dragging move it. */
function setUpMarker(curve: FindCurve, choice: Choice, rates: number[]): () => void {
  const marker = need("[data-marker]");
  const line = need("[data-line]");
  const lowest = rates[0] ?? 0;
  const highest = rates.at(-1) ?? 1;
  const within = (rate: number): number => Math.min(highest, Math.max(lowest, rate));
  const moves: Record<string, () => number> = {
    ArrowRight: () => choice.rate * ARROW,
    ArrowUp: () => choice.rate * ARROW,
    ArrowLeft: () => choice.rate / ARROW,
    ArrowDown: () => choice.rate / ARROW,
    PageUp: () => choice.rate * PAGE,
    PageDown: () => choice.rate / PAGE,
    Home: () => lowest,
    End: () => highest,
  };
  const place = (): void => {
    marker.style.left = line.style.left = `${curve.toPixel(within(choice.rate))}px`;
    marker.setAttribute("aria-valuenow", Math.log10(choice.rate).toFixed(2));
    marker.setAttribute("aria-valuetext", words(choice.rate));
  };
  marker.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    choice.take(within(move()));
  });
  marker.addEventListener("pointerdown", (event) => marker.setPointerCapture(event.pointerId));
  marker.addEventListener("pointermove", (event) => {
    if (!marker.hasPointerCapture(event.pointerId)) return;
    const left = need("[data-find-curve]").getBoundingClientRect().left;
    choice.take(within(curve.toRate(event.clientX - left)));
  });
  choice.onChange = place;
  marker.hidden = line.hidden = false;
  need("[data-marker-keys]").hidden = false;
  return place;
}

let hasBegun = false;

function begin(): void {
  const part = need("[data-find]");
  if (hasBegun || !find("[data-use]")) return;
  hasBegun = true;
  const choice = new Choice();
  const canvas = find("[data-canvas]");
  if (canvas) void draw(canvas, choice, part.dataset["find"] ?? "");
}

async function draw(canvas: HTMLElement, choice: Choice, id: string): Promise<void> {
  const [{ FindCurve }, found] = await Promise.all([import("./lib/find_curve"), api<Find>(`/api/v1/lr-finds/${id}`)]);
  let place: () => void = () => undefined;
  const curve = new FindCurve(canvas, found, choice.marks, () => place());
  place = setUpMarker(curve, choice, found.learning_rates);
  place();
}

onReturn(() => {
  if (find("[data-at-work]")) void refreshLive().catch(() => undefined);
});
if (find("[data-at-work]")) window.setTimeout(() => void watch(), LOOK_MS);
else begin();
