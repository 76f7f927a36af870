import { showWorst } from "./lib/checks";
import { need } from "./lib/dom";
import { bindKey } from "./lib/keys";
import { refreshLive } from "./lib/live";

/** Another nine without leaving the page; the address follows, so that what is seen can be sent to someone. */
function setUpLook(form: HTMLFormElement): void {
  const seed = need<HTMLInputElement>("[name=seed]", form);
  const box = need<HTMLInputElement>("[type=checkbox]", form);
  const parts = need("[data-live=batch]");
  const show = (): void => {
    const address = new URL(location.href);
    address.search = new URLSearchParams({ seed: seed.value, augmented: String(box.checked) }).toString();
    history.replaceState(null, "", address);
    parts.dataset["stale"] = "true";
    void refreshLive(address.href).finally(() => delete parts.dataset["stale"]);
  };
  const another = (): void => {
    seed.value = String(Math.floor(Math.random() * 1e6));
    show();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    another();
  });
  box.addEventListener("change", show);
  bindKey("r", "Another nine", another);
  bindKey("a", "Random changes on or off", () => box.click());
}

void showWorst();
setUpLook(need<HTMLFormElement>("[data-look]"));
