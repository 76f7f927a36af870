import htmx from "htmx.org";
import { all, announce, find, need } from "./lib/dom";
import { onReturn } from "./lib/events";
import { request } from "./lib/http";
import { fill } from "./lib/kept_forms";
import { bindKey } from "./lib/keys";

const form = need<HTMLFormElement>("[data-train]");
const drawer = need<HTMLDetailsElement>("details.advanced", form);
/** What a card leaves as it is when it is chosen: all the rest is the card's. */
const KEPT = ["csrf_token", "run_id", "starts_from", "recipe"];
let planned = 0;
let latest = 0;

/** What the form asks for as it would run, worked out by the server; with the drawer where that is to change too. */
async function foresee({ fresh = false, act = "", whole = false } = {}): Promise<void> {
  const body = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (typeof value === "string" && (!fresh || KEPT.includes(name))) body.append(name, value);
  }
  if (act) body.append("do", act);
  await foreseeFor(body, whole || fresh || act !== "");
}

async function foreseeFor(body: URLSearchParams, whole: boolean): Promise<void> {
  window.clearTimeout(planned);
  const mine = ++latest;
  const shown = need("[data-part=forecast]", form);
  shown.dataset["stale"] = "true";
  const headers = { "HX-Request": "true", Accept: "text/html" };
  const response = await request(form.dataset["forecast"] ?? "", { method: "POST", body, headers }).catch(() => null);
  if (!response || mine !== latest) return;
  delete shown.dataset["stale"];
  const text = await response.text();
  if (!response.ok) return htmx.swap({ text, target: need("[data-part=forecast]", form), swap: "innerHTML" });
  await show(new DOMParser().parseFromString(text, "text/html"), whole);
}

async function show(fresh: Document, whole: boolean): Promise<void> {
  const wanted = whole ? "[data-part=forecast], [data-part=drawer]" : "[data-part=forecast], [data-part^=schedule-]";
  for (const part of all(wanted, form)) {
    const replacement = find(`[data-part="${part.dataset["part"] ?? ""}"]`, fresh);
    if (!replacement) continue;
    const unfolded = all<HTMLDetailsElement>("details", part);
    all<HTMLDetailsElement>("details", replacement).forEach((details, place) => (details.open = unfolded[place]?.open ?? false));
    // The drawer is replaced as a whole: what was typed is in it already, or was given up on purpose.
    if (part.dataset["part"] === "drawer") part.replaceWith(document.adoptNode(replacement));
    else await htmx.swap({ text: replacement.outerHTML, target: part, swap: "outerMorph" });
  }
  const recipe = find<HTMLInputElement>("input[name=recipe]:checked", form)?.closest("label");
  const isOwn = find("[data-back]", form) !== null;
  for (const badge of all("[data-own]", form)) badge.hidden = !isOwn || badge.closest("label") !== recipe;
  const json = find<HTMLTextAreaElement>("[data-json]", fresh);
  const shown = find<HTMLTextAreaElement>("[data-json]", form);
  if (json && shown && shown !== document.activeElement) shown.value = json.value;
  showCopy();
}

function showCopy(): void {
  for (const button of all("[data-copies-json]", form)) button.hidden = !navigator.clipboard;
}

form.addEventListener("input", (event) => {
  const field = event.target as HTMLElement & { name?: string };
  if (field.name === "json" || field.name === "again") return;
  window.clearTimeout(planned);
  const isCard = field.name === "recipe";
  if (isCard && (field as HTMLInputElement).value === "custom") drawer.open = true;
  // Choices change what other fields stand for; a number that is being typed doesn't.
  const whole = field instanceof HTMLSelectElement;
  planned = window.setTimeout(() => void foresee({ fresh: isCard, whole }), isCard ? 0 : 300);
});
form.addEventListener("submit", (event) => {
  const button = (event as SubmitEvent).submitter;
  if (!(button instanceof HTMLButtonElement) || button.name !== "do") return;
  // Pasted settings and those of another run may choose another card: those go the long way.
  if (["json", "again"].includes(button.value)) return;
  event.preventDefault();
  drawer.open ||= button.value !== "back";
  void foresee(button.value === "back" ? { fresh: true } : { act: button.value });
});
// After a sign-in: the drawer has other fields than the page as it opens, so the server makes them of what was typed.
form.addEventListener("tellapart:restore", (event) => {
  event.preventDefault();
  const fields = (event as CustomEvent<[string, string][]>).detail;
  void foreseeFor(new URLSearchParams(fields), true).then(() => {
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
