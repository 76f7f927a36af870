import htmx from "htmx.org";
import { find, need } from "./dom";
import { request } from "./http";
import { openDialog } from "./dialogs";
import { bindKey } from "./keys";

const WAIT_MS = 150;

/** `/` opens the search; what is found is shown while the name is typed, Enter opens the first result. */
export function setUpSearch(): void {
  const form = find<HTMLFormElement>("[data-search]");
  if (!form) return;
  const input = need<HTMLInputElement>("input", form);
  const found = need("[data-found]");
  let timer = 0;
  let latest = 0;
  const show = async (): Promise<void> => {
    const mine = ++latest;
    const url = `${form.action}?${new URLSearchParams({ q: input.value })}`;
    const response = await request(url, { headers: { "HX-Request": "true" } }).catch(() => null);
    const text = response?.ok ? await response.text() : "";
    if (mine === latest) await htmx.swap({ text, target: found, swap: "innerHTML" });
  };
  input.addEventListener("input", () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void show(), WAIT_MS);
  });
  // The browser's own Escape would only empty the field.
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") form.closest("dialog")?.close();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    window.clearTimeout(timer);
    void show().then(() => find<HTMLAnchorElement>("a", found)?.click());
  });
  bindKey("/", "Search", (event) => {
    event.preventDefault();
    openDialog("search");
  });
}
