import { showWorst } from "./lib/checks";
import { all, find, need } from "./lib/dom";
import { bindKey } from "./lib/keys";
import { refreshAnew } from "./lib/live";

const WAIT_MS = 200;

/** Another nine, or other random changes, without leaving the page; the address follows, so that it can be sent to someone. */
function setUpLook(form: HTMLFormElement): void {
  const seed = need<HTMLInputElement>("[name=seed]", form);
  const box = need<HTMLInputElement>("[name=augmented][type=checkbox]", form);
  const parts = need("[data-live=batch]");
  const usual = new Map(new FormData(form));
  let timer = 0;

  const addressNow = (): string => {
    const address = new URL(location.href);
    const before = new URLSearchParams(address.search);
    const query = new URLSearchParams({ seed: seed.value, augmented: String(box.checked) });
    // Of a box and the hidden field before it, the last one counts, as on the server.
    for (const [name, value] of new Map(new FormData(form))) {
      // What nobody has touched stays out of the address, unless it was there before.
      if (name === "seed" || name === "augmented" || typeof value !== "string") continue;
      if (before.has(name) || usual.get(name) !== value) query.set(name, value);
    }
    address.search = query.toString();
    return address.href;
  };
  const show = (): void => {
    const address = addressNow();
    history.replaceState(null, "", address);
    parts.dataset["stale"] = "true";
    const words = find("[data-changes-words]", form);
    if (words) words.textContent = new URL(address).searchParams.size > 2 ? "your own" : "as usual";
    void refreshAnew().finally(() => delete parts.dataset["stale"]);
  };
  const another = (): void => {
    seed.value = String(Math.floor(Math.random() * 1e6));
    show();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    another();
  });
  for (const slider of all<HTMLInputElement>("[type=range]", form)) {
    slider.addEventListener("input", () => {
      const shown = find("output", slider.parentElement ?? form);
      if (shown) shown.textContent = `${slider.value}${slider.dataset["unit"] ?? ""}`;
      window.clearTimeout(timer);
      timer = window.setTimeout(show, WAIT_MS);
    });
  }
  for (const tick of all<HTMLInputElement>("[type=checkbox]", form)) tick.addEventListener("change", show);
  bindKey("r", "Another nine", another);
  bindKey("a", "Random changes on or off", () => box.click());
}

void showWorst();
setUpLook(need<HTMLFormElement>("[data-look]"));
