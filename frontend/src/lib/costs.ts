import { find, need } from "./dom";
import { followForm } from "./live_form";

/** Two classes: the figures follow threshold and costs; a button moves the slider to the cheapest threshold. */
export function setUpCosts(): void {
  const form = find<HTMLFormElement>("[data-follow]");
  if (!form) return;
  followForm(form);
  const slider = need<HTMLInputElement>('[name="threshold"]', form);
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const goTo = event.target.closest<HTMLElement>("[data-go-to]")?.dataset["goTo"];
    if (!goTo) return;
    event.preventDefault();
    slider.value = goTo;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    // The button goes when nothing costs less, and the focus would go with it.
    slider.focus();
  });
}
