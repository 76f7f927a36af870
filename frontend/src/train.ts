import htmx from "htmx.org";
import { all, need } from "./lib/dom";
import { csrfToken } from "./lib/http";
import { bindKey } from "./lib/keys";

const form = need<HTMLFormElement>("[data-train]");
const place = need("[data-forecast-place]", form);
let planned = 0;
let latest = 0;

/** What the form asks for as it would run, worked out by the server. */
async function foresee(): Promise<void> {
  const mine = ++latest;
  const body = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (typeof value === "string") body.append(name, value);
  const response = await fetch(form.dataset["forecast"] ?? "", {
    method: "POST",
    body,
    headers: { "HX-Request": "true", Accept: "text/html", "X-CSRF-Token": csrfToken() },
    credentials: "same-origin",
  }).catch(() => null);
  if (!response || mine !== latest) return;
  await htmx.swap({ text: await response.text(), target: place, swap: "innerHTML" });
}

form.addEventListener("input", () => {
  window.clearTimeout(planned);
  planned = window.setTimeout(() => void foresee(), 300);
});
form.addEventListener("reset", () => window.setTimeout(() => void foresee()));
form.addEventListener("keydown", (event) => {
  // Enter alone never starts a training.
  if (event.key !== "Enter" || event.target instanceof HTMLButtonElement) return;
  event.preventDefault();
  if (event.ctrlKey || event.metaKey) form.requestSubmit();
});
all<HTMLInputElement>("input[name=recipe]", form).forEach((radio, number) => {
  bindKey(String(number + 1), `Choose “${radio.closest("label")?.querySelector("b")?.textContent ?? ""}”`, () => radio.click());
});
bindKey("a", "Advanced", () => {
  const drawer = need<HTMLDetailsElement>("details.advanced", form);
  drawer.open = !drawer.open;
});
