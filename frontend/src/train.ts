import htmx from "htmx.org";
import { all, announce, find, need } from "./lib/dom";
import { onReturn } from "./lib/events";
import { showFirstGuess } from "./lib/first_guess";
import { request } from "./lib/http";
import { fill } from "./lib/kept_forms";
import { bindKey } from "./lib/keys";
import { suggestNetworks } from "./lib/network_names";

const form = need<HTMLFormElement>("[data-train]");
const drawer = need<HTMLDetailsElement>("details.advanced", form);
/** What stays when a preset is chosen: all the rest is the preset's. */
const KEPT = ["csrf_token", "run_id", "starts_from", "recipe"];
/** Parts that follow each change; the drawer and the presets are replaced only where other settings change with it. */
const FOLLOWING = "[data-part=forecast], [data-part=time], [data-part^=schedule-], [data-part^=search-]";
const LONGEST_PRESS_MS = 2000;
let planned = 0;
let latest = 0;
const DRAWER = "[data-part=drawer]";
const PRESETS = "[data-part=presets]";
/** Parts to be drawn anew beside those that follow each change; they stay due until an answer that knows all was shown. */
const due = new Set<string>();
/** Values by field name that were typed after the last request was sent: its answer doesn't know them. */
const typed = new Map<string, string>();

interface Change {
  /** Only the choice of a preset counts; what was typed is given up. */
  fresh?: boolean;
  /** What a button does. */
  act?: string;
}

/** Until what a preset or a button changes is shown: what is asked before that would ask for the form as it was. */
let changing: Promise<unknown> = Promise.resolve();
/** Until the pointer is up again: a button that is replaced while it is being pressed loses the press. */
let pressing: Promise<unknown> = Promise.resolve();
form.addEventListener("pointerdown", () => {
  pressing = new Promise<void>((done) => {
    // The click comes after it.
    for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, () => window.setTimeout(done), { once: true });
    window.setTimeout(done, LONGEST_PRESS_MS);
  });
});

/** What the form asks for as it would run, worked out by the server; with the parts that are due. */
async function foresee({ fresh = false, act = "" }: Change = {}): Promise<void> {
  // A preset gives up what came before it.
  if (!fresh) await changing;
  const body = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (typeof value === "string" && (!fresh || KEPT.includes(name))) body.append(name, value);
  }
  if (act) body.append("do", act);
  if (fresh || act) due.add(DRAWER);
  if (act) due.add(PRESETS);
  const shown = foreseeFor(body, [FOLLOWING, ...due].join());
  if (fresh || act) changing = shown.catch(() => undefined);
  await shown;
}

async function foreseeFor(body: URLSearchParams, parts: string): Promise<void> {
  window.clearTimeout(planned);
  typed.clear();
  const mine = ++latest;
  const shown = need("[data-part=forecast]", form);
  shown.dataset["stale"] = "true";
  const headers = { "HX-Request": "true", Accept: "text/html" };
  const response = await request(form.dataset["forecast"] ?? "", { method: "POST", body, headers }).catch(() => null);
  if (mine !== latest) return;
  if (!response?.ok) return markOld();
  const answer = new DOMParser().parseFromString(await response.text(), "text/html");
  await pressing;
  if (mine !== latest) return;
  delete shown.dataset["stale"];
  if (!typed.size) due.clear();
  await show(answer, parts);
}

/** The forecast that is shown is of before the last change; of another preset nothing of it is shown. */
function markOld(): void {
  const forecast = need("[data-forecast-of]", form);
  const isOfAnother = forecast.dataset["forecastOf"] !== find<HTMLInputElement>("input[name=recipe]:checked", form)?.value;
  forecast.toggleAttribute("data-of-another", isOfAnother);
  need("[data-old-why]", forecast).textContent = isOfAnother
    ? "There is no forecast for this preset yet, because the server couldn't be reached."
    : "This forecast is from before your last change, because the server couldn't be reached.";
  need("[data-old]", forecast).hidden = false;
}

async function show(fresh: Document, parts: string): Promise<void> {
  const putBack = focusKept();
  for (const part of all(parts, form)) {
    const replacement = find(`[data-part="${part.dataset["part"] ?? ""}"]`, fresh);
    if (!replacement) continue;
    const unfolded = all<HTMLDetailsElement>("details", part);
    all<HTMLDetailsElement>("details", replacement).forEach((details, number) => (details.open ||= unfolded[number]?.open ?? false));
    // The drawer is replaced as a whole: what was typed before is in it already, or was given up on purpose.
    if (part.dataset["part"] === "drawer") {
      const drawn = document.adoptNode(replacement.cloneNode(true)) as HTMLElement;
      retype(drawn);
      part.replaceWith(drawn);
    }
    else await htmx.swap({ text: replacement.outerHTML, target: part, swap: "outerMorph" });
  }
  putBack();
  for (const field of all("[data-field]", fresh)) follow(field);
  const recipe = find<HTMLInputElement>("input[name=recipe]:checked", form)?.closest("label");
  const isChanged = find("[data-back]", form) !== null;
  for (const badge of all("[data-own]", form)) badge.hidden = !isChanged || badge.closest("label") !== recipe;
  const json = find<HTMLTextAreaElement>("[data-json]", fresh);
  const shown = find<HTMLTextAreaElement>("[data-json]", form);
  if (json && shown && shown !== document.activeElement) shown.value = json.value;
  showCopy();
}

/** A field that is drawn anew is as if it had stayed: with the focus, and with what was selected, so that typing replaces it. */
function focusKept(): () => void {
  const before = document.activeElement;
  const [start, end, length] = before instanceof HTMLInputElement ? [before.selectionStart, before.selectionEnd, before.value.length] : [null, null, 0];
  return () => {
    const after = before?.id && document.activeElement === document.body ? document.getElementById(before.id) : null;
    after?.focus();
    if (!(after instanceof HTMLInputElement) || start === null || end === null) return;
    // An empty field has all of its nothing selected.
    if (start === 0 && end === length) after.select();
    else after.setSelectionRange(start, end);
  };
}

/** A field keeps what is typed in it; its mark, its sentence and the preset's value in grey are the server's. */
function follow(fresh: HTMLElement): void {
  const field = find(`[data-field="${CSS.escape(fresh.dataset["field"] ?? "")}"]`, form);
  if (!field) return;
  field.toggleAttribute("data-changed", fresh.hasAttribute("data-changed"));
  const [error, said] = [find(".field-error", field), find(".field-error", fresh)];
  if (error && said && error.textContent !== said.textContent) error.textContent = said.textContent;
  const [control, usual] = [find<HTMLInputElement>("input, select, textarea", field), find("input, select, textarea", fresh)];
  if (!control || !usual) return;
  control.toggleAttribute("aria-invalid", false);
  if (usual.hasAttribute("aria-invalid")) control.setAttribute("aria-invalid", "true");
  const placeholder = usual.getAttribute("placeholder");
  if (placeholder) control.placeholder = placeholder;
}

/** Put what was typed meanwhile into fields that were drawn without it; the planned request will send it. */
function retype(drawn: HTMLElement): void {
  for (const field of all<HTMLInputElement>("input, select, textarea", drawn)) {
    const value = typed.get(field.name);
    if (value !== undefined && valueOf(field) !== null) field.value = value;
  }
}

/** What a text or number field or a list has; null for all others. */
function valueOf(field: HTMLElement): string | null {
  if (field instanceof HTMLSelectElement || field instanceof HTMLTextAreaElement) return field.value;
  return field instanceof HTMLInputElement && !["checkbox", "radio"].includes(field.type) ? field.value : null;
}

function showCopy(): void {
  for (const button of all("[data-copies-json]", form)) button.hidden = !navigator.clipboard;
}

form.addEventListener("input", (event) => {
  const field = event.target as HTMLElement & { name?: string };
  if (["json", "again", "network"].includes(field.name ?? "")) return;
  window.clearTimeout(planned);
  const fresh = field.name === "recipe";
  if (fresh && (field as HTMLInputElement).value === "custom") drawer.open = true;
  const value = valueOf(field);
  if (field.name && value !== null) typed.set(field.name, value);
  // Choices change what other fields stand for; a number that is being typed doesn't.
  if (field instanceof HTMLSelectElement) due.add(DRAWER);
  // Another model to start from changes the times of the presets.
  if (field.name === "starts_from") due.add(PRESETS);
  planned = window.setTimeout(() => void foresee({ fresh }), fresh ? 0 : 300);
});
// A part of a name may be the name of another network: what it asks for counts once the field is left.
form.addEventListener("change", (event) => {
  if (!(event.target instanceof HTMLInputElement) || event.target.name !== "network") return;
  due.add(DRAWER);
  void foresee();
});
suggestNetworks(form);
form.addEventListener("submit", (event) => {
  const button = (event as SubmitEvent).submitter;
  if (!(button instanceof HTMLButtonElement) || button.name !== "do") return;
  // Pasted settings and those of another run may choose another preset: the whole page is loaded anew.
  if (["json", "again"].includes(button.value)) return;
  event.preventDefault();
  drawer.open ||= button.value !== "back";
  void foresee(button.value === "back" ? { fresh: true } : { act: button.value });
});
// After a sign-in: the drawer has other fields than the page as it opens, so the server makes them of what was typed.
form.addEventListener("tellapart:restore", (event) => {
  event.preventDefault();
  const fields = (event as CustomEvent<[string, string][]>).detail;
  void foreseeFor(new URLSearchParams(fields), [FOLLOWING, DRAWER, PRESETS].join()).then(() => {
    fill(form, fields);
    drawer.open ||= find("[data-back]", form) !== null;
  });
});
onReturn(() => void foresee());
const train = (): void => form.requestSubmit();
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    event.stopPropagation();
    return train();
  }
  // Enter alone never starts a training; in the JSON it is a new line, on a summary or button a press.
  if (event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement) event.preventDefault();
});
form.addEventListener("click", (event) => {
  if (!(event.target instanceof Element) || !event.target.closest("[data-copies-json]")) return;
  void navigator.clipboard.writeText(need<HTMLTextAreaElement>("[data-json]", form).value).then(() => announce("Copied."));
});
all<HTMLInputElement>("input[name=recipe]", form).forEach((radio, number) => {
  bindKey(String(number + 1), `Choose “${radio.closest("label")?.querySelector("b")?.textContent ?? ""}”`, () => {
    radio.closest("details")?.setAttribute("open", "");
    radio.click();
    radio.focus();
  });
});
const earlier = find<HTMLDetailsElement>("[data-start]", form);
if (earlier) {
  bindKey(String(all("input[name=recipe]", form).length + 1), "Start from an earlier run", () => {
    earlier.open = !earlier.open;
    find("summary", earlier)?.focus();
  });
}
bindKey("a", "Advanced", () => {
  drawer.open = !drawer.open;
  find("summary", drawer)?.focus();
});
bindKey("Control+Enter", "Train", train);
showCopy();
void showFirstGuess();
